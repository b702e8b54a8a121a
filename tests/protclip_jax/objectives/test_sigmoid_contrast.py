import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from protclip_jax.objectives.sigmoid_contrast import sigmoid_contrast
from tests.support import numpy_reference as reference
from tests.support.pairs import (
    DUPLICATES,
    NUM_SLOTS,
    RECORDS,
    SLOTS,
    WIDTH,
    placed,
    random_inputs,
    without_hashes,
)


def inputs(seed):
    return random_inputs(seed) | {"bias": np.float64(-1.5)}


def loss_of(pairs, *, mask_duplicates=False, chunk=0, **learnt):
    options = {"mask_duplicates": mask_duplicates, "chunk": chunk}
    return sigmoid_contrast(pairs, pairs, first=0, **learnt, **options)


@functools.partial(jax.jit, static_argnames=("mask_duplicates", "chunk"))
def value_and_gradients(x, slots, mask_duplicates, chunk):
    def loss(x):
        learnt = {"log_scale": x["logit_scale"], "bias": x["bias"]}
        options = {"mask_duplicates": mask_duplicates, "chunk": chunk}
        mean = loss_of(placed(x, slots), **learnt, **options)
        return mean.sum, mean.count

    return jax.value_and_grad(loss, has_aux=True)(x)


@pytest.mark.parametrize("duplicates", [(), DUPLICATES], ids=["paper", "duplicates_masked"])
@pytest.mark.parametrize("slots", SLOTS)
@pytest.mark.parametrize("chunk", [0, 3], ids=["at_once", "chunks"])
def test_equals_the_formula_in_value_and_gradient(duplicates, slots, chunk):
    x = inputs(0)
    direction = jax.tree.map(lambda a: np.random.default_rng(1).normal(size=np.shape(a)), x)

    def expected(x):
        embedded = x["protein"], x["text"]
        return reference.sigmoid_contrast(*embedded, x["logit_scale"], x["bias"], duplicates)

    (total, count), gradient = value_and_gradients(
        jax.tree.map(np.float32, x), np.array(SLOTS[slots]), bool(duplicates), chunk
    )
    assert float(count) == RECORDS
    np.testing.assert_allclose(total, expected(x), rtol=1e-5)
    slope = sum(np.vdot(gradient[name], direction[name]) for name in x)
    wanted = reference.directional_derivative(expected, x, direction)
    np.testing.assert_allclose(slope, wanted, rtol=1e-4)


def test_no_more_logits_exist_than_a_chunk_of_candidates():
    """Also in the backward pass: 64 anchors against 64 candidates in chunks of 16."""
    ones, learnt = jnp.ones((64, WIDTH)), {"log_scale": jnp.float32(1), "bias": jnp.float32(-1)}

    def loss(protein, text):
        return loss_of(without_hashes(protein, text, np.ones(64, bool)), **learnt, chunk=16).value()

    compiled = jax.jit(jax.grad(loss, argnums=(0, 1))).lower(ones, ones).compile().as_text()
    assert "[64,16]" in compiled
    assert "[64,64]" not in compiled


@pytest.mark.parametrize("slots", [[], [4], [1, 4, 7]], ids=["no_record", "one", "all_alike"])
def test_without_negatives_only_the_own_pairs_count(slots):
    mask = np.isin(np.arange(NUM_SLOTS), slots)

    def loss(x):
        pairs = without_hashes(x["protein"], x["text"], mask)
        learnt = {"log_scale": x["logit_scale"], "bias": x["bias"]}
        return loss_of(pairs, **learnt, mask_duplicates=True).value()

    embeddings = np.full((NUM_SLOTS, WIDTH), 0.3, np.float32)
    x = {
        "protein": embeddings,
        "text": embeddings,
        "logit_scale": np.float32(2),
        "bias": np.float32(-1.5),
    }
    value, gradients = jax.jit(jax.value_and_grad(loss))(x)
    own = np.log1p(np.exp(1.5 - np.exp(2.0) * WIDTH * 0.09)) if slots else 0.0
    np.testing.assert_allclose(value, own, rtol=1e-5)
    moved = np.asarray(gradients["protein"]).any(axis=1)
    np.testing.assert_array_equal(moved, mask)
    assert (gradients["bias"] < 0) == bool(slots)


def test_logits_far_from_zero_have_finite_gradients():
    x = jax.tree.map(np.float32, inputs(0)) | {"logit_scale": np.float32(8.0)}
    (total, _), gradients = value_and_gradients(x, np.array(SLOTS["gaps"]), False, 0)
    finite = jax.tree.map(lambda leaf: bool(np.isfinite(leaf).all()), gradients)
    assert np.isfinite(total)
    assert all(finite.values())
