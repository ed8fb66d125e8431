import contextlib
import errno
import json
import shutil
import warnings
from pathlib import Path

import pytest

from adapt import files
from adapt.aliases import AliasWarning
from adapt.errors import UserError
from adapt.pipeline.runner import run
from adapt.prepare.init import init
from adapt.recipe import loading
from adapt.text.clean import normalised

from ..operations import before as before_at
from ..operations import before_each

STEPS = {
    ("texts",): ["tsdae", "pseudo", "finetune"],
    ("texts", "pairs"): ["tsdae", "mine", "finetune"],
    ("texts", "gold"): ["tsdae", "cross-encoder", "silver", "augment"],
    ("texts", "pairs", "gold"): ["tsdae", "cross-encoder", "silver", "augment", "mine", "finetune"],
}
QUICK = {
    "tsdae": ["stages.tsdae.max_steps=1"],
    "cross-encoder": ["stages.cross-encoder.max_steps=1"],
    "silver": ["stages.silver.pairs=10"],
    "augment": ["stages.augment.max_steps=1"],
    "finetune": ["stages.finetune.max_steps=1"],
}
FILES = {"texts": "texts.jsonl", "pairs": "pairs.jsonl", "gold": "gold.csv"}


@pytest.mark.parametrize("base", ["embedder", "language_model"])
@pytest.mark.parametrize("given", STEPS)
def test_the_recipe_suits_what_is_there_and_runs(domain, request, given, base):
    model = request.getfixturevalue(base)
    said = init(domain / "mine", **{n: str(domain / FILES[n]) if n in given else None for n in FILES}, model=str(model))
    assert "adapt run" in said[-1]
    overrides = ["checks.general-sts=null", "checks.general-retrieval=null", "gate.guard={}"]
    loaded = loading.load(str(domain / "mine"), [*overrides, *(o for step in STEPS[given] for o in QUICK.get(step, []))])
    assert [step.id for step in loaded.steps] == STEPS[given]
    with warnings.catch_warnings():
        warnings.simplefilter("error", AliasWarning)  # a new recipe has no old name
        loading.load(str(domain / "mine"))
    assert "general-sts" in loading.load(str(domain / "mine")).checks
    results = run(loaded, domain / "run")
    assert results.test and (domain / "run" / "model" / "model.safetensors").is_file()


def test_held_out_rows_share_no_text_with_training(domain):
    rows = [{"anchor": f"question {i}", "positive": f"answer {i // 3} of many words"} for i in range(90)]
    (domain / "p.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    said = init(domain / "mine", texts=None, pairs=str(domain / "p.jsonl"), gold=None)
    train = files.read(domain / "mine" / "pairs.jsonl", "pairs")
    seen = {normalised(side) for p in train for side in (p.anchor, p.positive)}
    total = len(train)
    for split in ("dev", "test"):
        queries = files.read(domain / "mine" / split / "queries.jsonl", "texts")
        judged = [row["corpus-id"] for _, row in files.rows(domain / "mine" / split / "qrels" / f"{split}.tsv")]
        corpus = {t.id: t.text for t in files.read(domain / "mine" / split, "texts")}
        assert 8 <= len(queries) <= 11
        assert not {normalised(q.text) for q in queries} & seen and not {normalised(corpus[d]) for d in judged} & seen
        total += len(queries)
    assert total == 90 and "Only large differences" in said[0]


def test_without_labels_the_check_is_synthetic_and_says_so(domain, embedder):
    said = init(domain / "mine", texts=str(domain / "texts.jsonl"), pairs=None, gold=None, model=str(embedder))
    assert "synthetic" in said[0] and "Only large differences" in said[0]
    recipe = loading.load(str(domain / "mine"))
    check = recipe.checks["synthetic-retrieval"]
    assert check.kind == "retrieval" and check.role == "target" and check.dev == check.test == str(domain / "mine" / "synthetic")
    assert "# The target is synthetic" in (domain / "mine" / "recipe.yaml").read_text()
    assert json.loads((domain / "mine" / "synthetic" / "card.json").read_text())["synthetic"] is True
    trained = {normalised(text.text) for text in files.read(domain / "mine" / "texts.jsonl", "texts")}
    assert len(trained) == 24  # of 30: a tenth for dev, a tenth for test


def test_init_does_not_write_over_a_recipe(domain):
    init(domain / "mine", texts=str(domain / "texts.jsonl"), pairs=None, gold=None)
    with pytest.raises(UserError, match="already exists"):
        init(domain / "mine", texts=str(domain / "texts.jsonl"), pairs=None, gold=None)


def test_rows_that_are_all_connected_can_not_be_split(domain):
    (domain / "p.jsonl").write_text("".join(json.dumps({"anchor": f"q{i}", "positive": "one answer"}) + "\n" for i in range(30)))
    with pytest.raises(UserError, match="too few unconnected rows"):
        init(domain / "mine", texts=None, pairs=str(domain / "p.jsonl"), gold=None)


@pytest.mark.parametrize("name", ["../x", "../../x", "a/../../x", "sub/..", "..", "."])
def test_a_name_that_leaves_the_folder_is_refused_and_nothing_is_written(tmp_path, domain, monkeypatch, name):
    here = tmp_path / "up" / "here"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError):
        init(Path(name), texts=None, pairs=str(domain / "pairs.jsonl"), gold=None)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_with_a_users_files_is_left_alone(domain):
    mine = domain / "mine"
    mine.mkdir()
    (mine / "pairs.jsonl").write_bytes((domain / "pairs.jsonl").read_bytes())
    with pytest.raises(UserError, match="already exists and is not empty"):
        init(mine, texts=None, pairs=str(mine / "pairs.jsonl"), gold=None)
    assert [f.name for f in mine.iterdir()] == ["pairs.jsonl"]
    assert (mine / "pairs.jsonl").read_bytes() == (domain / "pairs.jsonl").read_bytes()


GIVEN = [("texts",), ("pairs",), ("gold",), ("texts", "pairs", "gold")]


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_before_any_operation_leaves_no_half_made_folder(domain, embedder, given, fault):
    """Every operation of the file system that init starts fails once: what is there afterwards is the whole folder or nothing."""
    sources = {name: str(domain / FILES[name]) if name in given else None for name in FILES}

    def work():
        init(domain / "mine", **sources, model=str(embedder))

    def fail():
        raise fault

    before, seen = sorted(domain.rglob("*")), []
    with before_each(domain, seen.append):
        work()
    whole = sorted(domain.rglob("*"))
    assert len(seen) > 5
    for number in range(len(seen)):
        shutil.rmtree(domain / "mine", ignore_errors=True)
        with contextlib.suppress(OSError, KeyboardInterrupt), before_at(domain, number, fail):
            work()
        there = sorted(path for path in domain.rglob("*") if ".making" not in str(path))
        assert there in (before, whole), seen[number]


@pytest.mark.parametrize("name", ["a\nmodel: other", "a: b", "[x]", "-x", ".hidden"])
def test_a_folder_whose_name_a_recipe_could_not_have_is_refused(tmp_path, domain, name):
    with pytest.raises(UserError, match="becomes a folder's name"):
        init(tmp_path / name, texts=None, pairs=str(domain / "pairs.jsonl"), gold=None)
    assert not (tmp_path / name).exists()
