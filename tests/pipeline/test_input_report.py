"""What a run says of its data before any work, and keeps in its results."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import adapt
from adapt.errors import UserError
from adapt.models.coverage import MAX_TRUNCATED, tokenizer_coverage, warnings
from adapt.pipeline.input_report import cached, preview, same_data_warnings
from adapt.report import write_report
from adapt.results import InputReport


def test_shares_of_unknown_cut_and_empty_texts_are_counted(embedder):
    known, strange = "fever cough rash", "租房 合同"  # three known tokens; four unknown ones, a character each
    found = tokenizer_coverage(embedder, [known, strange, known + " pain" * 80, "😀"])
    assert found.sampled == found.texts == 4 and found.max_length == 64
    tokens, unknown = 3 + 4 + 83 + 1, 4 + 1
    assert found.unknown == pytest.approx(unknown / tokens) and found.truncated == 1 / 4 and found.empty == 2 / 4
    assert MAX_TRUNCATED >= 0.25 and len(warnings("texts", found)) == 2


def test_a_large_source_is_judged_by_a_draw_and_that_is_said(embedder):
    found = tokenizer_coverage(embedder, ["租房合同"] * 5_000)
    assert (found.texts, found.sampled, found.unknown) == (5_000, 2_000, 1.0)
    assert "100% of the tokens are unknown to the model (of 2,000 texts drawn from 5,000)" in warnings("texts", found)[0]


def test_a_model_without_a_tokenizer_is_not_judged(tmp_path):
    assert tokenizer_coverage(tmp_path, ["a"]) is None


@pytest.fixture
def strange(recipe_file, domain):
    """The small recipe with texts that its model can't read, two of them bad rows that are skipped."""
    lines = [json.dumps({"text": f"租房合同的期限是多久 {'一二三四五六七八九'[i % 9]}{i}"}, ensure_ascii=False) for i in range(30)]
    (domain / "texts.jsonl").write_text("\n".join([*lines[:3], '{"text": null}', *lines[3:], "no json"]) + "\n")
    return recipe_file


def test_a_dry_run_reads_small_data_and_warns(strange):
    with pytest.raises(UserError) as caught:
        preview(adapt.load_recipe(str(strange)))
    assert [p.partition("texts.jsonl ")[2].partition(":")[0] for p in caught.value.problems] == ["line 4", "line 32"]
    said = preview(adapt.load_recipe(str(strange), ["data.on_bad_row=skip"]))
    assert any("2 bad rows skipped" in line for line in said)
    assert any("of the tokens are unknown to the model" in line and line.startswith("texts: ") for line in said)


def test_a_run_skips_counts_keeps_and_warns_and_does_so_again_from_its_cache(strange, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "adapt.checks.speed.measure",
        lambda *_: {"latency_ms_p50": 1.0, "latency_ms_p95": 1.0, "texts_per_second": 1.0, "dimensions": 32.0},
    )
    text = strange.read_text()
    strange.write_text(text[: text.index("stages:")] + "stages:\n  - tsdae: {max_steps: 1, batch_size: 4}\n")
    recipe = adapt.load_recipe(str(strange), ["data.on_bad_row=skip"])
    told = []
    first = adapt.run(recipe, tmp_path / "out", listener=lambda event: told.append(event.text))
    assert any(text.startswith("WARNING: texts: ") for text in told)
    again = adapt.run(recipe, tmp_path / "out")
    for found in (first, again):
        row = next(row for row in found.inputs if row.source == "texts")
        assert row.skipped == 2 and row.coverage.unknown > 0.3 and row.coverage.truncated == 0
        assert {row.source for row in found.inputs} >= {"pairs", "gold", "retrieval dev", "sts test"}
        assert any("2 bad rows were skipped" in text for text in found.warnings)
        assert any("are unknown to the model" in text for text in found.warnings)
        assert next(step for step in found.steps if step.id == "texts").counts["bad_rows_skipped"] == 2
    file = next((tmp_path / "out").glob("data-texts-*/rejected.jsonl"))
    assert [json.loads(line)["where"].rpartition(" ")[2] for line in file.read_text().splitlines()] == ["4", "32"]


def test_how_data_are_read_is_checked_and_is_part_of_their_key(recipe_file, domain, tmp_path):
    from adapt.pipeline import plan
    from adapt.storage.store import Store

    with pytest.raises(UserError) as caught:
        wrong = ("on_bad_row=maybe", "max_line_mb=0", "columns={pears: {anchor: q}}", "score_range=[5, 0]")
        adapt.load_recipe(str(recipe_file), [f"data.{change}" for change in wrong])
    said = "\n".join(caught.value.problems)
    for words in ("on_bad_row can't be 'maybe'", "max_line_mb: ", "the recipe has no data 'pears'", "score_range: "):
        assert words in said
    keys = [
        {line.name: line.key for line in plan.make(adapt.load_recipe(str(recipe_file), changes), Store(tmp_path)).artifacts}
        for changes in ((), ["data.columns={pairs: {anchor: anchor}}"], ["data.on_bad_row=error"])
    ]
    assert keys[0]["data-pairs"] != keys[1]["data-pairs"] and keys[0]["data-texts"] == keys[1]["data-texts"] and keys[0] == keys[2]


def test_unreadable_data_of_a_recipe_are_told_together_when_it_is_planned(recipe_file, domain, tmp_path):
    from adapt.pipeline import plan
    from adapt.storage.store import Store

    (domain / "texts.jsonl").write_bytes(b'{"text": "caf\xe9"}\n')
    (domain / "pairs.jsonl").write_bytes(b"PAR1")
    with pytest.raises(UserError) as caught:
        plan.make(adapt.load_recipe(str(recipe_file)), Store(tmp_path))
    assert len(caught.value.problems) == 2
    assert "texts.jsonl line 1: byte 0xE9" in caught.value.problems[0] and "is a Parquet file" in caught.value.problems[1]


def test_a_check_that_is_measured_on_its_dev_data_at_the_end_is_told(recipe_file, domain):
    recipe = adapt.load_recipe(str(recipe_file))
    assert same_data_warnings(recipe) == []
    (domain / "copy.csv").write_bytes(Path(recipe.checks["sts"].dev).read_bytes())
    for test in (recipe.checks["sts"].dev, str(domain / "copy.csv")):
        same = replace(recipe, checks={**recipe.checks, "sts": recipe.checks["sts"].model_copy(update={"test": test})})
        said = same_data_warnings(same)
        assert len(said) == 1 and said[0].startswith("Check 'sts' has the same data for dev and test")
        assert said[0] in preview(same)


def test_what_is_kept_of_a_survey_counts_as_absent_where_it_was_changed(tmp_path, embedder):
    told = []

    def row(again=False):
        return cached(tmp_path, "texts", embedder, "key", lambda: InputReport(source="texts", skipped=2 + again), told.append)

    assert row().skipped == row(again=True).skipped == 2
    file = next(tmp_path.glob("inputs-*.json"))
    for damaged in ("", "{}", "[]", file.read_text().replace("2", "7", 1)):
        file.write_text(damaged)
        assert row(again=True).skipped == 3 and told.pop() == f"{file}: is damaged; texts is read again"


KINDS_OF_CHECKS = {  # a good row and a bad one of each kind of check's data
    "sts": ('{"sentence1": "a b", "sentence2": "c", "score": 0.5}', '{"sentence1": "a", "sentence2": "c", "score": "much"}'),
    "pairs": ('{"sentence1": "a b", "sentence2": "c", "score": SCORE}', '{"sentence1": null, "sentence2": "c", "score": 1}'),
    "triplets": ('{"anchor": "a", "positive": "b", "negative": "c"}', '{"anchor": "a", "positive": [], "negative": "c"}'),
    "translation": ('{"source": "a", "target": "b"}', '{"source": 1.5, "target": null}'),
    "reranking": ('{"query": "a", "positive": ["b"], "negative": ["c"]}', '{"query": "a", "positive": [], "negative": ["c"]}'),
    "clustering": ('{"text": "a TOPIC", "topic": "TOPIC"}', '{"text": null, "topic": "t1"}'),
    "classification": ('{"text": "a TOPIC", "topic": "TOPIC"}', "no json"),
}


@pytest.mark.parametrize("kind", KINDS_OF_CHECKS)
def test_bad_rows_of_every_kind_of_check_are_skipped_counted_and_kept_where_the_recipe_says_so(recipe_file, domain, tmp_path, kind):
    from adapt.job import Job
    from adapt.pipeline.measurements import Measurements
    from adapt.pipeline.plan import check_digests

    good, bad = KINDS_OF_CHECKS[kind]
    rows = [good.replace("SCORE", str(i % 2)).replace("TOPIC", f"t{i % 2}") for i in range(20)]
    (domain / "own.jsonl").write_text("\n".join([*rows[:4], bad, *rows[4:], bad]) + "\n")
    change = f"checks.own-{kind}={{dev: own.jsonl, role: guard}}"
    strict = adapt.load_recipe(str(recipe_file), [change])
    with pytest.raises(UserError) as caught:
        preview(strict)
    assert "own.jsonl line 5" in str(caught.value)
    recipe = adapt.load_recipe(str(recipe_file), [change, "data.on_bad_row=skip"])
    assert any(text.startswith(f"own-{kind} dev: 2 bad rows were skipped") for text in preview(recipe))
    spec = recipe.checks[f"own-{kind}"]
    measures = Measurements(Job(), tmp_path / "measurements", options=recipe.read_options())
    measures.read(spec.kind, spec.dev, "dev")
    count, file = measures.skipped_of(spec.kind, spec.dev, "dev")
    kept_rows = [json.loads(line) for line in (tmp_path / file).read_text().splitlines()]
    assert count == 2 and [row["where"].rpartition(" ")[2] for row in kept_rows] == ["5", "22"]
    assert check_digests(recipe)[f"own-{kind}"]["dev"] != check_digests(strict)[f"own-{kind}"]["dev"]


def test_a_run_skips_bad_rows_of_its_checks_and_says_so_and_without_the_setting_refuses_them(
    recipe_file, domain, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        "adapt.checks.speed.measure",
        lambda *_: {"latency_ms_p50": 1.0, "latency_ms_p95": 1.0, "texts_per_second": 1.0, "dimensions": 32.0},
    )
    with open(domain / "sts-test.csv", "a") as file:
        file.write("a fever,a cough,very\n")
    with open(domain / "dev" / "queries.jsonl", "a") as file:
        file.write('{"_id": "q99", "text": null}\n')
    text = recipe_file.read_text()
    recipe_file.write_text(text[: text.index("stages:")] + "stages:\n  - tsdae: {max_steps: 1, batch_size: 4}\n")
    recipe = adapt.load_recipe(str(recipe_file), ["data.on_bad_row=skip"])
    for _ in range(2):  # the second run takes everything from the cache
        found = adapt.run(recipe, tmp_path / "out")
        skipped = {row.source: (row.skipped, row.rejected) for row in found.inputs if row.skipped}
        assert skipped.keys() == {"sts test", "retrieval dev"} and {count for count, _ in skipped.values()} == {1}
        for source, (_, rejected) in skipped.items():
            assert any(warning.startswith(f"{source}: 1 bad rows were skipped") for warning in found.warnings)
            assert json.loads((tmp_path / "out" / rejected).read_text())["where"].rpartition(" ")[2] in ("22", "6")
    files = sorted((tmp_path / "out" / "measurements").glob("rejected-*.jsonl"))
    assert len(files) == 2
    whole = [file.read_bytes() for file in files]
    for damaged in (b"", whole[0][:-9], None):
        for file in files:
            file.unlink() if damaged is None else file.write_bytes(damaged)
        told = []
        adapt.run(recipe, tmp_path / "out", listener=lambda event, told=told: told.append(event.text))
        assert [file.read_bytes() for file in files] == whole
        assert all(any(file.name in text and "is read again" in text for text in told) for file in files)
    write_report(tmp_path / "out")
    for report in ("report.md", "report.html"):
        assert (tmp_path / "out" / report).read_text().count("1 bad rows were skipped") == 2
    with pytest.raises(UserError) as caught:
        adapt.run(adapt.load_recipe(str(recipe_file)), tmp_path / "out")
    assert "sts-test.csv line 22" in str(caught.value) and "queries.jsonl line 6" in str(caught.value)
