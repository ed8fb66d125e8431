import json

from adapt.report.lengths import measure


def written(folder, name, rows):
    folder.mkdir()
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_words_tokens_and_the_share_that_the_model_cuts(tmp_path, embedder):
    from transformers import AutoTokenizer

    texts = ["heart " * n for n in (1, 2, 3, 62, 63, 100)]
    folder = written(tmp_path / "step", "texts.jsonl", [{"id": "x", "text": text} for text in texts])
    [row] = measure(folder, embedder)
    tokens = sorted(len(AutoTokenizer.from_pretrained(embedder)(text)["input_ids"]) for text in texts)
    assert (row["column"], row["count"], row["words"], row["words_p95"]) == ("text", 6, 3, 100)
    assert (row["tokens"], row["tokens_p95"]) == (tokens[2], tokens[-1]) == (5, 102)
    assert (row["limit"], row["cut"]) == (64, 2 / 6)  # 62 words and the two marks at the ends just fit


def test_every_column_of_texts_is_counted_and_nothing_else(tmp_path):
    rows = [{"anchor": "one two", "positive": "a b c", "negative_1": "d", "negative_2": "e", "origin": "mine"}] * 5_000
    found = {row["column"]: row for row in measure(written(tmp_path / "step", "triplets.jsonl", rows), tmp_path)}
    assert {name: (row["count"], row["words"]) for name, row in found.items()} == {
        "anchor": (5_000, 2), "positive": (5_000, 3), "negative": (10_000, 1),
    }  # fmt: skip
    assert found["anchor"]["tokens"] is None and found["anchor"]["cut"] is None  # no tokenizer there
    assert measure(tmp_path, tmp_path) == []
