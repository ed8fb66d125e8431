import yaml

from adapt.report import Licences, find_licences, model_card
from adapt.report.card import stated_licence
from adapt.results import LockedStep
from tests.report.conftest import run_result


def card(licences=None, **changed):
    text = model_card(run_result().model_copy(update=changed), licences or Licences())
    _, head, body = text.split("---\n", 2)
    return yaml.safe_load(head), body


def test_the_card_names_base_recipe_verdict_figures_and_limits():
    head, body = card()
    assert head["base_model"] == "sentence-transformers/all-MiniLM-L6-v2" and head["library_name"] == "sentence-transformers"
    for part in (
        "# text number 2", "`all-MiniLM-L6-v2` adapted", "**better**: text number 7", "SentenceTransformer(",
        "1. finetune: finetune (18 rows",
        "gate: blended (α = 0.5))",
        "| retrieval.ndcg@10 | target | 0.5000 | 0.5850 | +8.5 | +6.2 to +10.9 | < 0.001 |",
        "sts.spearman is significantly worse than the base model's", "text number 13",
    ):  # fmt: skip
        assert part in body, part


def test_the_index_holds_every_test_figure():
    head, _ = card()
    found = {(one["dataset"]["name"], m["type"]): m["value"] for one in head["model-index"][0]["results"] for m in one["metrics"]}
    assert found == {("retrieval (test)", "ndcg_at_10"): 0.585, ("retrieval (test)", "map"): 0.45, ("sts (test)", "spearman"): 0.68}
    assert "model-index" not in card(test=())[0]


def test_a_card_holds_no_row_of_the_data_and_no_path_of_the_user():
    _, body = card(model="/home/someone/private/base")
    assert "someone" not in body and "`base` adapted" in body
    for private in (
        "text number 1\n",
        "text number 10",
        "text number 11",
        "text number 20",
        "text number 40",
    ):  # topics, queries, passages
        assert private not in body


def test_licences_are_read_from_the_cards_beside_model_and_data(tmp_path):
    base, corpus, own = tmp_path / "model", tmp_path / "corpus" / "dev", tmp_path / "own" / "files"
    for folder in (base, corpus, own):
        folder.mkdir(parents=True)
    (base / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0\ntags: [a]\n---\n# Model\n")
    (corpus.parent / "README.md").write_text("# Corpus\n\n**Licence**: CC0 1.0, public domain (`../LICENSE`).\n")
    (corpus.parent / "pairs.jsonl").write_text("{}\n")
    found = find_licences(base, {"pairs": corpus.parent / "pairs.jsonl", "dev": corpus, "own": own / "x.jsonl"})
    assert found == Licences("apache-2.0", {}, {"pairs": "CC0 1.0", "dev": "CC0 1.0", "own": "not stated"})
    _, body = card(licences=found)
    assert "- base model `all-MiniLM-L6-v2`: apache-2.0" in body and "- data `pairs`: CC0 1.0" in body
    assert "- data `texts`: not stated" in body
    assert "- base model `all-MiniLM-L6-v2`: not stated" in card()[1]


def test_shipped_corpora_state_their_licence():
    from adapt.recipe import shipped_root

    for name in ("medical", "general"):
        assert stated_licence(shipped_root() / "corpora" / name) == "CC0 1.0"


def test_a_trained_cross_encoder_has_the_licence_of_its_base_and_a_published_one_its_own():
    lock = run_result().lock
    teacher = LockedStep(id="teacher", stage="cross-encoder", key="f" * 16, settings={})
    _, body = card(Licences(labellers={"published": "mit"}), lock=lock.model_copy(update={"steps": (teacher, *lock.steps)}))
    assert "- cross-encoder `teacher`, trained from the base model on the data below: as the base model" in body
    assert "- cross-encoder `published`: mit" in body
