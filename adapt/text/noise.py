"""Delete words from a text, as a pure function of (seed, epoch, row): a resumed run sees the same noise.

Wang, Reimers & Gurevych (2021), TSDAE (https://arxiv.org/abs/2104.06979): deletion alone, ratio 0.6, is the best noise.
The ratio is the share of words **deleted**. sentence-transformers' current loss docstring and examples keep a word when
`random() < del_ratio`, which deletes 40 % at 0.6; its older dataset class, and the paper, delete 60 %.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def kept(count: int, share: float, seed: int, epoch: int, row: int) -> np.ndarray:
    """Which of `count` words stay: a boolean array with each word deleted with probability `share`, at least one kept."""
    draws = np.random.default_rng([seed, epoch, row]).random(count)
    keep = draws >= share
    if count and not keep.any():
        keep[draws.argmax()] = True
    return keep


def word_units(word_ids: Sequence[int | None]) -> np.ndarray:
    """For each token the number of the word it belongs to, -1 for special tokens.

    Where a tokenizer sees hardly any word boundary (Chinese, Japanese or Thai under a sentence-piece model), every token is
    a unit of its own: deleting "words" would delete all or nothing.
    """
    units = np.array([-1 if word is None else word for word in word_ids], dtype=np.int64)
    real = units >= 0
    if real.sum() >= 4 * max(1, len(np.unique(units[real]))):
        units[real] = np.arange(real.sum())
    return units


def delete_words(ids: np.ndarray, units: np.ndarray, share: float, seed: int, epoch: int, row: int) -> np.ndarray:
    """Token ids with whole words deleted; special tokens (unit -1) always stay. Shapes: [n], [n] → [m], m ≤ n."""
    names, numbers = np.unique(units[units >= 0], return_inverse=True)
    stays = np.ones(len(ids), dtype=bool)
    stays[units >= 0] = kept(len(names), share, seed, epoch, row)[numbers]
    return ids[stays]
