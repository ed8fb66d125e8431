import json

from adapt.report.lengths import ColumnLengths, text_lengths


def written(folder, name, rows):
    folder.mkdir()
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_words_tokens_and_the_share_that_the_model_truncates(tmp_path, embedder):
    from transformers import AutoTokenizer

    texts = ["heart " * n for n in (1, 2, 3, 62, 63, 100)]
    folder = written(tmp_path / "step", "texts.jsonl", [{"id": "x", "text": text} for text in texts])
    [row] = text_lengths(folder, embedder)
    tokens = sorted(len(AutoTokenizer.from_pretrained(embedder)(text)["input_ids"]) for text in texts)
    assert (tokens[2], tokens[-1]) == (5, 102)
    # 62 words and the two special tokens fit into 64.
    assert row == ColumnLengths("text", 6, words=3, words_p95=100, tokens=5, tokens_p95=102, limit=64, truncated=2 / 6)


def test_every_column_of_texts_is_counted_and_nothing_else(tmp_path):
    rows = [{"anchor": "one two", "positive": "a b c", "negative_1": "d", "negative_2": "e", "origin": "mine"}] * 5_000
    found = {row.column: row for row in text_lengths(written(tmp_path / "step", "triplets.jsonl", rows), tmp_path)}
    assert {name: (row.texts, row.words) for name, row in found.items()} == {
        "anchor": (5_000, 2), "positive": (5_000, 3), "negative": (10_000, 1),
    }  # fmt: skip
    assert found["anchor"].tokens is None and found["anchor"].truncated is None  # without a tokenizer
    assert text_lengths(tmp_path, tmp_path) == []
