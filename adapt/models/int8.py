"""Int8 inference on a CPU: a transformer quantised by OpenVINO, used only where its results agree with fp32 on the user's texts.

Weights are scaled per output channel, activations per tensor, calibrated on a few texts after SmoothQuant
(https://arxiv.org/abs/2211.10438) has reduced their outliers. For labelling and encoding only: checks, gates and training use the
model itself.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from adapt.errors import UserError
from adapt.job import Job

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch
    from sentence_transformers import SentenceTransformer

Features = dict[str, "torch.Tensor"]

MIN_SPEARMAN = 0.99  # correlation with fp32 from which int8 is used
CALIBRATION_TEXTS = 64  # texts that calibrate the range of activations
VALIDATION_TEXTS = 200  # other texts, on which int8 is compared with fp32
MIN_TEXTS = 5_000  # for fewer short texts, quantising takes as long as it saves


def missing_packages() -> str:
    """What to install where OpenVINO or NNCF is missing, a sentence; "" where both are installed."""
    missing = [name for name in ("openvino", "nncf") if importlib.util.find_spec(name) is None]
    if not missing:
        return ""
    return f"precision int8 needs {' and '.join(missing)}: pip install 'adapt-embeddings[int8]', or use precision auto"


def calibration_texts(texts: Sequence[str]) -> list[str]:
    """The texts for calibration, then those for validation: those with the lowest hashes, whatever the order of `texts`."""
    import xxhash

    return sorted(set(texts), key=lambda text: xxhash.xxh3_128_digest(text.encode()))[: CALIBRATION_TEXTS + VALIDATION_TEXTS]


def cache_suffix(texts: Sequence[str]) -> str:
    """A name for the embeddings of a model calibrated on these texts, which differ from those of another calibration."""
    import xxhash

    return "-int8-" + xxhash.xxh3_64_hexdigest("\0".join(calibration_texts(texts)).encode())


class QuantizedTransformer:
    """A transformer in int8: takes features [texts, tokens], returns its first output as fp32."""

    def __init__(self, transformer: torch.nn.Module, streams: int, calibration: Sequence[Features]):
        """Convert and quantise; `calibration`: features of single texts. Raises OpenVINO's errors where it can't be converted."""
        import torch

        openvino, nncf = _libraries()
        self.names = list(calibration[0])
        # Two texts: a batch of one would be traced with a constant batch size.
        example = tuple(torch.cat([row, row]) for row in calibration[0].values())
        rows = [tuple(row.numpy() for row in features.values()) for features in calibration]
        with _quiet(), torch.inference_mode(False), torch.no_grad():
            converted = openvino.convert_model(_first_output(transformer, self.names), example_input=example)
            # Bias correction gains nothing (Spearman 0.9975, without it 0.9976) and takes a fifth of the time.
            advanced = nncf.AdvancedQuantizationParameters(disable_bias_correction=True)
            quantized = nncf.quantize(
                converted, nncf.Dataset(rows, list), subset_size=len(rows), model_type=nncf.ModelType.TRANSFORMER,
                advanced_parameters=advanced,
            )  # fmt: skip
            settings = {
                "INFERENCE_NUM_THREADS": torch.get_num_threads(), "NUM_STREAMS": streams, "ENABLE_CPU_PINNING": False
            }  # fmt: skip
            self.compiled, self.local = openvino.Core().compile_model(quantized, "CPU", settings), threading.local()

    def __call__(self, features: Features) -> torch.Tensor:
        import torch

        if not hasattr(self.local, "request"):
            self.local.request = self.compiled.create_infer_request()
        output = self.local.request.infer([features[name].numpy() for name in self.names])[0]
        return torch.from_numpy(output.copy())  # the request reuses its memory


class QuantizedEncoder:
    """A sentence-transformers model whose transformer is in int8; pooling and later modules stay in fp32."""

    def __init__(self, model: SentenceTransformer, transformer: QuantizedTransformer):
        self.tokenizer, self.truncate_dim = model.tokenizer, model.truncate_dim
        self.transformer, self.later_modules = transformer, list(model)[1:]

    def __call__(self, features: Features) -> Features:
        features = features | {"token_embeddings": self.transformer(features)}
        for module in self.later_modules:
            features = module(features)
        return features


def quantize(
    transformer: torch.nn.Module,
    streams: int,
    count: int,
    job: Job,
    calibration: Callable[[], Sequence[Features]],
    validate: Callable[[QuantizedTransformer | None], npt.NDArray[np.floating[Any]]],
    what: str,
) -> QuantizedTransformer | None:
    """The transformer in int8, for inference on `count` texts; None, and a note with the reason, where fp32 is to be used.

    `streams`: threads that call it at the same time. `calibration` returns features of single texts. `validate` returns the
    results [n] for other texts, with the quantised model or (None) in fp32: their rank correlation must reach MIN_SPEARMAN.
    `what` names the results in notes: "cosines". Raises UserError where a package is missing.
    """
    import numpy as np

    from adapt.metrics import spearman
    from adapt.runtime.device import device

    if missing_packages():
        raise UserError(missing_packages())
    if device().type != "cpu":
        job.note(f"int8 inference is for CPUs: not used on {device().type}")
        return None
    if count < MIN_TEXTS:
        job.note(f"int8 inference pays from {MIN_TEXTS:,} texts on: these {count:,} are computed in fp32")
        return None
    try:
        quantized = QuantizedTransformer(transformer, streams, calibration())
        results, expected = validate(quantized), validate(None)
    except Exception as error:  # OpenVINO raises many types for models that it can't convert
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
        job.note(f"int8: this model can't be converted ({reason}); using fp32")
        return None
    correlation, difference = float(spearman(expected, results)[0]), float(np.abs(results - expected).mean())
    if not correlation >= MIN_SPEARMAN:  # also where it is NaN
        job.note(f"int8: Spearman of {what} with fp32 is {correlation:.4f}, below {MIN_SPEARMAN:g}; using fp32")
        return None
    job.note(
        f"int8 inference: Spearman of {what} with fp32 {correlation:.4f}, mean difference {difference:.4f}, on {len(expected):,}"
    )
    return quantized


def _first_output(transformer: torch.nn.Module, names: Sequence[str]) -> torch.nn.Module:
    import torch

    class FirstOutput(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.transformer = transformer

        def forward(self, *values: torch.Tensor) -> torch.Tensor:
            output: torch.Tensor = self.transformer(**dict(zip(names, values, strict=True)), return_dict=False)[0]
            return output

    return FirstOutput().eval()


def _libraries() -> tuple[Any, Any]:
    """(openvino, nncf), which have no types."""
    # Both send telemetry on import, unless this module can't be imported.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import nncf
    import openvino

    nncf.set_log_level(logging.ERROR)
    return openvino, nncf


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the tracer's warnings and progress bars."""
    from adapt.models.bi_encoder import quiet_libraries

    with quiet_libraries(), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
