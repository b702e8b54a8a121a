import numpy as np
import pytest

from data_pipelines.tokenizers import protein_tokenizer
from data_pipelines.training.packing import pack_rows
from data_pipelines.training.synthetic import synthetic_rows

SHAPE = {"slots": 16, "protein_tokens": 2048, "text_tokens": 1536}
LENGTHS = {"max_protein_tokens": 1024, "max_text_tokens": 512, "text_vocab_size": 1000}


@pytest.fixture(scope="module", params=["separate", "shared"])
def batch(request):
    return pack_rows(synthetic_rows(60, seed=3, **SHAPE, **LENGTHS, passes=request.param), **SHAPE)


def test_rows_are_filled_as_training_fills_them(batch):
    assert (batch.protein_slot_ids > 0).mean() > 0.94
    lengths = np.concatenate([np.bincount(row)[1:] for row in batch.protein_slot_ids])
    assert 270 < np.median(lengths[lengths > 0]) < 340
    assert lengths.max() <= 1024
    assert (batch.text_tokens < 1000).all()


def test_records_are_whole(batch):
    firsts, lasts = batch.protein_positions == 0, np.roll(batch.protein_positions, -1, axis=1) == 0
    inside = batch.protein_slot_ids > 0
    assert (batch.protein_tokens[inside & firsts] == protein_tokenizer.CLS).all()
    assert (batch.protein_tokens[inside & lasts] == protein_tokenizer.EOS).all()
    masked = batch.mlm_mask | batch.segment_mask
    assert (batch.protein_tokens[masked] >= 4).all()
    assert 0.1 < batch.mlm_mask.sum() / inside.sum() < 0.16
    # Every present property has a segment of its own, and the name is always there.
    assert ((batch.text_hashes[:, :, 1] != 0) == batch.slot_mask).all()
    segments = np.stack([np.isin(np.arange(1, 81), row) for row in batch.text_segment_ids]).reshape(
        60, 16, 5
    )
    np.testing.assert_array_equal(segments, batch.text_hashes != 0)


def test_a_seed_gives_the_same_rows_again():
    first, second, other = (
        pack_rows(synthetic_rows(3, seed=seed, **SHAPE, **LENGTHS, passes="separate"), **SHAPE)
        for seed in (1, 1, 2)
    )
    for x, y in zip(first, second, strict=True):
        np.testing.assert_array_equal(x, y)
    assert (first.protein_tokens != other.protein_tokens).any()
