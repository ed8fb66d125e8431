"""Validation of a loaded model: every weight loaded, all of them finite, different outputs for different inputs.

transformers initialises missing weights at random, which no metric would reveal.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from adapt.errors import UserError

PROBE_COUNT, PROBE_TOKENS = 8, 6  # number of probe inputs, and tokens of the vocabulary in each
ROUNDING = 2e-5  # distance of unit vectors, or of scores, that fp32 rounding can cause
MAX_NAMES = 3  # in a message
NEW_HEADS = (
    "classifier",
    "classification_head",
    "score",
    "pre_classifier",
    "pooler",
    "dense",
    "out_proj",
    "head",
    "sequence_summary",
)
_patched = threading.Lock()


@dataclass(frozen=True)
class Loaded:
    """A model as transformers loaded it, with the missing, unexpected and mismatched weights of its checkpoint."""

    network: PreTrainedModel
    missing: frozenset[str]
    unexpected: frozenset[str]
    mismatched: tuple[tuple[str, Sequence[int], Sequence[int]], ...]


@contextmanager
def record_loading() -> Iterator[list[Loaded]]:
    """Record every model that transformers loads inside the block, with its `output_loading_info`."""
    found: list[Loaded] = []
    with _patched:
        usual = PreTrainedModel.__dict__["from_pretrained"]

        def from_pretrained(cls: type, *args: Any, **kwargs: Any) -> Any:
            wanted = kwargs.pop("output_loading_info", False)
            kwargs["ignore_mismatched_sizes"] = True  # reported by `loading_problems`, with names and shapes
            network, info = usual.__func__(cls, *args, output_loading_info=True, **kwargs)
            missing, unexpected = frozenset(info["missing_keys"]), frozenset(info["unexpected_keys"])
            found.append(Loaded(network, missing, unexpected, tuple(sorted(info["mismatched_keys"]))))
            return (network, info) if wanted else network

        PreTrainedModel.from_pretrained = classmethod(from_pretrained)  # type: ignore[method-assign,assignment]
        try:
            yield found
        finally:
            PreTrainedModel.from_pretrained = usual  # type: ignore[method-assign]


def loading_problems(loaded: Iterable[Loaded], new_head: bool = False, unused: Sequence[str] = ()) -> list[str]:
    """How weights and configuration differ, a sentence for each kind of problem; [] where they agree.

    `new_head`: a head may be missing or of another size, since it is to be trained. `unused`: modules that are not used.
    Unexpected weights are a problem only where they are further layers of the model.
    """
    found = []
    for one in loaded:
        prefix = one.network.base_model_prefix + "."

        def excused(name: str, prefix: str = prefix) -> bool:
            parts = name.removeprefix(prefix).split(".")
            return parts[0] in unused or (
                new_head and (parts[0] == "pooler" or (not name.startswith(prefix) and parts[0] in NEW_HEADS))
            )

        missing = sorted(name for name in one.missing if not excused(name))
        shapes = [f"{n} is {list(stored)}, not {list(own)}" for n, stored, own in one.mismatched if not excused(n)]
        kinds = {_kind(name.removeprefix(prefix)) for name in one.network.state_dict()}
        more = sorted(n for n in one.unexpected if re.search(r"\.\d+\.", n) and _kind(n.removeprefix(prefix)) in kinds)
        total = len(one.network.state_dict())
        if missing:
            found.append(f"{len(missing)} of {total} weights are missing: {_listed(missing)}")
        if missing and one.unexpected:
            found.append(f"{len(one.unexpected)} weights are of another architecture: {_listed(sorted(one.unexpected))}")
        if shapes:
            found.append(f"{len(shapes)} weights do not fit config.json: {_listed(shapes)}")
        if more and not missing:
            found.append(f"config.json describes fewer layers than the {len(more)} further weights need: {_listed(more)}")
    return found


def non_finite_names(named: Iterable[tuple[str, torch.Tensor]]) -> list[str]:
    """The names of floating-point tensors that hold NaN or infinity."""
    found = []
    for name, tensor in named:
        if tensor.is_floating_point() and tensor.numel():
            low, high = tensor.detach().aminmax()  # NaN where a value is NaN; one pass, no copy
            if not bool(torch.isfinite(low) & torch.isfinite(high)):
                found.append(name)
    return found


def weight_problems(model: torch.nn.Module) -> list[str]:
    """A problem where weights hold NaN or infinity; [] where all are finite."""
    named = list(model.state_dict().items())
    names = non_finite_names(named)
    return (
        [f"gives no finite vectors: {len(names)} of {len(named)} weights hold NaN or infinity: {_listed(names)}"] if names else []
    )


def tokenizer_problems(tokenizer: Any, rows: int) -> list[str]:
    """Problems of a tokenizer for a model with `rows` token embeddings."""
    vocabulary = tokenizer.get_vocab()
    if not set(vocabulary) - set(getattr(tokenizer, "all_special_tokens", ())):
        return ["holds no tokenizer: its vocabulary is empty"]
    if (highest := max(vocabulary.values())) >= rows:
        return [f"the tokenizer is another model's: it has ids up to {highest:,}, the network has {rows:,} word embeddings"]
    return []


def probe_inputs(tokenizer: Any, limit: int) -> list[list[int]]:
    """Token ids of PROBE_COUNT different inputs of tokens from the vocabulary, so that models of any language can be probed."""
    special = set(tokenizer.all_special_ids)
    ids = sorted(set(tokenizer.get_vocab().values()) - special)
    around = tokenizer("")["input_ids"]
    before = around[: -(-len(around) // 2)]
    room = max(1, min(PROBE_TOKENS, limit - len(around)))
    drawn = [
        ids[(7919 * (1 + number) + 104729 * place * (1 + number)) % len(ids)]
        for number in range(PROBE_COUNT)
        for place in range(room)
    ]
    return [[*before, *drawn[i * room : (i + 1) * room], *around[len(before) :]] for i in range(PROBE_COUNT)]


def max_distance(vectors: torch.Tensor) -> float:
    """The largest distance, 0 to 2, of any two rows of [n, d] after normalisation; NaN where one is not finite."""
    unit = torch.nn.functional.normalize(vectors.float(), dim=1)
    return float(torch.cdist(unit, unit, compute_mode="donot_use_mm_for_euclid_dist").max())


def output_problems(found: torch.Tensor, what: str) -> list[str]:
    """Problems of the embeddings [n, d] or scores [n, 1] of different inputs; `what`: "vector" or "score"."""
    broken = int((~torch.isfinite(found)).any(1).sum())
    if broken:
        return [f"gives no finite {what}s: {broken} of {len(found)} {what}s of a probe hold NaN or infinity"]
    apart = max_distance(found) if what == "vector" else float(found.max() - found.min())
    if len(found) > 1 and apart <= ROUNDING:
        return [f"gives every text the same {what}" if what == "vector" else f"gives every pair the same {what}"]
    return []


def raise_problems(folder: Path, found: Sequence[str]) -> None:
    """Raise UserError with the problems of a model's folder, where there are any."""
    if found:
        raise UserError([f"{folder}: {problem}" for problem in found])


def forward_problems(forward: Callable[[], torch.Tensor], what: str) -> list[str]:
    """Problems of a model's outputs for probe inputs, or of computing them."""
    try:
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            return output_problems(forward().float(), what)
    except (RuntimeError, IndexError, KeyError, TypeError, ValueError, AttributeError) as error:
        why = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
        return [f"can't encode a text: its modules do not fit each other ({type(error).__name__}: {why})"]


def _kind(name: str) -> str:
    return re.sub(r"\.\d+\.", ".*.", name)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:MAX_NAMES]) + (f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else "")
