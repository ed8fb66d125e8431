import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from adapt.text.noise import delete_words, kept, mask_words, word_units


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


SENTENCE = "Severe headaches respond to acetaminophen; migraines don't."


def encoded(tokenizer, text):
    """(ids, units) as the stage reads a text with a `tokenizers` tokenizer."""
    found = tokenizer.encode(text)
    return np.array(found.ids), word_units(text, found.word_ids, found.offsets), found


def trained(kind):
    """A tokenizer with a small vocabulary learnt on a few lines: word pieces, bytes, or sentence pieces."""
    lines = [SENTENCE, "患者出现严重头痛，需要立即治疗。", "ผู้ป่วยมีอาการปวดศีรษะอย่างรุนแรง", "頭痛がひどいときは薬を飲んでください。"]
    tokenizer = Tokenizer({"pieces": models.WordPiece(unk_token="?"), "bytes": models.BPE(), "unigram": models.Unigram()}[kind])
    if kind == "pieces":
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=150, special_tokens=["?"])
    elif kind == "bytes":
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=120, unk_token="?", special_tokens=["?"])
    tokenizer.train_from_iterator(lines, trainer)
    return tokenizer


@pytest.mark.parametrize("kind", ["pieces", "bytes", "unigram"])
def test_units_of_spaced_text_are_the_tokenizers_words(kind):
    ids, units, found = encoded(trained(kind), SENTENCE)
    assert (units >= 0).all() and len(np.unique(units)) < len(ids)
    for left in range(len(ids) - 1):
        assert (units[left] == units[left + 1]) == (found.word_ids[left] == found.word_ids[left + 1])


@pytest.mark.parametrize("kind", ["pieces", "bytes", "unigram"])
@pytest.mark.parametrize(
    "text", ["患者出现严重头痛，需要立即治疗。", "頭痛がひどいときは薬を飲んでください。", "ผู้ป่วยมีอาการปวดศีรษะอย่างรุนแรง"]
)
def test_the_share_holds_in_scripts_without_spaces(kind, text):
    ids, units, found = encoded(trained(kind), text)
    count = len(np.unique(units))
    assert count > len(text) / 4  # a sentence is many units, though a tokenizer may take it for one word
    left = [delete_words(np.arange(len(ids)), units, 0.6, 1, 0, row) for row in range(400)]
    assert abs(1 - np.mean([len(np.unique(units[kept])) / count for kept in left]) - 0.6) < 0.03
    assert all(len(kept) for kept in left)
    if kind == "bytes":  # a character's bytes stay together
        for kept in left[:50]:
            chars = {found.offsets[i] for i in kept}
            assert all(i in kept for i in range(len(ids)) if found.offsets[i] in chars)


def test_mixed_text_loses_whole_english_words_and_single_chinese_characters():
    text = "服用acetaminophen治疗 headaches 有效"
    _, units, found = encoded(trained("bytes"), text)
    spans = [[found.offsets[i] for i in np.flatnonzero(units == unit)] for unit in np.unique(units)]
    words = [text[span[0][0] : span[-1][1]].strip() for span in spans]
    assert words == ["服", "用", "acetaminophen", "治", "疗", "headaches", "有", "效"]


def test_a_tokenizer_that_takes_the_whole_text_for_one_word_is_parted_at_spaces():
    text = "two words here"
    units = word_units(text, [None, 0, 0, 0, 0, None], [(0, 0), (0, 3), (3, 7), (7, 9), (9, 14), (0, 0)])
    assert units.tolist() == [-1, 0, 1, 1, 2, -1]


def test_a_prompt_is_never_deleted():
    units = word_units("query: two words", [None, 0, 1, 2, 3], [(0, 0), (0, 5), (5, 6), (7, 10), (11, 16)], first=7)
    assert units.tolist() == [-1, -1, -1, 0, 1]


def test_whole_words_go_and_special_tokens_stay():
    ids, units = np.array([101, 7, 8, 9, 10, 11, 102]), np.array([-1, 0, 0, 1, 2, 2, -1])
    for row in range(30):
        left = delete_words(ids, units, 0.6, 1, 0, row).tolist()
        assert left[0] == 101 and left[-1] == 102 and len(left) > 2
        assert ((7 in left) == (8 in left)) and ((10 in left) == (11 in left))


def test_masks_take_whole_words_in_berts_shares():
    units = np.array([-1, *np.repeat(np.arange(100), 2), -1])
    ids, ordinary = np.arange(1000, 1202), np.arange(5, 900)
    counts = np.zeros(3)
    chosen_share = []
    for row in range(200):
        masked, chosen = mask_words(ids, units, 0.15, 4, ordinary, 1, 0, row)
        assert not chosen[0] and not chosen[-1] and (chosen[1:-1:2] == chosen[2:-1:2]).all()
        assert (masked[~chosen] == ids[~chosen]).all()
        counts += [
            (masked[chosen] == 4).sum(),
            (masked[chosen] < 900).sum() - (masked[chosen] == 4).sum(),
            (masked >= 1000)[chosen].sum(),
        ]
        chosen_share.append(chosen[1:-1].mean())
    assert np.mean(chosen_share) == pytest.approx(0.15, abs=0.01)
    assert counts / counts.sum() == pytest.approx([0.8, 0.1, 0.1], abs=0.02)


def test_masks_are_a_function_of_seed_epoch_and_row_and_never_none():
    ids, units = np.arange(8), np.array([-1, 0, 1, 2, 3, 4, 5, -1])
    of = [mask_words(ids, units, 0.15, 99, np.arange(8), *at) for at in ((1, 0, 0), (1, 0, 0), (2, 0, 0), (1, 5, 0), (1, 0, 7))]
    assert all((a == b).all() for a, b in zip(of[0], of[1], strict=True))
    assert all(mask_words(ids, units, 0.01, 99, np.arange(8), 1, 0, row)[1].sum() >= 1 for row in range(20))
    assert len({tuple(chosen) for _, chosen in of[1:]}) > 1
