"""Cross-encoders: transformers that encode two texts together and give one score."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from adapt.errors import UserError
from adapt.models import int8, model_folder, validation
from adapt.models.bi_encoder import max_positions, pad_batch, quiet_libraries
from adapt.models.lookup import is_cross_encoder
from adapt.models.mixed_precision import set_precision
from adapt.runtime.device import device, seed_all

TokenizedPair = tuple[list[int], list[int]]  # token ids of a pair, and the token type (0: first text, 1: second) of each

# Makes sentence-transformers' CrossEncoder return scores from 0 to 1, as this package does.
SIGMOID_ACTIVATION = {"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Sigmoid"}}
# Labels by which classifiers of pairs name a match, in lower case.
MATCH_LABELS = {
    "entailment", "duplicate", "is_duplicate", "paraphrase", "equivalent", "relevant", "match", "similar", "yes", "label_1",
}  # fmt: skip


def match_index(folder: Path, labels: dict[int, str]) -> int:
    """The index of the output that means a match: the only one, or the one with a match label. Raises UserError."""
    if len(labels) == 1:
        return 0
    # LABEL_1 is the default name of a binary classifier's positive class; among three it means nothing.
    known = MATCH_LABELS - ({"label_1"} if len(labels) > 2 else set())
    found = [index for index, label in labels.items() if str(label).lower().replace(" ", "_") in known]
    if len(found) != 1:
        raise UserError(
            f"{folder}: classifies pairs as {', '.join(map(str, labels.values()))}, none of which is known to mean a match. Give a "
            "cross-encoder with one output, or name the right label 'match' in id2label of its config.json"
        )
    return int(found[0])


class CrossEncoderModel(torch.nn.Module):
    """A sequence classifier with its tokenizer, whose output is one logit per pair: that of a match."""

    def __init__(self, folder: Path, new_head_seed: int | None = None, precision: str = "auto"):
        """Load from `folder`; with a seed, a missing classification head is initialised from it.

        The transformer's layers compute in `precision` (see `set_precision`), pooler and classification head in fp32. Raises
        UserError with all problems where the folder holds no valid model (see `adapt.models.validation`). No code from the folder
        is executed.
        """
        super().__init__()
        model_folder.require_valid(Path(folder))
        try:
            with quiet_libraries(), validation.record_loading() as loaded:
                config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
                has_head = is_cross_encoder(Path(folder))
                if not has_head and new_head_seed is None:
                    raise UserError(f"{folder}: is not a cross-encoder (no classification head); train one: adapt cross-encoder")
                if new_head_seed is not None:
                    config.num_labels = 1
                    seed_all(new_head_seed)
                self.match = match_index(Path(folder), config.id2label)
                # Some tokenizers omit token types though the model has learnt them. A model trained here gets them, and its
                # tokenizer is saved that way; a model from elsewhere gets what its own tokenizer gives, as in other libraries.
                types = new_head_seed is not None and getattr(config, "type_vocab_size", 0) > 1
                more = {"model_input_names": ["input_ids", "token_type_ids", "attention_mask"]} if types else {}
                self.tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, **more)
                self.model = AutoModelForSequenceClassification.from_pretrained(
                    folder, config=config, dtype=torch.float32, trust_remote_code=False
                )
        except UserError:
            raise
        except Exception as error:  # damaged folders raise many types
            raise UserError(
                f"{folder}: holds no model that can classify pairs of texts ({type(error).__name__}: {error})"
            ) from None
        rows = self.model.get_input_embeddings().weight.shape[0]
        validation.raise_problems(folder, validation.loading_problems(loaded, new_head=new_head_seed is not None))
        validation.raise_problems(
            folder, validation.tokenizer_problems(self.tokenizer, rows) or validation.weight_problems(self.model)
        )
        self.max_positions = max_positions(self.model)
        self.eval()
        if new_head_seed is None:
            validation.raise_problems(folder, self._probe_problems())
        set_precision(self, precision)
        self.to(device())

    def _probe_problems(self) -> list[str]:
        """What is wrong with the scores of different pairs, on the CPU and in fp32."""
        ids = validation.probe_inputs(self.tokenizer, self.max_positions or 512)
        pad = self.tokenizer.pad_token_id or 0
        features = pad_batch(ids, pad, torch.device("cpu"))
        return validation.forward_problems(lambda: self._match_logit(self.model(**features).logits.float())[:, None], "score")

    def ids(self, first: Sequence[str], second: Sequence[str], max_length: int) -> list[TokenizedPair]:
        """Tokenised pairs, the longer text truncated until the pair has `limit(max_length)` tokens."""
        return self.ids_and_truncated(first, second, max_length)[0]

    def ids_and_truncated(self, first: Sequence[str], second: Sequence[str], max_length: int) -> tuple[list[TokenizedPair], int]:
        """(tokenised pairs as by `ids`, number of truncated pairs)."""
        if not first:
            return [], 0
        limit = self.limit(max_length)
        encoded = self.tokenizer(
            list(first), list(second), truncation="longest_first", max_length=limit, return_token_type_ids=True
        )
        found = list(zip(encoded["input_ids"], encoded["token_type_ids"], strict=True))
        full = [row for row, (ids, _) in enumerate(found) if len(ids) >= limit]
        # A slow tokenizer does not report truncation: a pair that fits exactly is counted, too.
        truncated = sum(bool(encoded.encodings[row].overflowing) for row in full) if encoded.encodings else len(full)
        return found, truncated

    def limit(self, max_length: int) -> int:
        """The smaller of `max_length` and the model's number of positions, in tokens."""
        return min(max_length, self.max_positions or max_length)

    def features(self, pairs: Sequence[TokenizedPair]) -> dict[str, torch.Tensor]:
        """The classifier's inputs, [pairs, tokens] each."""
        features = pad_batch([ids for ids, _ in pairs], self.tokenizer.pad_token_id or 0, device())
        if "token_type_ids" in self.tokenizer.model_input_names:
            features["token_type_ids"] = pad_batch([types for _, types in pairs], 0, device())["input_ids"]
        return features

    def forward(self, pairs: Sequence[TokenizedPair], quantized: int8.QuantizedTransformer | None = None) -> torch.Tensor:
        """Logits [pairs] in fp32, in one pass: the log-odds of a match where there are several outputs."""
        features = self.features(pairs)
        return self._match_logit(quantized(features) if quantized else self.model(**features).logits.float())

    def _match_logit(self, logits: torch.Tensor) -> torch.Tensor:
        match = logits[:, self.match]
        if logits.shape[1] == 1:
            return match
        rest = [index for index in range(logits.shape[1]) if index != self.match]
        return match - logits[:, rest].logsumexp(1)

    def save(self, folder: Path) -> None:
        """Save to a folder that `sentence_transformers.CrossEncoder` loads, too. Raises OSError."""
        self.model.config.update(SIGMOID_ACTIVATION)
        with quiet_libraries():
            self.model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
        for file in folder.iterdir():
            os.chmod(file, 0o644)
