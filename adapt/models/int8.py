"""Reading in int8 on a CPU: a transformer in eight bits by OpenVINO, held against fp32 on the user's own texts before it is used.

Weights get a scale per output, activations one per tensor, from a few texts; SmoothQuant (https://arxiv.org/abs/2211.10438) takes
outliers out of these first. For labelling and encoding alone: checks, gates and training read the model itself.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from adapt.errors import UserError
from adapt.job import Job

if TYPE_CHECKING:
    import numpy as np
    import torch

Features = dict[str, "torch.Tensor"]

MIN_SPEARMAN = 0.99  # Spearman with fp32 from which int8 is used
CALIBRATION_TEXTS = 64  # texts that say how large activations get
VALIDATION_TEXTS = 200  # texts, others than these, on which int8 is held against fp32
MIN_TEXTS = 5_000  # texts; for fewer, and short ones, quantising takes as long as it saves


def missing_packages() -> str:
    """What is wrong and what to install where the backend is not there; "" where it is."""
    absent = [name for name in ("openvino", "nncf") if importlib.util.find_spec(name) is None]
    if not absent:
        return ""
    return f"precision int8 needs {' and '.join(absent)}: pip install 'adapt-embeddings[int8]', or use precision auto"


def calibration_texts(texts: Sequence[str]) -> list[str]:
    """The texts to calibrate on, then those to hold against fp32: of the lowest hashes, so that their order does not matter."""
    import xxhash

    return sorted(set(texts), key=lambda text: xxhash.xxh3_128_digest(text.encode()))[: CALIBRATION_TEXTS + VALIDATION_TEXTS]


def cache_suffix(texts: Sequence[str]) -> str:
    """What sets vectors apart that a model calibrated on a sample of these texts gives."""
    import xxhash

    return "-int8-" + xxhash.xxh3_64_hexdigest("\0".join(calibration_texts(texts)).encode())


class QuantizedTransformer:
    """A transformer in int8: called with features [texts, longest], gives its first output, fp32."""

    def __init__(self, transformer: torch.nn.Module, streams: int, calibration: Sequence[Features]):
        """Converted and quantised by the features of single texts; raises whatever OpenVINO does where it can't convert it."""
        import torch

        openvino, nncf = _libraries()
        self.names = list(calibration[0])
        example = tuple(torch.cat([row, row]) for row in calibration[0].values())  # one text alone would be traced as always one
        rows = [tuple(row.numpy() for row in features.values()) for features in calibration]
        with _silence(), torch.inference_mode(False), torch.no_grad():
            whole = openvino.convert_model(_first_output(transformer, self.names), example_input=example)
            # Correcting biases, too, gains nothing (Spearman 0.9975, without 0.9976) and takes a fifth of the time.
            advanced = nncf.AdvancedQuantizationParameters(disable_bias_correction=True)
            small = nncf.quantize(
                whole, nncf.Dataset(rows, list), subset_size=len(rows), model_type=nncf.ModelType.TRANSFORMER,
                advanced_parameters=advanced,
            )  # fmt: skip
            settings = {
                "INFERENCE_NUM_THREADS": torch.get_num_threads(), "NUM_STREAMS": streams, "ENABLE_CPU_PINNING": False
            }  # fmt: skip
            self.compiled, self.own = openvino.Core().compile_model(small, "CPU", settings), threading.local()

    def __call__(self, features: Features) -> torch.Tensor:
        import torch

        if not hasattr(self.own, "request"):
            self.own.request = self.compiled.create_infer_request()
        found = self.own.request.infer([features[name].numpy() for name in self.names])[0]
        return torch.from_numpy(found.copy())  # the request writes into the same memory next time


class QuantizedEncoder:
    """A sentence-transformers model whose transformer reads in int8, while pooling and all that follows stay as they are."""

    def __init__(self, model: Any, quantize: QuantizedTransformer):
        self.tokenizer, self.rest, self.body, self.truncate_dim = model.tokenizer, list(model)[1:], quantize, model.truncate_dim

    def __call__(self, features: Features) -> Features:
        features = features | {"token_embeddings": self.body(features)}
        for module in self.rest:
            features = module(features)
        return features


def quantize(
    transformer: torch.nn.Module,
    streams: int,
    count: int,
    job: Job,
    calibration: Callable[[], Sequence[Features]],
    held: Callable[[QuantizedTransformer | None], np.ndarray],
    what: str,
) -> QuantizedTransformer | None:
    """The transformer in int8; None, and a note that says why, where fp32 is to be used to read `count` texts.

    `streams`: how many threads may call it at once. `calibration` gives single texts' features; `held` numbers [n] of other texts
    (`what`: "cosines"), by int8 or (None) by fp32, whose ranks must agree. Raises UserError where the backend is not installed.
    """
    import numpy as np

    from adapt.metrics import spearman
    from adapt.runtime.device import device

    if missing_packages():
        raise UserError(missing_packages())
    if device().type != "cpu":
        job.note(f"int8 is for processors: reading as ever on {device().type}")
        return None
    if count < MIN_TEXTS:
        job.note(f"int8 pays from {MIN_TEXTS:,} texts on: these {count:,} are read in fp32")
        return None
    try:
        found = QuantizedTransformer(transformer, streams, calibration())
        small, whole = held(found), held(None)
    except Exception as error:  # some kinds of model can't be converted, and OpenVINO says so in a dozen ways
        why = (str(error).strip() or type(error).__name__).splitlines()[-1]
        job.note(f"int8: this model can't be converted ({why}): reading in fp32")
        return None
    agreed, apart = float(spearman(whole, small)[0]), float(np.abs(small - whole).mean())
    if not agreed >= MIN_SPEARMAN:  # nor where it is not a number
        job.note(f"int8: Spearman of {what} with fp32 is {agreed:.4f}, below {MIN_SPEARMAN:g}: reading in fp32")
        return None
    job.note(f"reading in int8: Spearman of {what} with fp32 {agreed:.4f}, mean difference {apart:.4f}, on {len(whole):,}")
    return found


def _first_output(transformer: torch.nn.Module, names: Sequence[str]) -> torch.nn.Module:
    import torch

    class FirstOutput(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.transformer = transformer

        def forward(self, *values):
            return self.transformer(**dict(zip(names, values, strict=True)), return_dict=False)[0]

    return FirstOutput().eval()


def _libraries():
    # Both send word of their use over the network as soon as they are imported, unless this module can't be.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import nncf
    import openvino

    nncf.set_log_level(logging.ERROR)
    return openvino, nncf


@contextlib.contextmanager
def _silence():
    """Keep tracer's warnings and progress bars off the screen."""
    from adapt.models.bi_encoder import quiet_libraries

    with quiet_libraries(), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
