import numpy as np

from adapt.models.bi_encoder import load_encoder
from adapt.training.denoising_data import tokenize
from tests.tiny import WORDS


def test_texts_are_tokenized_cut_damaged_and_masked_row_by_row(embedder):
    encoder = load_encoder(embedder)
    first, second = " ".join(WORDS[:6]), " ".join(WORDS[6:18])
    read = tokenize(encoder, [first, second], 10)
    whole = encoder.tokenizer([first, second], truncation=True, max_length=10)["input_ids"]
    assert read.clean([1, 0]) == [whole[1], whole[0]] and len(whole[1]) == 10  # cut: two special tokens and eight words
    assert read.units[0].tolist() == [-1, *range(6), -1]
    corrupted = read.corrupted([1], 0.5, seed=1, epoch=0)[0]
    assert 2 < len(corrupted) < 10 and set(corrupted) < set(whole[1])
    assert read.corrupted([0, 1], 0.5, 1, 0)[1] == corrupted != read.corrupted([1], 0.5, 1, 1)[0]  # by row and epoch, not by place
    mask = encoder.tokenizer.mask_token_id
    noisy, chosen = read.masked([0, 1], 0.5, mask, np.array([mask]), seed=1, epoch=0)
    for ids, picked, before in zip(noisy, chosen, whole, strict=True):
        changed = np.array(ids) != before
        assert changed.any() and not (changed & ~picked).any() and set(np.array(ids)[changed]) == {mask}
