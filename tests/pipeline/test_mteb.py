"""Result files under MTEB's names, and (where the package is installed) MTEB itself on a model of ours."""

import json

import pytest

from adapt.errors import UserError
from adapt.models import lookup
from adapt.pipeline import mteb
from adapt.pipeline.measurements import measure_all


@pytest.fixture
def written(domain, embedder, tmp_path, monkeypatch):
    """(folder, {check: measurement}, files) of three checks, one of them under a public name."""
    monkeypatch.setenv("ADAPT_CACHE", "")
    monkeypatch.setenv("ADAPT_PRECISION", "fp32")
    (tmp_path / "pairs.csv").write_text("sentence1,sentence2,score\nheart pain,heart cough,1\nheart pain,skin rash,0\na,b,1\n")
    wanted = {
        "retrieval": ("retrieval", {"folder": str(domain / "test"), "at": [1]}),
        "sts": ("sts", str(domain / "sts-test.csv")),
        "pairs": ("pairs", str(tmp_path / "pairs.csv")),
    }
    found = measure_all(str(embedder), wanted, "test")
    return tmp_path / "out", found, mteb.write(tmp_path / "out", str(embedder), wanted, found, tasks={"retrieval": "NFCorpus"})


def test_files_have_mtebs_layout_and_names(written, embedder):
    folder, found, files = written
    place = folder / "results" / f"local__{embedder.parent.name}" / lookup.weights_digest(embedder)
    assert files == [place / "NFCorpus.json", place / "sts.json", place / "pairs.json"]
    result = json.loads(files[0].read_text())
    assert result["task_name"] == "NFCorpus" and result["mteb_version"] is None and len(result["dataset_revision"]) == 16
    (row,) = result["scores"]["test"]
    metrics = found["retrieval"].metrics
    assert row["hf_subset"] == "default" and row["languages"] == ["eng-Latn"]
    assert row["main_score"] == row["ndcg_at_10"] == metrics["ndcg@10"] and row["map_at_1000"] == metrics["map"]
    assert row["ndcg_at_1"] == metrics["ndcg@1"] and row["recall_at_100"] == metrics["recall@100"]
    (row,) = json.loads(files[1].read_text())["scores"]["test"]
    assert row["main_score"] == row["cosine_spearman"] == row["spearman"] == found["sts"].metrics["spearman"]
    (row,) = json.loads(files[2].read_text())["scores"]["test"]
    assert row["main_score"] == row["cosine_ap"] and {"cosine_f1", "cosine_f1_threshold", "auc"} <= set(row)
    meta = json.loads((place / "model_meta.json").read_text())
    assert meta["name"] == f"local/{embedder.parent.name}" and meta["n_parameters"] > 1_000


def test_wrong_tasks_are_told_at_once(tmp_path, embedder):
    wanted = {"sts": ("sts", "s.csv"), "retrieval": ("retrieval", "r"), "guard-sts": ("sts", "g.csv")}
    tasks = {"sts": "SciFact", "retrieval": "NFCorpuss", "guard-sts": "../x", "pairs": "STS12"}
    with pytest.raises(UserError) as caught:
        mteb.write(tmp_path, str(embedder), wanted, {}, tasks=tasks)
    told = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 4
    for words in ("no check 'pairs'", "of kind retrieval, the check is of kind sts", "NFCorpus'?", "letters, digits"):
        assert words in told, words


def test_models_are_named_as_the_hub_or_the_run(tmp_path):
    (tmp_path / "my run" / "model").mkdir(parents=True)
    assert mteb.model_name(str(tmp_path / "my run" / "model")) == "local/my-run"
    assert mteb.model_name("all-MiniLM-L6-v2") == "sentence-transformers/all-MiniLM-L6-v2"
    assert mteb.model_name("BAAI/bge-small-en") == "BAAI/bge-small-en"


def test_mteb_reads_the_files(written):
    package = pytest.importorskip("mteb")
    folder, found, files = written
    for file, measured in zip(files, found.values(), strict=True):
        task = package.TaskResult.from_disk(file)
        assert task.scores["test"][0]["main_score"] == next(iter(measured.metrics.values()))
    results = package.ResultCache(folder).load_results(validate_and_filter=False, include_remote=False)
    assert {r.task_name for m in results.model_results for r in m.task_results} == {"NFCorpus", "sts", "pairs"}
    table = package.ResultCache(folder).load_results(tasks=["NFCorpus"], include_remote=False).to_dataframe()
    assert found["retrieval"].metrics["ndcg@10"] == pytest.approx(table.iloc[0].to_list()[-1], abs=1e-5)


def test_mteb_runs_our_model_and_finds_what_the_checks_found(written, domain, embedder, tmp_path):
    package = pytest.importorskip("mteb")
    from datasets import Dataset
    from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData
    from sentence_transformers import SentenceTransformer

    lines = {
        name: (domain / "test" / name).read_text().splitlines() for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv")
    }
    rows = {part: [json.loads(line) for line in lines[f"{part}.jsonl"]] for part in ("corpus", "queries")}
    judged = [line.split() for line in lines["qrels/test.tsv"][1:]]
    about = {
        "name": "TinyRetrieval", "description": "d", "reference": None, "eval_splits": ["test"], "eval_langs": ["eng-Latn"],
        "dataset": {"path": "none", "revision": "1"}, "category": "t2t", "modalities": ["text"],
    }  # fmt: skip

    class TinyRetrieval(package.abstasks.AbsTaskRetrieval):
        metadata = package.TaskMetadata(type="Retrieval", main_score="ndcg_at_10", **about)

        def load_data(self, *args, **kwargs):
            corpus = Dataset.from_list([{"id": r["_id"], "title": r["title"], "text": r["text"]} for r in rows["corpus"]])
            queries = Dataset.from_list([{"id": r["_id"], "text": r["text"]} for r in rows["queries"]])
            relevant = {query: {passage: int(grade)} for query, passage, grade in judged}
            self.dataset = {
                "default": {"test": RetrievalSplitData(corpus=corpus, queries=queries, relevant_docs=relevant, top_ranked=None)}
            }
            self.data_loaded = True

    model = SentenceTransformer(str(embedder), device="cpu")
    result = package.evaluate(model, TinyRetrieval(), cache=None, encode_kwargs={"batch_size": 8})
    (theirs,) = result.task_results[0].scores["test"]
    ours = mteb.scores(written[1]["retrieval"].metrics)
    for name in ("ndcg_at_10", "map_at_1000", "mrr_at_10", "recall_at_100", "precision_at_10", "ndcg_at_1"):
        assert ours[name] == pytest.approx(theirs[name], abs=1e-5), name  # MTEB rounds to five digits
