"""The length of a step's texts, in words and in the model's tokens, and the share that the model truncates."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from adapt import files
from adapt.text.scripts import count_words

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SAMPLED = 2_000  # texts of a column whose words and tokens are counted, evenly spread over the file
OUTPUTS = ("texts.jsonl", "pairs.jsonl", "scored.csv", "triplets.jsonl", "labelled.csv", "parallel.jsonl")
_SIDES = re.compile(r"(text|anchor|positive|negative(_\d+)?|sentence[12]|premise|hypothesis|source|target)\Z")


@dataclass(frozen=True)
class ColumnLengths:
    """One column of texts: medians and 95th percentiles of words and tokens, and the share longer than `limit` tokens.

    Token counts are None where the model has no tokenizer.json, `truncated` also where it has no limit.
    """

    column: str
    texts: int
    words: int
    words_p95: int
    tokens: int | None = None
    tokens_p95: int | None = None
    limit: int | None = None
    truncated: float | None = None


def text_lengths(folder: Path, model: Path) -> list[ColumnLengths]:
    """The lengths of each column of texts in a step's output; all negatives are one column."""
    output = next((folder / name for name in OUTPUTS if (folder / name).is_file()), None)
    if output is None:
        return []
    columns: dict[str, list[str]] = {}
    for _, row in files.rows(output):
        for name, value in row.items():
            if isinstance(value, str) and value and _SIDES.match(name):
                columns.setdefault("negative" if name.startswith("negative") else name, []).append(value)
    tokenizer, limit = _tokenizer(model)
    return [_lengths(name, texts, tokenizer, limit) for name, texts in columns.items()]


def _lengths(column: str, texts: Sequence[str], tokenizer: Tokenizer | None, limit: int | None) -> ColumnLengths:
    sample = texts[:: -(-len(texts) // SAMPLED)]
    words = [count_words(text) for text in sample]
    median, p95 = _quantile(words, 0.5), _quantile(words, 0.95)
    if tokenizer is None:
        return ColumnLengths(column, len(texts), median, p95, limit=limit)
    tokens = [len(one.ids) for one in tokenizer.encode_batch(sample)]
    truncated = sum(count > limit for count in tokens) / len(tokens) if limit else None
    return ColumnLengths(
        column, len(texts), median, p95, _quantile(tokens, 0.5), _quantile(tokens, 0.95), limit=limit, truncated=truncated
    )


def _quantile(values: Sequence[int], share: float) -> int:
    """The smallest value that at least `share` of the values do not exceed."""
    return sorted(values)[max(0, -(-int(1000 * share * len(values)) // 1000) - 1)]


def _tokenizer(model: Path) -> tuple[Tokenizer | None, int | None]:
    """(the model's tokenizer without truncation, its limit in tokens); None where the folder does not hold them."""
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
