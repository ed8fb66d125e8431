"""The texts of unsupervised pretraining: selected, tokenized, and corrupted by deleted or masked words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from sentence_transformers import SentenceTransformer

from adapt.models.bi_encoder import prompt_for
from adapt.records import Text
from adapt.text.clean import clean
from adapt.text.near_duplicates import deduplicate
from adapt.text.noise import delete_words, mask_words, word_units
from adapt.text.scripts import count_words
from adapt.text.sentences import sentences


@dataclass(frozen=True)
class TokenizedTexts:
    """Token ids of each text, and to which word each token belongs (-1: none; see `word_units`)."""

    ids: list[np.ndarray]
    units: list[np.ndarray]

    def clean(self, rows: Iterable[int]) -> list[list[int]]:
        """The texts without corruption."""
        return [self.ids[i].tolist() for i in rows]

    def corrupted(self, rows: Iterable[int], share: float, seed: int, epoch: int) -> list[list[int]]:
        """The texts with that fraction of the words deleted, other words in each epoch."""
        return [delete_words(self.ids[i], self.units[i], share, seed, epoch, i).tolist() for i in rows]

    def masked(
        self, rows: Iterable[int], share: float, mask: int, ordinary: np.ndarray, seed: int, epoch: int
    ) -> tuple[list[list[int]], list[np.ndarray]]:
        """(texts with that fraction of the words masked, masks of the chosen tokens); `ordinary`: ids that may replace a word."""
        found = [mask_words(self.ids[i], self.units[i], share, mask, ordinary, seed, epoch, i) for i in rows]
        return [ids.tolist() for ids, _ in found], [chosen for _, chosen in found]


def tokenize(encoder: SentenceTransformer, texts: Sequence[str], max_length: int) -> TokenizedTexts:
    """The texts as `encoder` tokenizes them, with its prompt, cut to `max_length` tokens."""
    prompt = prompt_for(encoder, "")
    given = [prompt + text for text in texts]
    limit = min(max_length, encoder.max_seq_length or max_length)
    tokens = encoder.tokenizer(given, truncation=True, max_length=limit, return_offsets_mapping=True)
    units = [word_units(text, tokens.word_ids(i), tokens["offset_mapping"][i], len(prompt)) for i, text in enumerate(given)]
    return TokenizedTexts([np.asarray(ids) for ids in tokens["input_ids"]], units)


def training_texts(texts: Sequence[Text], split: bool, min_words: int, max_words: int) -> tuple[list[str], int]:
    """(texts to train on, number of near-duplicates removed).

    The texts are sentences of `min_words` to `max_words` words or, where not `split`, whole texts of `min_words` words or more.
    """
    if split:
        found = [sentence for _, sentence in sentences([text.text for text in texts], min_words, max_words)]
    else:
        found = [text for text in (clean(each.text) for each in texts) if count_words(text) >= min_words]
    kept = [found[i] for i in deduplicate(found)]
    return kept, len(found) - len(kept)
