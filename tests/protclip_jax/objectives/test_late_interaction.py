import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from protclip_jax.objectives.late_interaction import POOLINGS, late_interaction
from protclip_jax.objectives.segment_alignment import (
    Properties,
    dynamic_segments,
    segment_alignment,
)
from tests.support import numpy_reference as reference
from tests.support.alignment_inputs import HASHES, PROPERTIES, THETA, packed_inputs, random_inputs
from tests.support.packed import PLACEMENTS, pack_slots

SHARED = {"packed", "permuted_with_gaps"}
"""Placements with several records per row; a record that is alone has no negatives."""


def packed_loss(p, slot_ids, t, logit_scale, hashes, pooling):
    mean = late_interaction(
        p,
        slot_ids,
        t,
        present=hashes != 0,
        property_hashes=hashes,
        theta=THETA,
        logit_scale=logit_scale,
        pooling=pooling,
    )
    return mean.sum, mean.count


jitted = jax.jit(
    jax.value_and_grad(packed_loss, argnums=(0, 2, 3), has_aux=True), static_argnames="pooling"
)


def expected_loss(x, placement, pooling):
    rows = {}
    for (row, _), protein, t, hashes in zip(
        PLACEMENTS[placement], x["proteins"], x["prototypes"], HASHES, strict=True
    ):
        present = {k: t[k] for k in range(PROPERTIES) if hashes[k]}
        rows.setdefault(row, []).append(
            {"p": protein[1:-1], "t": present, "texts": dict(enumerate(hashes.tolist()))}
        )
    return reference.late_interaction(list(rows.values()), THETA, x["logit_scale"], pooling)


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("pooling", POOLINGS)
def test_loss_and_gradient_equal_numpy(pooling, placement):
    x, direction = random_inputs(0), random_inputs(1)
    p, slot_ids, t = packed_inputs(x, placement)
    hashes = pack_slots(HASHES, PLACEMENTS[placement])
    args = np.float32(p), slot_ids, np.float32(t), np.float32(x["logit_scale"]), hashes
    (total, count), gradients = jax.device_get(jitted(*args, pooling=pooling))
    expected, expected_count = expected_loss(x, placement, pooling)
    np.testing.assert_allclose(total, expected, rtol=1e-4)
    assert count == expected_count
    assert (count > 0) == (placement in SHARED)

    along_p, _, along_t = packed_inputs(direction, placement)
    slope = sum(map(np.vdot, gradients, (along_p, along_t, direction["logit_scale"])))
    # Special tokens and padding take no part, whatever their values.
    expected_slope = reference.directional_derivative(
        lambda y: expected_loss(y, placement, pooling)[0], x, direction
    )
    np.testing.assert_allclose(slope, expected_slope, rtol=1e-3, atol=1e-6)


DEGENERATE = {
    "empty": (0 * HASHES, 5, None),
    "no_residues": (HASHES, 0, None),
    "one_residue": (HASHES, 1, None),
    "all_texts_equal": (0 * HASHES + 1, 5, None),
    "all_vectors_equal": (HASHES, 5, 1.0),
    "all_vectors_zero": (HASHES, 5, 0.0),
}


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_batches_are_finite_in_value_and_gradient(case, pooling):
    hashes, residues, fill = DEGENERATE[case]
    x = random_inputs(3)
    p, slot_ids, t = packed_inputs(x, "packed")
    position = np.cumsum(slot_ids > 0, axis=1)
    slot_ids = np.where(position <= residues, slot_ids, 0)
    if fill is not None:
        p, t = np.full_like(p, fill), np.full_like(t, fill)
    hashes = pack_slots(hashes.astype(np.uint32), PLACEMENTS["packed"])
    (total, count), gradients = jax.device_get(
        jitted(np.float32(p), slot_ids, np.float32(t), np.float32(2.0), hashes, pooling=pooling)
    )
    assert all(np.all(np.isfinite(value)) for value in (total, *gradients))
    if case in ("empty", "no_residues", "all_texts_equal"):
        assert (float(total), float(count)) == (0.0, 0.0)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_proteins_that_are_all_alike_cannot_be_told_apart(pooling):
    """Every protein has a residue for every text, none specific to its own.

    Only a leak of the text could help.
    """
    records, width = 4, 8
    p = jnp.tile(10 * jnp.eye(width), (1, records, 1))
    slot_ids = jnp.repeat(jnp.arange(1, records + 1), width)[None]
    t = jnp.eye(width)[None, :records, None]
    hashes = jnp.arange(1, records + 1, dtype=jnp.uint32)[None, :, None]
    present, scale = hashes != 0, {"logit_scale": jnp.float32(math.log(20))}
    segments = dynamic_segments(p, slot_ids, t, present, THETA)
    properties = Properties(*(x[0] for x in (segments, t, present, hashes)))
    leaking = segment_alignment(properties, properties, **scale, negatives="across_records")
    options = {"present": present, "property_hashes": hashes, "theta": THETA, **scale}
    sound = late_interaction(p, slot_ids, t, **options, pooling=pooling)
    assert leaking.value() < 1e-6
    np.testing.assert_allclose(sound.value(), math.log(records), rtol=1e-5)
