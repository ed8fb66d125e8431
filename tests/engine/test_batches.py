from adapt.engine.batches import by_like_length, gathered, without_repeats


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
