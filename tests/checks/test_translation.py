"""Translation matching against sentence-transformers' evaluator, ties and repeated sentences included."""

import numpy as np
import pytest

from adapt import checks
from adapt.checks.statistics import compare
from adapt.job import Job
from adapt.pipeline.measurements import BiEncoderModel
from adapt.records import Parallel

from ..conftest import SAMPLES, WORDS


class Fake:
    """A model whose vectors are given by text."""

    def __init__(self, table):
        self.table = {text: np.asarray(v, dtype=np.float32) for text, v in table.items()}

    def embed(self, texts, role=""):
        return np.stack([self.table[text] for text in texts])


def test_accuracy_both_ways_by_hand():
    table = {"a": [1, 0], "b": [0, 1], "A": [0.6, 0.8], "B": [0.5, 0.86]}
    rows = [Parallel("a", "A"), Parallel("b", "B"), Parallel("a", "B")]
    found = checks.find("translation").measure(rows, Fake(table))
    assert found.items["accuracy_source_to_target"] == [1.0, 1.0, 0.0]  # a → A, b → B, a → A again
    assert found.items["accuracy_target_to_source"] == [0.0, 1.0, 0.0]  # all are nearest to b
    assert found.items["accuracy"] == [0.5, 1.0, 0.0] and found.metrics["accuracy"] == pytest.approx(0.5)
    assert found.rows == 3 and set(found.metrics) == set(found.items)


@pytest.mark.parametrize("seed", range(3))
def test_translation_agrees_with_sentence_transformers(embedder, seed):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.evaluation import TranslationEvaluator

    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, 4)) for _ in range(60)]
    # Every third row repeats another's target: more than one answer is right. Some rows share whole texts.
    rows = [Parallel(text, " ".join(rng.permutation(text.split())[:3])) for text in texts]
    rows = [Parallel(row.source, rows[i // 2].target) if i % 3 == 0 else row for i, row in enumerate(rows)]
    rows += rows[:4]
    theirs = TranslationEvaluator([r.source for r in rows], [r.target for r in rows], name="t", write_csv=False)
    wanted = theirs(SentenceTransformer(str(embedder), device="cpu"))
    found = checks.find("translation").measure(rows, BiEncoderModel(embedder, Job())).metrics
    assert found["accuracy_source_to_target"] == pytest.approx(wanted["t_src2trg_accuracy"])
    assert found["accuracy_target_to_source"] == pytest.approx(wanted["t_trg2src_accuracy"])
    assert found["accuracy"] == pytest.approx(wanted["t_mean_accuracy"])
    assert 0 < found["accuracy"] < 1


def test_equal_scores_go_to_the_first_as_in_sentence_transformers():
    table = {"a": [1, 0], "b": [1, 0], "A": [1, 0], "B": [1, 0]}
    found = checks.find("translation").measure([Parallel("a", "A"), Parallel("b", "B")], Fake(table))
    assert found.items["accuracy_source_to_target"] == [1.0, 0.0] == found.items["accuracy_target_to_source"]


def test_large_sets_are_compared_block_by_block(monkeypatch):
    from adapt.checks.kinds import translation

    rng = np.random.default_rng(1)
    rows = [Parallel(f"s{i}", f"t{i}") for i in range(50)]
    model = Fake({side: rng.normal(size=3) for row in rows for side in (row.source, row.target)})
    whole = checks.find("translation").measure(rows, model)
    monkeypatch.setattr(translation, "BLOCK", 7)
    assert checks.find("translation").measure(rows, model) == whole


def test_two_models_are_compared_sentence_by_sentence_and_both_sides_are_held_out():
    check = checks.find("translation")
    rows = check.read(str(SAMPLES / "data" / "parallel.csv"))
    assert (
        check.protected_texts(rows) == ["a fever", "une fièvre", "a cough", "une toux"]
        and checks.kind_of("fr-translation") == "translation"
    )
    blind = Fake({text: [1, 0] for text in check.protected_texts(rows)})
    good = Fake({"a fever": [1, 0], "une fièvre": [1, 0], "a cough": [0, 1], "une toux": [0, 1]})
    delta = compare("accuracy", check.measure(rows, blind), check.measure(rows, good))
    assert delta.value == pytest.approx(0.5) and 0 <= delta.low <= delta.high <= 1
