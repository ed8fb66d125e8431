from adapt.engine.batches import by_like_length, drawn, gathered, interleaved, set_aside, without_repeats


def test_every_row_is_used_once_and_batches_hold_like_lengths():
    lengths = [i % 37 for i in range(500)]
    batches = by_like_length(lengths, 16, seed=1, epoch=0)
    assert sorted(i for batch in batches for i in batch) == list(range(500))
    spread = sum(max(lengths[i] for i in b) - min(lengths[i] for i in b) for b in batches) / len(batches)
    assert spread < 2
    assert batches == by_like_length(lengths, 16, 1, 0) != by_like_length(lengths, 16, 1, 1)


def test_no_two_rows_of_a_batch_share_a_key():
    keys = [(("a", i // 3), ("p", i % 40)) for i in range(300)]
    batches = without_repeats(keys, 16, seed=1, epoch=0)
    used = [i for batch in batches for i in batch]
    assert len(used) == len(set(used)) >= 295
    for batch in batches:
        seen = [key for i in batch for key in keys[i]]
        assert len(seen) == len(set(seen))


def test_gathered_rows_bring_their_positives_and_neighbours_along():
    positives = [i // 3 for i in range(300)]  # three rows for each of a hundred positives, in clusters of five
    neighbours = [[5 * (p // 5) + (p + 1) % 5, "no row's positive"] for p in positives]
    batches = gathered(positives, neighbours, 16, seed=1, epoch=0)
    assert sorted(i for batch in batches for i in batch) == list(range(300))
    home = {positives[i]: number for number, batch in enumerate(batches) for i in batch}
    assert all(home[positives[i]] == number for number, batch in enumerate(batches) for i in batch)
    together = sum(home[p] == home[n[0]] for p, n in zip(positives, neighbours, strict=True)) / 300
    assert together > 0.3  # 16 batches: by chance it would be 0.06


def test_shares_hold_exactly_the_scarcest_source_is_used_whole_and_nothing_repeats():
    sources = [list(range(100)), list(range(100, 140)), list(range(140, 400))]
    seen = set()
    for epoch in range(100):
        rows = drawn(sources, (0.5, 0.25, 0.25), seed=1, epoch=epoch)
        assert [len(some) for some in rows] == [80, 40, 40]
        assert rows[1] == sources[1]
        for some, source in zip(rows, sources, strict=True):
            assert len(set(some)) == len(some) and set(some) <= set(source)
        seen.update(rows[2])
    assert seen == set(sources[2])  # drawn anew: all of it in time
    assert drawn(sources, (0.5, 0.25, 0.25), 1, 0) == drawn(sources, (0.5, 0.25, 0.25), 1, 0)
    assert drawn(sources, (0.5, 0.25, 0.25), 1, 0) != drawn(sources, (0.5, 0.25, 0.25), 2, 0)


def test_batches_of_several_sources_alternate_in_proportion():
    few, many = [["few", i] for i in range(3)], [["many", i] for i in range(9)]
    order = interleaved([few, many])
    assert sorted(order) == sorted(few + many)
    for start in range(0, 12, 4):  # one of the few among every four
        assert sum(batch[0] == "few" for batch in order[start : start + 4]) == 1


def test_rows_with_one_key_are_held_out_together():
    keys = [i // 3 for i in range(300)]
    kept, aside = set_aside(keys, 0.1, seed=1)
    assert sorted(kept + aside) == list(range(300)) and len(aside) == 30
    assert not {keys[i] for i in kept} & {keys[i] for i in aside}
    assert set_aside(keys, 0.1, 1)[1] == aside != set_aside(keys, 0.1, 2)[1]
    assert set_aside(keys, 0.0, 1) == (list(range(300)), [])
