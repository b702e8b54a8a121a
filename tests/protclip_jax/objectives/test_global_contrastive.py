import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from protclip_jax.objectives.global_contrastive import global_contrastive
from protclip_jax.objectives.info_nce import log_sum_negatives, symmetric_info_nce
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


def loss_of(pairs, *, mask_duplicates=False, chunk=0, **options):
    return global_contrastive(
        pairs, pairs, first=0, mask_duplicates=mask_duplicates, chunk=chunk, **options
    )


@functools.partial(jax.jit, static_argnames=("mask_duplicates", "chunk"))
def value_and_gradients(x, slots, mask_duplicates, chunk=0):
    """((sum, count), gradients of the sum) with the records at `slots`."""

    def loss(x):
        options = {"mask_duplicates": mask_duplicates, "chunk": chunk}
        mean = loss_of(placed(x, slots), logit_scale=x["logit_scale"], **options)
        return mean.sum, mean.count

    return jax.value_and_grad(loss, has_aux=True)(x)


@pytest.mark.parametrize("duplicates", [(), DUPLICATES], ids=["paper", "duplicates_masked"])
@pytest.mark.parametrize("slots", SLOTS)
@pytest.mark.parametrize("chunk", [0, 3], ids=["at_once", "chunks"])
def test_equals_the_formula_in_value_and_gradient(duplicates, slots, chunk):
    x = random_inputs(0)
    direction = jax.tree.map(lambda a: np.random.default_rng(1).normal(size=np.shape(a)), x)

    def expected(x):
        return reference.global_contrastive(x["protein"], x["text"], x["logit_scale"], duplicates)

    (total, count), gradient = value_and_gradients(
        jax.tree.map(np.float32, x),
        np.array(SLOTS[slots]),
        mask_duplicates=bool(duplicates),
        chunk=chunk,
    )
    assert float(count) == RECORDS
    np.testing.assert_allclose(total, expected(x), rtol=1e-5)
    slope = sum(np.vdot(gradient[name], direction[name]) for name in x)
    np.testing.assert_allclose(
        slope, reference.directional_derivative(expected, x, direction), rtol=1e-4
    )


def test_no_more_logits_exist_than_a_chunk_of_candidates():
    """Also in the backward pass: 64 anchors against 64 candidates in chunks of 16."""
    pairs = jax.tree.map(
        jnp.asarray, without_hashes(*(np.ones((64, WIDTH), np.float32),) * 2, np.ones(64, bool))
    )

    def loss(protein, text):
        own = pairs._replace(protein=protein, text=text)
        return loss_of(own, logit_scale=jnp.float32(1), chunk=16).value()

    compiled = (
        jax.jit(jax.grad(loss, argnums=(0, 1))).lower(pairs.protein, pairs.text).compile().as_text()
    )
    assert "[64,16]" in compiled
    assert "[64,64]" not in compiled


def test_a_scale_above_100_still_has_its_gradient():
    x = {**random_inputs(0), "logit_scale": np.float64(5.0)}
    slots, step = np.array(SLOTS["in_order"]), 1e-6
    (total, _), gradients = value_and_gradients(
        jax.tree.map(np.float32, x), slots, mask_duplicates=False
    )
    loss = functools.partial(reference.global_contrastive, x["protein"], x["text"])
    np.testing.assert_allclose(total, loss(5.0), rtol=1e-5)
    slope = (loss(5.0 + step) - loss(5.0 - step)) / (2 * step)
    np.testing.assert_allclose(gradients["logit_scale"], slope, rtol=1e-4)


@pytest.mark.parametrize("slots", [[], [4]], ids=["all_slots_empty", "one_record"])
def test_without_negatives_the_loss_is_zero_and_so_is_every_gradient(slots):
    mask = jnp.isin(jnp.arange(NUM_SLOTS), jnp.array(slots, int))

    def loss(protein, text, logit_scale):
        return loss_of(without_hashes(protein, text, mask), logit_scale=logit_scale).value()

    embeddings = np.full((NUM_SLOTS, WIDTH), 0.3, np.float32)
    value, gradients = jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2)))(
        embeddings, embeddings, np.float32(2.0)
    )
    assert float(value) == 0.0
    assert not any(np.any(np.asarray(g)) for g in gradients)


def test_no_intermediate_of_the_backward_pass_is_nan_without_negatives():
    def loss(logits):
        return jnp.sum(
            symmetric_info_nce(jnp.zeros(2), *log_sum_negatives(logits, jnp.zeros((2, 2), bool)))
        )

    with jax.debug_nans(True):
        assert not np.any(np.asarray(jax.grad(loss)(np.ones((2, 2), np.float32))))


def test_equal_embeddings_everywhere_cost_log_of_the_batch():
    same = {name: np.full((RECORDS, WIDTH), 0.3, np.float32) for name in ("protein", "text")}
    slots = np.array(SLOTS["in_order"])
    (total, count), _ = value_and_gradients(
        {**same, "logit_scale": np.float32(3.0)}, slots, mask_duplicates=False
    )
    np.testing.assert_allclose(float(total) / float(count), math.log(RECORDS), rtol=1e-6)


def test_equals_the_released_model(peer_recording, peer_gradients):
    recorded = peer_recording

    @jax.jit
    def loss(protein, text, s):
        return loss_of(without_hashes(protein, text, jnp.ones(3, bool)), logit_scale=s).value()

    logit_scale = np.log(recorded["logit_scale"])
    singles = []
    for side in ("protein", "text"):
        singles.append(np.concatenate([recorded[f"single{i}_{side}_embed"] for i in range(3)]))
    masked = [recorded[f"batch_{side}_embed_masked"] for side in ("protein", "text")]
    np.testing.assert_allclose(loss(*singles, logit_scale), recorded["singles_cl_loss"], rtol=1e-5)
    np.testing.assert_allclose(
        loss(*masked, logit_scale), recorded["batch_cl_loss_masked"], rtol=1e-5
    )
    # The released training step contrasted embeddings pooled over padding; its loss is the same
    # function of them.
    padded = [recorded[f"batch_{side}_embed"] for side in ("protein", "text")]
    np.testing.assert_allclose(loss(*padded, logit_scale), recorded["batch_cl_loss"], rtol=1e-5)
    slope = jax.jit(jax.grad(loss, argnums=2))(*padded, logit_scale)
    np.testing.assert_allclose(slope, peer_gradients["logit_scale"], rtol=1e-4)
