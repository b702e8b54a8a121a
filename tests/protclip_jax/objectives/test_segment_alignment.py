import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from protclip_jax.objectives.segment_alignment import (
    NEGATIVES,
    Properties,
    dynamic_segment_weights,
    dynamic_segments,
    segment_alignment,
)
from tests.support import numpy_reference as reference
from tests.support.alignment_inputs import (
    HASHES,
    PROPERTIES,
    THETA,
    WIDTH,
    packed_inputs,
    random_inputs,
)
from tests.support.packed import LENGTH, PLACEMENTS, ROWS, SLOTS, pack_slots, pack_tokens


def packed_loss(p, slot_ids, t, logit_scale, hashes, negatives, chunk=0):
    has_residues = jnp.stack(
        [(slot_ids == slot).any(1) for slot in range(1, t.shape[1] + 1)], axis=1
    )
    present = (hashes != 0) & has_residues[..., None]
    segments = dynamic_segments(p, slot_ids, t, present, THETA)
    properties = Properties(*(x.reshape(-1, *x.shape[2:]) for x in (segments, t, present, hashes)))
    mean = segment_alignment(
        properties, properties, logit_scale=logit_scale, negatives=negatives, chunk=chunk
    )
    return mean.sum, mean.count


weights_of = jax.jit(dynamic_segment_weights, static_argnames="theta")
jitted = jax.jit(
    jax.value_and_grad(packed_loss, argnums=(0, 2, 3), has_aux=True),
    static_argnames=("negatives", "chunk"),
)


def value_and_gradients(*args, negatives, chunk=0):
    """((sum, count), gradients of the sum by p, t and the log scale), as NumPy arrays."""
    return jax.device_get(jitted(*args, negatives=negatives, chunk=chunk))


def expected_loss(x, negatives):
    records = []
    for protein, t, hashes in zip(x["proteins"], x["prototypes"], HASHES, strict=True):
        present = {k: t[k] for k in range(PROPERTIES) if hashes[k]}
        texts = dict(enumerate(hashes.tolist()))
        records.append({"p": protein[1:-1], "t": present, "texts": texts})
    return reference.segment_alignment(records, THETA, x["logit_scale"], negatives)


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("negatives", NEGATIVES)
def test_equals_the_formula_in_value_and_gradient(negatives, placement):
    x = random_inputs(0)
    rng = np.random.default_rng(1)
    direction = jax.tree.map(lambda a: rng.normal(size=np.shape(a)), x)
    p, slot_ids, t = packed_inputs(x, placement)
    hashes = pack_slots(HASHES, PLACEMENTS[placement])

    (total, count), gradients = value_and_gradients(
        np.float32(p),
        slot_ids,
        np.float32(t),
        np.float32(x["logit_scale"]),
        hashes,
        negatives=negatives,
    )
    expected_sum, expected_count = expected_loss(x, negatives)
    assert float(count) == expected_count
    np.testing.assert_allclose(total, expected_sum, rtol=1e-5)

    along_p, _, along_t = packed_inputs(direction, placement)
    slope = sum(map(np.vdot, gradients, (along_p, along_t, direction["logit_scale"])))
    expected_slope = reference.directional_derivative(
        lambda x: expected_loss(x, negatives)[0], x, direction
    )
    np.testing.assert_allclose(slope, expected_slope, rtol=1e-4)


def test_weights_equal_the_formula_and_vanish_elsewhere():
    x = random_inputs(2)
    p, slot_ids, t = packed_inputs(x, "packed")
    hashes = pack_slots(HASHES, PLACEMENTS["packed"])
    weights = weights_of(np.float32(p), slot_ids, np.float32(t), hashes != 0, theta=THETA)
    chex.assert_shape(weights, (ROWS, SLOTS, PROPERTIES, LENGTH))
    expected = np.zeros(weights.shape)
    for record, (row, slot) in enumerate(PLACEMENTS["packed"]):
        for k in np.flatnonzero(HASHES[record]):
            expected[row, slot - 1, k, slot_ids[row] == slot] = reference.segment_weights(
                x["proteins"][record][1:-1], x["prototypes"][record][k], THETA
            )
    np.testing.assert_allclose(weights, expected, rtol=1e-4, atol=1e-6)


def test_equal_similarities_give_uniform_weights():
    weights = weights_of(
        np.ones((1, 6, WIDTH)),
        np.array([[0, 1, 1, 1, 1, 0]]),
        np.ones((1, 1, 1, WIDTH)),
        np.ones((1, 1, 1), bool),
        theta=THETA,
    )
    np.testing.assert_allclose(np.asarray(weights)[0, 0, 0], [0, 0.25, 0.25, 0.25, 0.25, 0])


ALL = np.arange(1, 25, dtype=np.uint32).reshape(6, 4)
FIRST_RECORD, FIRST_PROPERTY = np.arange(6)[:, None] == 0, np.arange(4)[None] == 0
DEGENERATE = {
    # name: (property hashes [records, 4], value of every token and prototype, None = random,
    # residues per record)
    "one_record": (ALL * FIRST_RECORD, None, 5),
    "one_property_each": (ALL * FIRST_PROPERTY, None, 5),
    "one_property_of_one_record": (ALL * (FIRST_RECORD & FIRST_PROPERTY), None, 5),
    "all_similarities_equal": (ALL, 1.0, 5),
    "all_vectors_zero": (ALL, 0.0, 5),
    "one_residue": (ALL, None, 1),
    "no_residues": (ALL, None, 0),
    "all_slots_empty": (0 * ALL, None, 0),
    "all_texts_equal": (0 * ALL + 1, None, 5),
}
NO_LOSS = ("one_property_of_one_record", "no_residues", "all_slots_empty")


def degenerate_loss(case, negatives):
    """((sum, count), gradients) of a case with six records in two rows."""
    hashes, fill, residues = DEGENERATE[case]
    shapes = (ROWS, LENGTH, WIDTH), (ROWS, SLOTS, PROPERTIES, WIDTH)
    rng = np.random.default_rng(3)
    p, t = (
        np.float32(rng.normal(size=shape) if fill is None else np.full(shape, fill))
        for shape in shapes
    )
    _, slot_ids = pack_tokens([np.zeros((residues, 1))] * 6, PLACEMENTS["packed"])
    hashes = pack_slots(hashes.astype(np.uint32), PLACEMENTS["packed"])
    return value_and_gradients(p, slot_ids, t, np.float32(2.0), hashes, negatives=negatives)


@pytest.mark.parametrize("negatives", NEGATIVES)
@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_batches_are_finite_in_value_and_gradient(case, negatives):
    (total, count), gradients = degenerate_loss(case, negatives)
    assert all(np.all(np.isfinite(x)) for x in (total, *gradients))
    if case in NO_LOSS:
        assert (float(total), float(count)) == (0.0, 0.0)
        assert not any(np.any(g) for g in gradients)


def test_records_with_one_property_count_only_across_records():
    assert float(degenerate_loss("one_property_each", "within_record")[0][1]) == 0
    assert float(degenerate_loss("one_property_each", "across_records")[0][1]) == 6


def test_one_record_counts_only_within_records():
    assert float(degenerate_loss("one_record", "within_record")[0][1]) == 1
    assert float(degenerate_loss("one_record", "across_records")[0][1]) == 0


@pytest.mark.parametrize(
    ("negatives", "candidates"), [("within_record", 4), ("across_records", 6), ("both", 9)]
)
def test_what_cannot_be_told_apart_costs_log_of_the_candidates(negatives, candidates):
    (total, count), _ = degenerate_loss("all_similarities_equal", negatives)
    np.testing.assert_allclose(total / count, math.log(candidates), rtol=1e-5)


def test_a_scale_above_100_still_has_its_gradient():
    x = random_inputs(0)
    p, slot_ids, t = packed_inputs(x, "packed")
    hashes = pack_slots(HASHES, PLACEMENTS["packed"])
    (total, _), gradients = value_and_gradients(
        np.float32(p), slot_ids, np.float32(t), np.float32(5.0), hashes, negatives="within_record"
    )

    def loss(log):
        return expected_loss({**x, "logit_scale": log}, "within_record")[0]

    np.testing.assert_allclose(total, loss(5.0), rtol=1e-4)
    slope = (loss(5.0 + 1e-6) - loss(5.0 - 1e-6)) / 2e-6
    np.testing.assert_allclose(gradients[2], slope, rtol=1e-3)


def test_equals_the_released_model_where_it_follows_the_formula(peer_recording):
    p, t = peer_recording["pda_protein"], peer_recording["pda_text"][:, None]
    residues = peer_recording["pda_fixed_positions"]
    present = np.ones((3, 1, 4), bool)
    weights = weights_of(p, residues.astype(np.int32), t, present, theta=THETA)

    similarity = np.einsum("rskd,rld->rkl", np.float64(t), np.float64(p))
    low = np.min(similarity, axis=-1, keepdims=True, where=residues[:, None], initial=np.inf)
    high = np.max(similarity, axis=-1, keepdims=True, where=residues[:, None], initial=-np.inf)
    # Weights jump at the threshold.
    settled = np.abs((similarity - low) / (high - low) - THETA) > 1e-5
    weights = np.asarray(weights)[:, 0]
    np.testing.assert_allclose(
        weights[settled], peer_recording["pda_fixed_weights"][settled], atol=1e-6
    )
    segments = np.einsum("rkl,rld->rkd", weights, p)
    np.testing.assert_allclose(segments, peer_recording["pda_fixed_segments"], rtol=1e-4, atol=1e-5)

    hashes = np.arange(1, 13, dtype=np.uint32).reshape(3, 1, 4)
    logit_scale = np.log(peer_recording["pda_logit_scale"][0])
    (total, count), _ = value_and_gradients(
        p, residues.astype(np.int32), t, logit_scale, hashes, negatives="within_record"
    )
    assert float(count) == 3
    np.testing.assert_allclose(total / count, peer_recording["pda_fixed_loss"], rtol=1e-5)
