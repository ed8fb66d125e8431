"""How long the texts of a step are, in words and in the model's tokens, and how many of them the model cuts."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adapt import files
from adapt.text.scripts import count_words

SAMPLED = 2_000  # texts of a column whose words and tokens are counted, evenly spread over the file
PRODUCTS = ("texts.jsonl", "pairs.jsonl", "scored.csv", "triplets.jsonl", "labelled.csv", "parallel.jsonl")
_SIDES = re.compile(r"(text|anchor|positive|negative(_\d+)?|sentence[12]|premise|hypothesis|source|target)\Z")


def measure(folder: Path, model: Path) -> list[dict[str, Any]]:
    """A row for each column of texts in a step's product: how many, words and tokens (median, 95th percentile), share cut.

    Token columns are None where the model has no tokenizer.json. Negatives are one column.
    """
    product = next((folder / name for name in PRODUCTS if (folder / name).is_file()), None)
    if product is None:
        return []
    columns: dict[str, list[str]] = {}
    for _, row in files.rows(product):
        for name, value in row.items():
            if isinstance(value, str) and value and _SIDES.match(name):
                columns.setdefault("negative" if name.startswith("negative") else name, []).append(value)
    counter, limit = _tokenizer(model)
    found = []
    for name, texts in columns.items():
        step = -(-len(texts) // SAMPLED)
        sample = texts[::step]
        words = [count_words(text) for text in sample]
        row = {"column": name, "count": len(texts), "words": _quantile(words, 0.5), "words_p95": _quantile(words, 0.95)}
        row |= {"tokens": None, "tokens_p95": None, "limit": limit, "cut": None}
        if counter is not None:
            tokens = [len(one.ids) for one in counter.encode_batch(sample)]
            row |= {"tokens": _quantile(tokens, 0.5), "tokens_p95": _quantile(tokens, 0.95)}
            row["cut"] = sum(count > limit for count in tokens) / len(tokens) if limit else None
        found.append(row)
    return found


def _quantile(values: Sequence[int], share: float) -> int:
    """The value that `share` of the values do not exceed."""
    return sorted(values)[max(0, -(-int(1000 * share * len(values)) // 1000) - 1)]


def _tokenizer(model: Path) -> tuple[Any, int | None]:
    """(the model's tokenizer without truncation, the most tokens that it reads); (None, None) where there is no such file."""
    if not (model / "tokenizer.json").is_file():
        return None, None
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    limits = (("sentence_bert_config.json", "max_seq_length"), ("tokenizer_config.json", "model_max_length"))
    for name, key in limits:
        if (model / name).is_file():
            limit = json.loads((model / name).read_text(encoding="utf-8")).get(key)
            if isinstance(limit, int) and 0 < limit < 1_000_000:
                return tokenizer, limit
    return tokenizer, None
