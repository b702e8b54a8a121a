"""The program itself rejects shapes that would broadcast, without the suite's shape checks."""

import jax.numpy as jnp
import jaxtyping
import pytest

from protclip_jax.objectives.config import ObjectiveConfig
from protclip_jax.objectives.global_contrastive import Pairs, global_contrastive
from protclip_jax.objectives.masked_language_model import masked_cross_entropy
from protclip_jax.objectives.mean import Mean
from protclip_jax.objectives.segment_alignment import mean_over_records
from protclip_jax.objectives.segment_reconstruction import segment_reconstruction
from protclip_jax.training.forward import total_loss


@pytest.fixture(autouse=True)
def without_shape_checks(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def zeros(*shape):
    return jnp.zeros(shape)


def ids(*shape):
    return jnp.zeros(shape, jnp.uint32)


def mask(*shape):
    return jnp.ones(shape, bool)


GOOD_PAIRS = Pairs(zeros(4, 8), zeros(4, 8), mask(4), ids(4), ids(4))


def contrast(local=GOOD_PAIRS, global_=GOOD_PAIRS):
    return global_contrastive(
        local, global_, first=0, logit_scale=jnp.float32(0), mask_duplicates=True
    )


def reconstruct(attended):
    return segment_reconstruction(
        zeros(2, 3, 8), attended, head=lambda x: x, targets=ids(2, 3), mask=mask(2, 3)
    )


def total(sum_, count):
    return total_loss({"gc": Mean(sum_, jnp.float32(1))}, {"gc": count}, ObjectiveConfig())


WRONG = {
    "one text for all proteins": lambda: contrast(local=GOOD_PAIRS._replace(text=zeros(1, 8))),
    "one slot stands for all": lambda: contrast(local=GOOD_PAIRS._replace(real=mask(1))),
    "one sequence hash for all": lambda: contrast(local=GOOD_PAIRS._replace(sequence_hash=ids(1))),
    "one text hash for all candidates": lambda: contrast(
        global_=GOOD_PAIRS._replace(text_hash=ids(1))
    ),
    "one positive for all properties": lambda: mean_over_records(
        zeros(2, 1), (zeros(2, 4), zeros(2, 4)), mask(2, 4)
    ),
    "one log-sum for all properties": lambda: mean_over_records(
        zeros(2, 4), (zeros(2, 4), zeros(2, 1)), mask(2, 4)
    ),
    "one target for all tokens": lambda: masked_cross_entropy(
        zeros(2, 3, 5), ids(2, 1), mask(2, 3)
    ),
    "logits of one token for all": lambda: masked_cross_entropy(
        zeros(2, 1, 5), ids(2, 3), mask(2, 3)
    ),
    "attention of one token for all": lambda: reconstruct(zeros(2, 1, 8)),
    "one mask for all values": lambda: Mean.over(zeros(2, 3), mask(1, 3)),
    "a sum for each row": lambda: total(zeros(2), jnp.float32(1)),
    "a count for each row": lambda: total(jnp.float32(0), zeros(2)),
}


@pytest.mark.parametrize("case", WRONG)
def test_shapes_that_would_broadcast_are_refused(case):
    with pytest.raises(AssertionError, match="shape"):
        WRONG[case]()


def test_shapes_that_match_are_taken():
    assert contrast().count == 4
    assert mean_over_records(zeros(2, 4), (zeros(2, 4), zeros(2, 4)), mask(2, 4)).count == 2
    assert masked_cross_entropy(zeros(2, 3, 5), ids(2, 3), mask(2, 3)).count == 6
    assert reconstruct(zeros(2, 3, 8)).count == 6
    assert total(jnp.float32(3), jnp.float32(1)) == 3
