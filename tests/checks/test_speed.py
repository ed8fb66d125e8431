"""Speed on a clock that the test moves, and sizes that can be counted."""

import numpy as np
import pytest

from adapt.checks import speed


def test_latency_and_throughput_by_the_clock(monkeypatch):
    now, calls = [0.0], []
    monkeypatch.setattr(speed.time, "perf_counter", lambda: now[0])

    def encode(texts):
        calls.append(len(texts))
        now[0] += 0.5 if len(calls) == 1 else 0.010 * len(calls) if len(texts) == 1 else 2.0
        return np.zeros((len(texts), 7))

    found = speed.measure(encode, [f"q{i}" for i in range(5)], [f"p{i}" for i in range(50)])
    assert calls == [10, 1, 1, 1, 1, 1, 50]  # a warm-up, each query alone, all passages at once
    waits = [20, 30, 40, 50, 60]  # the warm-up's half second is in none of them
    assert found["latency_ms_p50"] == pytest.approx(40) and found["latency_ms_p95"] == pytest.approx(np.quantile(waits, 0.95))
    assert found["texts_per_second"] == pytest.approx(25) and found["dimensions"] == 7


def test_size_counts_what_torch_counts(embedder, language_model):
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(embedder), device="cpu")
    found = speed.size(embedder)
    assert found["parameters"] == sum(p.numel() for p in model.parameters())
    assert found["megabytes"] == pytest.approx((embedder / "model.safetensors").stat().st_size / 1e6)
    assert speed.size(language_model)["parameters"] == found["parameters"]


def test_counters_are_no_parameters_and_pickles_beside_safetensors_no_weights(tmp_path):
    from safetensors.numpy import save_file

    save_file({"w": np.zeros((3, 4), np.float32), "position_ids": np.zeros(9, np.int64)}, tmp_path / "model.safetensors")
    (tmp_path / "pytorch_model.bin").write_bytes(b"x" * 1_000_000)
    assert speed.size(tmp_path)["parameters"] == 12 and speed.size(tmp_path)["megabytes"] < 0.01
    (tmp_path / "model.safetensors").unlink()
    assert speed.size(tmp_path) == {"megabytes": 1.0}  # a pickle is not opened


def test_a_model_on_disk_is_measured(embedder):
    from adapt.job import Job
    from adapt.pipeline.measurements import BiEncoderModel

    found = speed.measure(
        BiEncoderModel(embedder, Job()).embed, ["heart pain", "skin rash"], ["kidney dose", "liver tablet", "cough"]
    )
    assert found["dimensions"] == 32 and 0 < found["latency_ms_p50"] <= found["latency_ms_p95"] and found["texts_per_second"] > 0
