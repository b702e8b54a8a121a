import jax
import jax.numpy as jnp
import numpy as np
import pytest

from protclip_jax.models.cross_attention import BiotextCrossAttention
from protclip_jax.models.heads import TokenHead
from protclip_jax.objectives.segment_reconstruction import biotext_slot_ids, segment_reconstruction
from tests.support import numpy_reference as reference
from tests.support import peer_params
from tests.support.packed import LENGTH, PLACEMENTS, ROWS, pack_tokens

WIDTH, HIDDEN, VOCAB = 6, 10, 33
PROTEIN_LENGTHS, BIOTEXT_LENGTHS, PROPERTY_LENGTHS = (
    (7, 12, 5, 9, 4, 6),
    (4, 3, 6, 5, 2, 7),
    (2, 0, 3, 4, 1, 0),
)
CROSS_ATTENTION = BiotextCrossAttention(WIDTH, attention="dense")
HEAD = TokenHead(hidden_size=HIDDEN, vocab_size=VOCAB)


def random_linear(rng, inputs, outputs):
    return {
        "kernel": rng.normal(size=(inputs, outputs)) / np.sqrt(inputs),
        "bias": rng.normal(size=outputs),
    }


def random_inputs(seed):
    rng = np.random.default_rng(seed)
    cross_attention = {name: random_linear(rng, WIDTH, WIDTH) for name in ("query", "key", "value")}
    norm = {"scale": rng.normal(size=HIDDEN), "bias": rng.normal(size=HIDDEN)}
    head = {
        "input": random_linear(rng, WIDTH, HIDDEN),
        "norm": norm,
        "output": random_linear(rng, HIDDEN, VOCAB),
    }
    # Each record's text tokens: first the biotext, then the properties.
    text_lengths = np.add(BIOTEXT_LENGTHS, PROPERTY_LENGTHS)
    proteins = [rng.normal(size=(n, WIDTH)) for n in PROTEIN_LENGTHS]
    texts = [rng.normal(size=(n, WIDTH)) for n in text_lengths]
    return {"cross_attention": cross_attention, "head": head, "proteins": proteins, "texts": texts}


def random_targets(seed):
    rng = np.random.default_rng(seed)
    targets = [rng.integers(4, 24, n) for n in PROTEIN_LENGTHS]
    masks = [rng.random(n) < 0.5 for n in PROTEIN_LENGTHS]
    return targets, masks


def expected_loss(x, targets, masks):
    total = 0.0
    for protein, text, length, target, mask in zip(
        x["proteins"], x["texts"], BIOTEXT_LENGTHS, targets, masks, strict=True
    ):
        fused = protein + reference.cross_attention(protein, text[:length], x["cross_attention"])
        total += reference.masked_cross_entropy(
            reference.token_head(fused, x["head"]), target, mask
        )
    return total


def packed(x, placement):
    """Packs proteins and texts of the same tree into rows; also returns the slot ids of both."""
    protein, slot_ids = pack_tokens(x["proteins"], PLACEMENTS[placement])
    text, text_slot_ids = pack_tokens(x["texts"], PLACEMENTS[placement])
    return {**x, "proteins": protein, "texts": text}, slot_ids, text_slot_ids


@jax.jit
def jitted(x, slot_ids, text_slot_ids, property_ids, targets, mask):
    """((sum, count), gradients of the sum by everything in x)."""

    def loss(x):
        readable = biotext_slot_ids(text_slot_ids, property_ids)
        attended = CROSS_ATTENTION.apply(
            {"params": x["cross_attention"]}, x["proteins"], slot_ids, x["texts"], readable
        )
        mean = segment_reconstruction(
            x["proteins"],
            attended,
            head=lambda z: HEAD.apply({"params": x["head"]}, z),
            targets=targets,
            mask=mask,
        )
        return mean.sum, mean.count

    return jax.value_and_grad(loss, has_aux=True)(x)


def value_and_gradients(*args):
    """The results of `jitted` as NumPy arrays."""
    return jax.device_get(jitted(*args))


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_equals_the_formula_in_value_and_gradient(placement):
    x, (targets, masks) = random_inputs(0), random_targets(1)
    rng = np.random.default_rng(2)
    direction = jax.tree.map(lambda a: rng.normal(size=np.shape(a)), x)
    inputs, slot_ids, text_slot_ids = packed(x, placement)
    properties = [
        np.repeat([0, 2], counts) for counts in zip(BIOTEXT_LENGTHS, PROPERTY_LENGTHS, strict=True)
    ]
    property_ids, packed_targets, packed_masks = (
        pack_tokens(values, PLACEMENTS[placement])[0] for values in (properties, targets, masks)
    )
    (total, count), gradients = value_and_gradients(
        jax.tree.map(np.float32, inputs),
        slot_ids,
        text_slot_ids,
        property_ids,
        packed_targets,
        packed_masks,
    )
    assert float(count) == sum(mask.sum() for mask in masks)
    np.testing.assert_allclose(total, expected_loss(x, targets, masks), rtol=1e-5)

    slopes = jax.tree.map(np.vdot, gradients, packed(direction, placement)[0])
    expected_slope = reference.directional_derivative(
        lambda x: expected_loss(x, targets, masks), x, direction
    )
    np.testing.assert_allclose(sum(jax.tree.leaves(slopes)), expected_slope, rtol=1e-4)
    # The keys' bias shifts all scores of a query alike, so it alone has no gradient.
    reached = jax.tree.map(lambda g: bool(np.abs(g).max() > 1e-5), gradients)
    assert not reached["cross_attention"]["key"].pop("bias")
    assert all(jax.tree.leaves(reached))


@pytest.mark.parametrize("empty", ["mask", "text", "everything"])
def test_missing_parts_are_finite_in_value_and_gradient(empty):
    x, (targets, masks) = random_inputs(0), random_targets(1)
    inputs, slot_ids, text_slot_ids = packed(x, "packed")
    targets, masks = (pack_tokens(values, PLACEMENTS["packed"])[0] for values in (targets, masks))
    keep = {"mask": (1, 1, 0), "text": (1, 0, 1), "everything": (0, 0, 0)}[empty]
    (total, count), gradients = value_and_gradients(
        jax.tree.map(np.float32, inputs),
        slot_ids * keep[0],
        text_slot_ids * keep[1],
        np.zeros((ROWS, LENGTH), int),
        targets,
        masks & bool(keep[2]),
    )
    assert np.isfinite(total)
    assert all(np.all(np.isfinite(g)) for g in jax.tree.leaves(gradients))
    if not keep[2]:
        assert (float(total), float(count)) == (0.0, 0.0)
        assert not any(np.any(g) for g in jax.tree.leaves(gradients))


def test_equals_the_released_model_where_it_follows_the_formula(peer_recording, peer_weights):
    attention_mask = jnp.asarray(peer_recording["batch_text_attention_mask"], jnp.int32)
    labels = jnp.asarray(peer_recording["batch_fragment_masked_labels"])
    protein, text = peer_recording["bsr_protein_projected"], peer_recording["bsr_text_projected"]
    attention = BiotextCrossAttention(protein.shape[-1], attention="dense")
    head = TokenHead(hidden_size=protein.shape[-1], vocab_size=VOCAB)
    attention_params = {"params": peer_params.cross_attention(peer_weights)}
    head_params = {"params": peer_params.token_head(peer_weights, "t2p_mlm_head")}

    @jax.jit
    def attended_and_loss(protein, text):
        slot_ids = jnp.ones(protein.shape[:2], jnp.int32)
        attended = attention.apply(attention_params, protein, slot_ids, text, attention_mask)
        # The fixture was recorded without the residual: the head reads only the attention output.
        no_residual = jnp.zeros_like(protein)
        mean = segment_reconstruction(
            no_residual,
            attended,
            head=lambda z: head.apply(head_params, z),
            targets=labels,
            mask=labels != -100,
        )
        return attended, mean.value()

    attended, loss = attended_and_loss(protein, text)
    np.testing.assert_allclose(attended, peer_recording["bsr_fixed_fused"], rtol=1e-4, atol=2e-6)
    np.testing.assert_allclose(loss, peer_recording["bsr_fixed_loss"], rtol=1e-5)
