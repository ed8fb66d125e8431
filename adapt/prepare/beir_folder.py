"""Write a folder in BEIR's layout: corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from adapt.storage.atomic import atomic_file, write_text


def write_beir(
    folder: Path,
    corpus: Iterable[Mapping[str, object]],
    queries: Iterable[Mapping[str, object]],
    qrels: Mapping[str, Sequence[tuple[str, str]]],
) -> None:
    """Write the corpus and the queries (rows with `_id` and `text`), and the (query id, passage id) pairs of each split."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    for name, rows in (("queries", queries), ("corpus", corpus)):
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        write_text(folder / f"{name}.jsonl", lines, durable=False)
    for split, pairs in qrels.items():
        path = folder / "qrels" / f"{split}.tsv"
        with atomic_file(path, durable=False) as part, open(part, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter="\t", lineterminator="\n")
            writer.writerow(["query-id", "corpus-id", "score"])
            writer.writerows([query, passage, 1] for query, passage in pairs)
