import jax
import numpy as np
import pytest

from protclip_jax.objectives.feature_alignment import feature_alignment
from tests.support import numpy_reference as reference
from tests.support.alignment_inputs import (
    HASHES,
    PROPERTIES,
    RESIDUES,
    packed_inputs,
    random_inputs,
)
from tests.support.packed import PLACEMENTS, pack_slots, pack_tokens

# The residues of each property per record: several, one, none; also residues of a property that the
# record lacks.
MARKED = [
    {0: [0, 1, 5], 1: [2]},
    {1: [3, 4, 11], 2: [0]},
    {2: [1, 2]},
    {0: [0], 3: [4, 5, 6]},
    {0: [], 1: [2]},
    {3: [0]},
]


def packed_bits(placement):
    """uint8 [ROWS, LENGTH]: the marks as bits, including properties that a record lacks."""
    bits = [np.zeros(n + 2, np.uint8) for n in RESIDUES]
    for of_record, marked in zip(bits, MARKED, strict=True):
        for k, residues in marked.items():
            of_record[1:-1][residues] |= 1 << k
    return pack_tokens(bits, PLACEMENTS[placement])[0]


def packed_loss(p, slot_ids, t, logit_scale, hashes, bits):
    mean = feature_alignment(
        p,
        slot_ids,
        t,
        present=hashes != 0,
        property_hashes=hashes,
        residue_properties=bits,
        logit_scale=logit_scale,
    )
    return mean.sum, mean.count


jitted = jax.jit(jax.value_and_grad(packed_loss, argnums=(0, 2, 3), has_aux=True))


def expected_loss(x, placement):
    rows = {}
    for (row, _), protein, t, hashes, marked in zip(
        PLACEMENTS[placement], x["proteins"], x["prototypes"], HASHES, MARKED, strict=True
    ):
        present = {k: t[k] for k in range(PROPERTIES) if hashes[k]}
        texts = dict(enumerate(hashes.tolist()))
        rows.setdefault(row, []).append(
            {"p": protein[1:-1], "t": present, "texts": texts, "marked": marked}
        )
    return reference.feature_alignment(list(rows.values()), x["logit_scale"])


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_loss_and_gradient_equal_numpy(placement):
    x, direction = random_inputs(0), random_inputs(1)
    p, slot_ids, t = packed_inputs(x, placement)
    hashes, bits = pack_slots(HASHES, PLACEMENTS[placement]), packed_bits(placement)
    args = np.float32(p), slot_ids, np.float32(t), np.float32(x["logit_scale"]), hashes, bits
    (total, count), gradients = jax.device_get(jitted(*args))
    expected, expected_count = expected_loss(x, placement)
    np.testing.assert_allclose(total, expected, rtol=1e-4)
    assert count == expected_count == 7

    along_p, _, along_t = packed_inputs(direction, placement)
    slope = sum(map(np.vdot, gradients, (along_p, along_t, direction["logit_scale"])))
    np.testing.assert_allclose(
        slope,
        reference.directional_derivative(lambda y: expected_loss(y, placement)[0], x, direction),
        rtol=1e-3,
    )


@pytest.mark.parametrize(
    "case", ["nothing marked", "no residues", "empty slots", "all vectors zero"]
)
def test_degenerate_batches_are_finite_in_value_and_gradient(case):
    p, slot_ids, t = packed_inputs(random_inputs(2), "packed")
    hashes, bits = pack_slots(HASHES, PLACEMENTS["packed"]), packed_bits("packed")
    if case == "nothing marked":
        bits = 0 * bits
    elif case == "no residues":
        slot_ids = 0 * slot_ids
    elif case == "empty slots":
        hashes = 0 * hashes
    else:
        p, t = 0 * p, 0 * t
    (total, count), gradients = jax.device_get(
        jitted(np.float32(p), slot_ids, np.float32(t), np.float32(2.0), hashes, bits)
    )
    assert all(np.all(np.isfinite(value)) for value in (total, *gradients))
    assert (count == 0) == (case != "all vectors zero")
    assert (total == 0) == (case != "all vectors zero")
