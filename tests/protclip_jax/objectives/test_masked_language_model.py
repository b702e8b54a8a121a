import jax
import jax.numpy as jnp
import numpy as np
import pytest

from protclip_jax.objectives.masked_language_model import masked_cross_entropy
from tests.support import numpy_reference as reference
from tests.support.packed import LENGTH, PLACEMENTS, ROWS, pack_tokens

LENGTHS = (5, 9, 3, 7, 4, 6)
VOCAB = 33


def random_records(seed):
    rng = np.random.default_rng(seed)
    logits = [rng.normal(size=(n, VOCAB)) * 3 for n in LENGTHS]
    targets = [rng.integers(4, 24, n) for n in LENGTHS]
    masks = [rng.random(n) < 0.4 for n in LENGTHS]
    return logits, targets, masks


@jax.jit
def value_and_gradient(logits, targets, mask):
    """((sum, count), gradient of the sum by the logits)."""

    def loss(logits):
        mean = masked_cross_entropy(logits, targets, mask)
        return mean.sum, mean.count

    return jax.value_and_grad(loss, has_aux=True)(logits)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_equals_the_formula_in_value_and_gradient(placement):
    logits, targets, masks = random_records(0)
    direction = [np.random.default_rng(1).normal(size=x.shape) for x in logits]

    def expected(logits):
        return sum(map(reference.masked_cross_entropy, logits, targets, masks))

    packed, packed_targets, packed_masks, packed_direction = (
        pack_tokens(x, PLACEMENTS[placement])[0] for x in (logits, targets, masks, direction)
    )

    (total, count), gradient = value_and_gradient(np.float32(packed), packed_targets, packed_masks)
    assert float(count) == sum(mask.sum() for mask in masks)
    np.testing.assert_allclose(total, expected(logits), rtol=1e-5)
    slope = reference.directional_derivative(expected, logits, direction)
    np.testing.assert_allclose(np.vdot(gradient, packed_direction), slope, rtol=1e-4)


def test_nothing_masked_is_zero_with_zero_gradient():
    shape = (ROWS, LENGTH)
    (total, count), gradient = value_and_gradient(
        np.ones((*shape, VOCAB), np.float32), np.zeros(shape, int), np.zeros(shape, bool)
    )
    assert (float(total), float(count)) == (0.0, 0.0)
    assert not np.any(np.asarray(gradient))


def test_bfloat16_logits_go_through_a_float32_softmax():
    logits, targets, mask = (np.concatenate(x)[None] for x in random_records(0))
    rounded = logits.astype(jnp.bfloat16)
    got = jax.jit(masked_cross_entropy)(rounded, targets, mask)
    expected = reference.masked_cross_entropy(np.float64(rounded)[0], targets[0], mask[0])
    assert got.sum.dtype == np.float32
    np.testing.assert_allclose(got.sum, expected, rtol=1e-5)


def test_huge_logits_stay_finite():
    logits = np.zeros((ROWS, LENGTH, VOCAB), np.float32)
    logits[:, :, 5] = 1e4
    everywhere = np.ones((ROWS, LENGTH), bool)
    (total, count), gradient = value_and_gradient(logits, np.full((ROWS, LENGTH), 6), everywhere)
    np.testing.assert_allclose(float(total) / float(count), 1e4)
    assert np.all(np.isfinite(np.asarray(gradient)))


def test_equals_the_released_model(peer_recording):
    labels = peer_recording["batch_protein_masked_labels"]
    mean = jax.jit(masked_cross_entropy)(peer_recording["mlm_logits"], labels, labels != -100)
    np.testing.assert_allclose(
        float(mean.sum) / float(mean.count), peer_recording["mlm_loss"], rtol=1e-5
    )
