"""The Python API: the same work as the command line, on Python data."""

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import adapt
from adapt import files, stages
from adapt.aliases import AliasWarning
from adapt.errors import UserError
from adapt.outputs import DataResult, ModelResult
from adapt.results import RunResult

PAIRS = [("what helps a cough", "Honey helps a cough."), ("is aspirin safe", "Aspirin is safe at a low dose."), ("a", "b")]
STS = [("mild cough", "light cough", 0.9), ("mild cough", "severe brain", 0.1), ("low dose", "high dose", 0.5)]


def rows_of(file):
    return [json.loads(line) for line in Path(file).read_text().splitlines()]


def weights(result):
    return (Path(result) / "model.safetensors").read_bytes()


# ------------------------------------------------------------------------------------------------------------ importing


def test_importing_adapt_loads_neither_torch_nor_pydantic_and_is_fast():
    code = "import time, sys; t = time.perf_counter(); import adapt; dir; print(time.perf_counter() - t, *sys.modules)"
    seconds, *modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "pydantic", "numpy"} & set(modules)
    assert float(seconds) < 0.3


def test_names_are_listed_and_unknown_ones_are_attribute_errors():
    listed = dir(adapt)
    assert {"run", "run_stage", "evaluate", "compare", "tsdae", "cross_encoder", "mine", "losses"} <= set(listed)
    assert all(getattr(adapt, name) is not None for name in listed)
    assert adapt.checks.names()  # subpackages are attributes, too
    with pytest.raises(AttributeError, match="nonsense"):
        adapt.nonsense  # noqa: B018


@pytest.mark.parametrize("name", stages.built_in())
def test_every_stage_is_a_function_with_its_inputs_and_settings(name):
    stage, function = stages.find(name), getattr(adapt, name.replace("-", "_"))
    signature = inspect.signature(function)
    wanted = {*(i.name for i in stage.inputs()), *stage.model_fields, "out", "seed", "listener", "overwrite"}
    assert set(signature.parameters) == wanted
    required = {n for n, p in signature.parameters.items() if p.default is inspect.Parameter.empty}
    assert required == {i.name for i in stage.inputs() if i.required}
    for setting, field in stage.model_fields.items():
        assert signature.parameters[setting].default == field.get_default(call_default_factory=True)
    assert all(f"    {'.'.join(option.path)} = " in function.__doc__ for option in stage.options())
    assert signature.return_annotation is (ModelResult if stage.output_kind().endswith("encoder") else DataResult)


# --------------------------------------------------------------------------------------------------------------- inputs


def test_every_form_of_the_same_pairs_gives_the_same_weights(domain, embedder):
    datasets, pandas = pytest.importorskip("datasets"), pytest.importorskip("pandas")
    rows = rows_of(domain / "pairs.jsonl")
    forms = {
        "file": domain / "pairs.jsonl",
        "name of a file": str(domain / "pairs.jsonl"),
        "dicts": rows,
        "tuples": [(row["anchor"], row["positive"]) for row in rows],
        "lists": [[row["anchor"], row["positive"]] for row in rows],
        "columns": {name: [row[name] for row in rows] for name in rows[0]},
        "dataset": datasets.Dataset.from_list(rows),
        "data frame": pandas.DataFrame(rows),
        "records": files.read(domain / "pairs.jsonl", "pairs"),
        "generator": (row for row in rows),
        "several": [rows[:10], pandas.DataFrame(rows[10:])],
    }
    made = {name: weights(adapt.finetune(model=embedder, examples=form, max_steps=2)) for name, form in forms.items()}
    assert len(set(made.values())) == 1, [name for name in made if made[name] != made["file"]]


def test_texts_are_strings_dicts_or_a_mapping_of_ids():
    from adapt.inputs import sources

    texts = ["First text.", "Second text."]
    for form in (texts, [{"text": text} for text in texts], {"x": texts[0], "y": texts[1]}, {"text": texts}, tuple(texts)):
        (source,) = sources(form, "texts", ("texts",))
        assert [text.text for text in files.read(source, "texts")] == texts
    (source,) = sources({"x": texts[0]}, "texts", ("texts",))
    assert files.read(source, "texts")[0].id == "x"


@pytest.mark.parametrize(
    ("kinds", "item", "columns"),
    [
        (("pairs",), ("q", "p"), {"anchor": "q", "positive": "p"}),
        (("scored",), ("a", "b", 0.5), {"sentence1": "a", "sentence2": "b", "score": 0.5}),
        (("triplets",), ("q", "p", "n"), {"anchor": "q", "positive": "p", "negative": "n"}),
        (("triplets",), ("q", "p", "n", "m"), {"anchor": "q", "positive": "p", "negative_1": "n", "negative_2": "m"}),
        (("parallel",), ("cat", "chat"), {"source": "cat", "target": "chat"}),
        (("pairs", "scored", "triplets", "labelled"), ("a", "b", 1), {"sentence1": "a", "sentence2": "b", "label": 1}),
        (("pairs", "scored", "triplets", "labelled"), ("a", "b", 1.0), {"sentence1": "a", "sentence2": "b", "score": 1.0}),
        (("topics",), ("a", "heart"), {"text": "a", "topic": "heart"}),
    ],
)
def test_values_of_a_tuple_are_the_columns_of_sentence_transformers(kinds, item, columns):
    from adapt.inputs import source

    assert [row for _, row in source([item], "data", kinds)] == [columns]


def test_all_problems_of_rows_are_raised_together_with_the_item():
    data = [("q", "p"), ("q",), ("", "p"), 3, {"anchor": "q"}]
    with pytest.raises(UserError) as raised:
        adapt.mine(model="all-MiniLM-L6-v2", pairs=data)
    assert raised.value.problems == [
        "pairs[1]: is tuple of 1, expected (anchor, positive) or a dict",
        "pairs[2]: column 'anchor' is empty",
        "pairs[3]: is int, expected (anchor, positive) or a dict",
        "pairs[4]: no column 'positive'. Known: anchor.",
    ]


def test_problems_of_settings_and_inputs_are_raised_together():
    with pytest.raises(UserError) as raised:
        adapt.run_stage("tsdae", texts=5, epoch=1, batch_size="8")
    assert raised.value.problems == [
        "tsdae: unknown setting 'epoch'. Did you mean 'epochs'?",
        "tsdae: needs model (encoder)",
        "tsdae: texts: is int; expected a path, a list of rows, a datasets.Dataset or a data frame",
        "tsdae: batch_size: expected a whole number (got '8')",
    ]
    with pytest.raises(UserError, match=r"no stage 'tsda'\. Did you mean 'tsdae'"):
        adapt.run_stage("tsda")
    with pytest.raises(UserError, match="seed must be a whole number"):
        adapt.pairs(texts=["a b. c d."], seed=-1)


def test_former_names_of_settings_give_the_same_weights_and_warn(domain, embedder):
    pairs = [("what helps against fever", "aspirin lowers fever"), ("why does it hurt", "pain is a signal of nerves")]
    short = {"model": embedder, "examples": pairs, "max_steps": 1, "batch_size": 2}
    new = adapt.finetune(**short, loss={"name": "mnrl", "scale": 30})
    with pytest.warns(AliasWarning, match="loss.scale"):
        old = adapt.finetune(**short, loss="mnrl", scale=30)
    assert (Path(old.path) / "model.safetensors").read_bytes() == (Path(new.path) / "model.safetensors").read_bytes()


def test_a_list_of_file_names_is_not_taken_for_texts(domain):
    with pytest.raises(UserError, match=r"give pathlib\.Path objects"):
        adapt.pairs(texts=[str(domain / "texts.jsonl")])


def test_a_dataset_dict_is_refused_with_its_splits():
    datasets = pytest.importorskip("datasets")
    data = datasets.DatasetDict(train=datasets.Dataset.from_list([{"text": "a"}]))
    with pytest.raises(UserError, match="several splits; give one of train"):
        adapt.pairs(texts=data)


# -------------------------------------------------------------------------------------------------------------- results


def test_mined_rows_train_with_sentence_transformers_and_go_back_into_a_stage(domain, embedder):
    datasets = pytest.importorskip("datasets")
    found = adapt.mine(model=embedder, pairs=domain / "pairs.jsonl", corpus=domain / "texts.jsonl", negatives=2)
    assert list(found[0]) == ["anchor", "positive", "negative_1", "negative_2"]
    assert all(row[name] for row in found for name in row)  # where a pair has one negative it is repeated
    table = datasets.Dataset.from_list(found)
    assert table.column_names == list(found[0]) and len(table) == len(found) == len(found.records)
    assert found.to_dataset()[:] == table[:]
    assert found[:2] == found.rows[:2] and "origin" in found.to_pandas() and found.path is None
    assert found.files["suspected.csv"].is_file() and "rows (anchor, positive" in repr(found)
    tuned = adapt.finetune(model=embedder, examples=found, max_steps=1)
    assert tuned.counts["examples"] == len(found)


def test_results_are_written_to_out_and_replaced_only_with_overwrite(domain, embedder, tmp_path):
    out = tmp_path / "made.jsonl"
    made = adapt.pairs(texts=domain / "texts.jsonl", out=out)
    assert made.path == out and len(rows_of(out)) == len(made)
    with pytest.raises(UserError, match="already exists; choose another out, or replace it with overwrite=True"):
        adapt.pairs(texts=domain / "texts.jsonl", out=out)
    assert adapt.pairs(texts=domain / "texts.jsonl", out=out, overwrite=True).rows == made.rows
    tuned = adapt.finetune(model=embedder, examples=made, out=tmp_path / "tuned", max_steps=1)
    assert tuned.path == tmp_path / "tuned" and (tuned.path / "model.safetensors").is_file()


def test_a_stage_gives_the_same_weights_as_its_command(domain, embedder, tmp_path, command):
    command("finetune", "--model", embedder, "--examples", domain / "pairs.jsonl", "--max-steps", 2, "--out", tmp_path / "command")
    made = adapt.finetune(model=embedder, examples=domain / "pairs.jsonl", max_steps=2)
    assert weights(made) == weights(tmp_path / "command")


def test_a_model_is_loaded_as_sentence_transformers_loads_it_and_is_an_input_when_loaded(domain, embedder):
    from sentence_transformers import CrossEncoder, SentenceTransformer

    made = adapt.finetune(model=SentenceTransformer(str(embedder)), examples=PAIRS, max_steps=1)
    assert isinstance(made.load(), SentenceTransformer) and made.load().encode("a text").shape == (32,)
    judge = adapt.cross_encoder(model=embedder, pairs=domain / "gold.csv", max_steps=1)
    assert isinstance(judge.load(), CrossEncoder) and "ModelResult of cross-encoder" in repr(judge)


def test_the_precision_of_one_call_is_not_that_of_the_next(embedder, monkeypatch):
    monkeypatch.setenv("ADAPT_PRECISION", "fp32")
    adapt.finetune(model=embedder, examples=PAIRS, max_steps=1, precision="bf16")
    import os

    assert os.environ["ADAPT_PRECISION"] == "fp32"


def test_a_listener_gets_progress_and_notes(embedder, domain):
    events = []
    made = adapt.tsdae(model=embedder, texts=domain / "texts.jsonl", max_steps=2, listener=events.append)
    progress = [event for event in events if event.kind == "progress"]
    assert progress[-1].data["done"] == progress[-1].data["total"]
    assert made.notes and set(made.notes) <= {event.text for event in events if event.kind == "note"}


# ----------------------------------------------------------------------------------------------- evaluate, compare, run


def test_evaluation_equals_the_command_and_rows_equal_files(domain, embedder, command):
    said = command("check", "--model", embedder, "--sts", domain / "sts-test.csv", "--retrieval", domain / "test", "--json")
    wanted = json.loads(said.out)
    found = adapt.evaluate(embedder, sts=domain / "sts-test.csv", retrieval=domain / "test")
    assert found["sts.spearman"] == found["sts"] == wanted["sts"]["spearman"] and found.n["sts"] == wanted["sts"]["rows"]
    assert found["retrieval.ndcg@10"] == wanted["retrieval"]["ndcg@10"]
    in_memory = {
        "queries": {row["_id"]: row["text"] for row in rows_of(domain / "test" / "queries.jsonl")},
        "corpus": {row["_id"]: row["text"] for row in rows_of(domain / "test" / "corpus.jsonl")},
        "relevant": {f"q{i}": {f"p{i}"} for i in range(35, 40)},
    }
    again = adapt.evaluate(embedder, retrieval=in_memory)
    assert again.metrics["retrieval"] == found.metrics["retrieval"]
    graded = in_memory | {"relevant": {f"q{i}": {f"p{i}": 1} for i in range(35, 40)}}
    assert adapt.evaluate(embedder, retrieval=graded).metrics == again.metrics
    assert list(found.to_pandas().columns) == ["check", "metric", "value", "n"]
    assert "retrieval.ndcg@10" in repr(found)


def test_retrieval_equals_sentence_transformers_evaluator(embedder, domain):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator

    queries = {row["_id"]: row["text"] for row in rows_of(domain / "test" / "queries.jsonl")}
    corpus = {row["_id"]: row["text"] for row in rows_of(domain / "test" / "corpus.jsonl")}
    relevant = {f"q{i}": {f"p{i}"} for i in range(35, 40)}
    theirs = InformationRetrievalEvaluator(queries, corpus, relevant)(SentenceTransformer(str(embedder)))
    ours = adapt.evaluate(embedder, retrieval={"queries": queries, "corpus": corpus, "relevant": relevant})
    assert ours["retrieval.ndcg@10"] == pytest.approx(theirs["cosine_ndcg@10"], abs=0.02)  # bf16 may swap two neighbours


def test_problems_of_evaluation_data_name_the_item_or_the_id(embedder):
    with pytest.raises(UserError) as raised:
        adapt.evaluate(embedder, sts=[("a", "b", 3.0)])
    assert "sts[0]: score 3 is outside 0 to 1" in str(raised.value)
    with pytest.raises(UserError, match=r"corpus\['d1'\]: column 'text' is empty"):
        adapt.evaluate(embedder, retrieval={"queries": {"q": "a"}, "corpus": {"d1": ""}, "relevant": {"q": {"d1"}}})
    with pytest.raises(UserError, match=r"relevant\['q'\]: expected a set of passage ids"):
        adapt.evaluate(embedder, retrieval={"queries": {"q": "a"}, "corpus": {"d1": "b"}, "relevant": {"q": "d1"}})
    with pytest.raises(UserError, match=r"no kind of check 'stss'\. Did you mean 'sts'"):
        adapt.evaluate(embedder, stss=STS)
    with pytest.raises(UserError, match="nothing to evaluate on"):
        adapt.evaluate(embedder)


def test_a_comparison_has_paired_differences_and_the_old_form_still_works(embedder, domain):
    tuned = adapt.finetune(model=embedder, examples=domain / "pairs.jsonl", max_steps=5)
    found = adapt.compare(embedder, tuned, sts=domain / "sts-test.csv")
    row = found["sts.spearman"]
    before, after = (adapt.evaluate(model, sts=domain / "sts-test.csv")["sts"] for model in (embedder, tuned))
    assert (row.base, row.final) == (before, after) and row.delta == pytest.approx(after - before)
    assert row.low <= row.delta <= row.high and 0 < row.p <= 1
    former = adapt.compare(str(embedder), str(tuned), "sts", str(domain / "sts-test.csv"), 0)
    assert former["sts.spearman"] == former["spearman"] == row
    assert list(found.to_pandas().columns) == ["metric", "a", "b", "delta", "low", "high", "p", "outcome"]
    with pytest.raises(KeyError):
        found["sts.nothing"]


def test_a_recipe_in_memory_is_the_recipe_of_the_file(recipe_file, domain, embedder, tmp_path, monkeypatch):
    yaml = pytest.importorskip("yaml")
    monkeypatch.chdir(domain)
    raw = yaml.safe_load(recipe_file.read_text())
    raw["stages"] = [{"finetune": {"max_steps": 2, "batch_size": 8}}]
    (domain / "short.yaml").write_text(yaml.safe_dump(raw))
    result = adapt.run(raw, out=tmp_path / "memory")
    assert isinstance(result, RunResult) and result.folder == tmp_path / "memory"
    model = result.model_folder
    assert (result.folder / "report.html").is_file() and adapt.evaluate(model, sts=STS).n == {"sts": 3}
    adapt.run(domain / "short.yaml", out=tmp_path / "file")
    assert weights(tmp_path / "file" / "model") == weights(model)
    wanted = adapt.evaluate(model, recipe=raw, split="dev")
    assert set(wanted.metrics) == {"retrieval", "sts"}


def test_problems_of_a_recipe_in_memory_name_its_keys():
    with pytest.raises(UserError, match=r"recipe: unknown key 'stage'. Did you mean 'stages'"):
        adapt.load_recipe({"model": "all-MiniLM-L6-v2", "data": {}, "stage": []})
    with pytest.raises(UserError, match="not a loaded Recipe"):
        adapt.load_recipe(adapt.load_recipe("smoke"), ["seed=1"])
