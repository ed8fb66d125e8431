from adapt.records import ConcatSequence, Pair, ScoredPair
from adapt.training.mixing import EpochSampler, interleaved, positive_pairs, row_numbers, sample_sources, split, split_held_out


class InOrder:
    """Stands in for examples: batches of consecutive rows."""

    def batches(self, rows, size, epoch):
        return [rows[i : i + size] for i in range(0, len(rows), size)]


def test_mixed_batches_hold_rows_of_all_sources_and_batches_apart_of_one():
    sources = [list(range(40)), list(range(40, 200))]
    mixed = EpochSampler(sources, (0.25, 0.75), False, 1).batches(InOrder(), 160, 0)
    assert len(mixed) == 1 and sum(row < 40 for row in mixed[0]) == 40 and len(mixed[0]) == 160
    apart = EpochSampler(sources, (0.25, 0.75), True, 1).batches(InOrder(), 10, 0)
    assert sorted(len({row < 40 for row in batch}) for batch in apart) == [1] * 16
    for start in range(0, 16, 4):
        assert sum(batch[0] < 40 for batch in apart[start : start + 4]) == 1


def test_without_shares_every_row_of_every_source_is_used():
    assert EpochSampler([[0, 1], [2, 3, 4]], (), False, 1).rows(7) == [[0, 1], [2, 3, 4]]


def test_joined_records_come_apart_again():
    rows = [ScoredPair(f"a{i}", f"b{i}", i / 4) for i in range(5)]
    parts = split(ConcatSequence([rows[:2], rows[2:]]))
    assert parts == [rows[:2], rows[2:]] and split(rows) == [rows]
    assert positive_pairs(0.25, parts) == [[Pair("a1", "b1")], [Pair(f"a{i}", f"b{i}") for i in (2, 3, 4)]]
    assert row_numbers(parts, [0, 3, 4]) == [[0], [3, 4]]


def test_shares_hold_exactly_the_scarcest_source_is_used_whole_and_nothing_repeats():
    sources = [list(range(100)), list(range(100, 140)), list(range(140, 400))]
    seen = set()
    for epoch in range(100):
        rows = sample_sources(sources, (0.5, 0.25, 0.25), seed=1, epoch=epoch)
        assert [len(some) for some in rows] == [80, 40, 40]
        assert rows[1] == sources[1]
        for some, source in zip(rows, sources, strict=True):
            assert len(set(some)) == len(some) and set(some) <= set(source)
        seen.update(rows[2])
    assert seen == set(sources[2])  # drawn anew: all of it in time
    assert sample_sources(sources, (0.5, 0.25, 0.25), 1, 0) == sample_sources(sources, (0.5, 0.25, 0.25), 1, 0)
    assert sample_sources(sources, (0.5, 0.25, 0.25), 1, 0) != sample_sources(sources, (0.5, 0.25, 0.25), 2, 0)


def test_batches_of_several_sources_alternate_in_proportion():
    few, many = [["few", i] for i in range(3)], [["many", i] for i in range(9)]
    order = interleaved([few, many])
    assert sorted(order) == sorted(few + many)
    for start in range(0, 12, 4):  # one of the few among every four
        assert sum(batch[0] == "few" for batch in order[start : start + 4]) == 1


def test_rows_with_one_key_are_held_out_together():
    keys = [i // 3 for i in range(300)]
    kept, aside = split_held_out(keys, 0.1, seed=1)
    assert sorted(kept + aside) == list(range(300)) and len(aside) == 30
    assert not {keys[i] for i in kept} & {keys[i] for i in aside}
    assert split_held_out(keys, 0.1, 1)[1] == aside != split_held_out(keys, 0.1, 2)[1]
    assert split_held_out(keys, 0.0, 1) == (list(range(300)), [])
