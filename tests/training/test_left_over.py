"""Rows that share their positive with all others: trained where they bring a negative, counted where they do not."""

import pytest

from adapt.errors import UserError
from adapt.job import Event, Job
from adapt.models.bi_encoder import load_encoder
from adapt.records import Encoder, Pair, Triplet
from adapt.stages import find
from adapt.training.ranking_data import RankingData


def batches(embedder, rows, gather=False, size=8):
    return RankingData(load_encoder(embedder), rows, 16, 1, gather, 3).batches(range(len(rows)), size, 0)


def test_rows_with_a_hard_negative_are_all_trained(embedder):
    rows = [Triplet(f"fever {i}", "the one answer" if i % 3 else f"answer {i}", (f"rash {i}",)) for i in range(50)]
    found = batches(embedder, rows)
    assert sorted(row for batch in found for row in batch) == list(range(50)) and max(map(len, found)) <= 8


def test_a_batch_that_holds_no_wrong_document_is_left_out(embedder):
    pairs = [Pair(f"fever {i}", "yes" if i % 2 else "no") for i in range(32)]
    assert batches(embedder, pairs, gather=True, size=8) == []
    spread = batches(embedder, pairs)
    assert sum(map(len, spread)) == 32 and {len(batch) for batch in spread} == {2}


def test_rows_that_find_no_negative_are_told_and_a_stage_without_any_stops(embedder):
    rows = [Pair(f"fever {i}", "the one answer" if i < 18 else f"answer {i}") for i in range(20)]
    told: list[str] = []

    def listener(event: Event) -> None:
        told.append(event.text)

    job = Job(3, listener=listener)
    stage = find("finetune").from_options(**{"loss": "mnrl", "max_steps": 1, "batch_size": 4, "max_length": 16})
    stage.run(examples=rows, model=Encoder(embedder), job=job)
    assert job.counts["rows_without_negative"] > 0
    assert any(f"{job.counts['rows_without_negative']} of 20 rows are not trained" in text for text in told)
    with pytest.raises(UserError, match="make no batch"):
        stage.run(examples=rows[:18], model=Encoder(embedder), job=Job(3))
