import numpy as np
import pytest

from adapt.text.noise import delete_words, kept, word_units


@pytest.mark.parametrize("share", [0.2, 0.6, 0.9])
def test_share_is_the_share_of_words_deleted(share):
    deleted = 1 - np.mean([kept(200, share, seed=1, epoch=0, row=row).mean() for row in range(200)])
    assert abs(deleted - share) < 0.01  # 40,000 draws: 0.01 is four standard errors


def test_at_least_one_word_is_kept():
    assert all(kept(3, 1.0, seed=1, epoch=0, row=row).sum() == 1 for row in range(50))
    assert kept(0, 0.6, seed=1, epoch=0, row=0).tolist() == []


def test_noise_is_a_function_of_seed_epoch_and_row():
    first = kept(40, 0.6, seed=1, epoch=2, row=3)
    assert (first == kept(40, 0.6, seed=1, epoch=2, row=3)).all()
    others = [kept(40, 0.6, 9, 2, 3), kept(40, 0.6, 1, 9, 3), kept(40, 0.6, 1, 2, 9)]
    assert all((first != other).any() for other in others)


def test_whole_words_go_and_special_tokens_stay():
    ids = np.array([101, 7, 8, 9, 10, 11, 102])
    units = word_units([None, 0, 0, 1, 2, 2, None])
    for row in range(30):
        left = delete_words(ids, units, 0.6, 1, 0, row).tolist()
        assert left[0] == 101 and left[-1] == 102 and len(left) > 2
        assert ((7 in left) == (8 in left)) and ((10 in left) == (11 in left))


def test_a_text_without_word_boundaries_loses_single_tokens():
    units = word_units([None, *([0] * 20), None])  # twenty tokens that a tokenizer takes for one word
    assert units.tolist() == [-1, *range(20), -1]
    left = delete_words(np.arange(22), units, 0.6, 1, 0, 0)
    assert 3 < len(left) < 18
