import json

import pytest

from adapt import files
from adapt.errors import UserError
from adapt.recipe import reading
from adapt.running.runner import run
from adapt.starting.init import init
from adapt.text.clean import normalised

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
    loaded = reading.load(str(domain / "mine"), [*overrides, *(o for step in STEPS[given] for o in QUICK.get(step, []))])
    assert [step.id for step in loaded.steps] == STEPS[given]
    assert "general-sts" in reading.load(str(domain / "mine")).checks
    results = run(loaded, domain / "run")
    assert results["test"] and (domain / "run" / "model" / "model.safetensors").is_file()


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
    assert total == 90 and "Few: with" in said[0]


def test_without_labels_the_check_is_synthetic_and_says_so(domain, embedder):
    said = init(domain / "mine", texts=str(domain / "texts.jsonl"), pairs=None, gold=None, model=str(embedder))
    assert "synthetic" in said[0] and "Few: with" in said[0]
    recipe = reading.load(str(domain / "mine"))
    check = recipe.checks["synthetic-retrieval"]
    assert check.kind == "retrieval" and check.role == "target" and check.dev == check.test == str(domain / "mine" / "synthetic")
    assert "# The target is synthetic" in (domain / "mine" / "recipe.yaml").read_text()
    assert json.loads((domain / "mine" / "synthetic" / "card.json").read_text())["synthetic"] is True
    trained = {normalised(text.text) for text in files.read(domain / "mine" / "texts.jsonl", "texts")}
    assert len(trained) == 24  # of 30: a tenth for dev, a tenth for test


def test_init_does_not_write_over_a_recipe(domain):
    init(domain / "mine", texts=str(domain / "texts.jsonl"), pairs=None, gold=None)
    with pytest.raises(UserError, match="is there already"):
        init(domain / "mine", texts=str(domain / "texts.jsonl"), pairs=None, gold=None)


def test_rows_that_are_all_connected_can_not_be_split(domain):
    (domain / "p.jsonl").write_text("".join(json.dumps({"anchor": f"q{i}", "positive": "one answer"}) + "\n" for i in range(30)))
    with pytest.raises(UserError, match="too few unconnected rows"):
        init(domain / "mine", texts=None, pairs=str(domain / "p.jsonl"), gold=None)


@pytest.mark.parametrize("name", ["a\nmodel: other", "a: b", "[x]", "-x", ".hidden"])
def test_a_folder_whose_name_a_recipe_could_not_have_is_refused(tmp_path, domain, name):
    with pytest.raises(UserError, match="becomes a folder's name"):
        init(tmp_path / name, texts=None, pairs=str(domain / "pairs.jsonl"), gold=None)
    assert not (tmp_path / name).exists()
