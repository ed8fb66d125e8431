"""Delete or mask words of a text, as a pure function of (seed, epoch, row): a resumed run sees the same noise.

Wang, Reimers & Gurevych (2021), TSDAE (https://arxiv.org/abs/2104.06979): deletion alone, ratio 0.6, is the best noise.
The ratio is the share of words **deleted**. sentence-transformers' current loss docstring and examples keep a word when
`random() < del_ratio`, which deletes 40 % at 0.6; its older dataset class, and the paper, delete 60 %.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from adapt.text.scripts import is_unspaced


def kept(count: int, share: float, seed: int, epoch: int, row: int) -> np.ndarray:
    """Which of `count` words are kept: a boolean array with each word deleted with probability `share`, at least one kept."""
    draws = np.random.default_rng([seed, epoch, row]).random(count)
    keep = draws >= share
    if count and not keep.any():
        keep[draws.argmax()] = True
    return keep


def word_units(text: str, word_ids: Sequence[int | None], offsets: Sequence[tuple[int, int]], first: int = 0) -> np.ndarray:
    """For each token the number of the word it belongs to, -1 for special tokens and for tokens before character `first`.

    Words are the tokenizer's own (`word_ids`, with `offsets` into `text`), also split at spaces where the tokenizer does not
    split. In a script without spaces a word is one token, or the tokens of one character: there the tokenizer treats a whole
    sentence as one word, so deleting its words would delete everything or nothing.
    """
    units = np.full(len(word_ids), -1, dtype=np.int64)
    unit, word, end = -1, None, 0
    for token, (word_id, (start, stop)) in enumerate(zip(word_ids, offsets, strict=True)):
        if word_id is None or stop <= first:
            continue
        spaced = any(character.isspace() for character in text[end : start + 1])
        # The character before the token counts, too, since the script can change inside a word; a space belongs to the next word.
        unspaced = start >= end and is_unspaced(text[max(0, start - 1) : stop]) and not text[max(0, start - 1) : start].isspace()
        if unit < 0 or word_id != word or spaced or unspaced:
            unit += 1
        units[token], word, end = unit, word_id, stop
    return units


def delete_words(ids: np.ndarray, units: np.ndarray, share: float, seed: int, epoch: int, row: int) -> np.ndarray:
    """Token ids with whole words deleted; special tokens (unit -1) are always kept. Shapes: [n], [n] → [m], m ≤ n."""
    names, numbers = np.unique(units[units >= 0], return_inverse=True)
    keep = np.ones(len(ids), dtype=bool)
    keep[units >= 0] = kept(len(names), share, seed, epoch, row)[numbers]
    return ids[keep]


def mask_words(
    ids: np.ndarray, units: np.ndarray, share: float, mask: int, ordinary: np.ndarray, seed: int, epoch: int, row: int
) -> tuple[np.ndarray, np.ndarray]:
    """(token ids with whole words masked, which tokens were chosen), both [n]; at least one word is chosen.

    Of the chosen tokens 80 % become `mask`, 10 % one of the `ordinary` ids, 10 % are unchanged. Devlin et al. (2019), BERT
    (https://arxiv.org/abs/1810.04805), with its later whole-word masking.
    """
    rng = np.random.default_rng([seed, epoch, row])
    names, numbers = np.unique(units[units >= 0], return_inverse=True)
    draws = rng.random(len(names))
    chosen = np.zeros(len(ids), dtype=bool)
    chosen[units >= 0] = ((draws < share) | (draws == draws.min(initial=1.0)))[numbers]
    action, other = rng.random(len(ids)), rng.choice(ordinary, len(ids))
    masked = np.where(chosen & (action < 0.8), mask, ids)
    return np.where(chosen & (action >= 0.9), other, masked), chosen
