import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from protclip_jax.models.cross_attention import BiotextCrossAttention
from protclip_jax.models.heads import Projection, PrototypeBank, TokenHead, pool_slots, unit_norm
from protclip_jax.objectives.masked_language_model import masked_cross_entropy
from tests.support import numpy_reference as reference
from tests.support import peer_params
from tests.support.packed import PLACEMENTS, ROWS, SLOTS, pack_tokens

WIDTH, DIM, VOCAB, BANK = 7, 12, 33, 9
MODULES = {
    "projection": Projection(DIM),
    "token_head": TokenHead(hidden_size=DIM, vocab_size=VOCAB),
    "prototype_bank": PrototypeBank(BANK, DIM, temperature=0.9),
    "cross_attention": BiotextCrossAttention(DIM, attention="dense"),
}


pool = jax.jit(pool_slots, static_argnums=2)


def random_params(module, *inputs, seed=0):
    """Random float64 parameters in the module's shapes, so that biases and scales matter too."""
    shapes = jax.eval_shape(module.init, jax.random.key(0), *inputs)["params"]
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda s: rng.normal(size=s.shape) / np.sqrt(DIM), shapes)


def apply(module, params, *inputs):
    return np.asarray(jax.jit(module.apply)({"params": jax.tree.map(np.float32, params)}, *inputs))


@pytest.mark.parametrize("name", ["projection", "token_head"])
def test_token_networks_equal_their_formulas(name):
    x = np.random.default_rng(1).normal(size=(2, 5, WIDTH))
    params = random_params(MODULES[name], x)
    expected = getattr(reference, name)(x, params)
    np.testing.assert_allclose(
        apply(MODULES[name], params, np.float32(x)), expected, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("gumbel", [True, False])
def test_prototype_bank_equals_its_formula(gumbel):
    rng = np.random.default_rng(1)
    t, noise = rng.normal(size=(2, 3, 4, DIM)) * 3, rng.gumbel(size=(2, 3, 4, BANK)) * gumbel
    bank = rng.normal(size=(BANK, DIM))
    got = apply(
        MODULES["prototype_bank"],
        {"prototypes": bank},
        np.float32(t),
        np.float32(noise) if gumbel else None,
    )
    chex.assert_shape(got, t.shape)
    for index in np.ndindex(2, 3, 4):
        expected = reference.prototype(t[index], bank, noise[index], 0.9)
        np.testing.assert_allclose(got[index], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("implementation", ["dense", "blockwise"])
def test_cross_attention_reads_only_the_own_record(implementation):
    rng = np.random.default_rng(1)
    proteins = [rng.normal(size=(n, DIM)) for n in (7, 3, 5, 9, 4, 6)]
    texts = [rng.normal(size=(n, DIM)) for n in (4, 8, 6, 5, 2, 7)]
    (protein, slot_ids), (text, text_slot_ids) = (
        pack_tokens(x, PLACEMENTS["permuted_with_gaps"]) for x in (proteins, texts)
    )
    module = BiotextCrossAttention(DIM, attention=implementation)
    params = random_params(module, protein, slot_ids, text, text_slot_ids)
    got = apply(module, params, np.float32(protein), slot_ids, np.float32(text), text_slot_ids)
    for (row, slot), own_protein, own_text in zip(
        PLACEMENTS["permuted_with_gaps"], proteins, texts, strict=True
    ):
        expected = reference.cross_attention(own_protein, own_text, params)
        np.testing.assert_allclose(got[row, slot_ids[row] == slot], expected, rtol=1e-4, atol=1e-5)
    assert not np.any(got[slot_ids == 0])


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_pooling_is_the_mean_of_each_slots_tokens(placement):
    sequences = [np.random.default_rng(n).normal(size=(n, WIDTH)) for n in (7, 3, 5, 9, 4, 6)]
    x, slot_ids = pack_tokens(sequences, PLACEMENTS[placement])
    x[slot_ids == 0] = 100.0
    got = np.array(pool(np.float32(x), slot_ids, SLOTS))
    chex.assert_shape(got, (ROWS, SLOTS, WIDTH))
    for (row, slot), sequence in zip(PLACEMENTS[placement], sequences, strict=True):
        np.testing.assert_allclose(got[row, slot - 1], sequence.mean(0), rtol=1e-5, atol=1e-6)
        got[row, slot - 1] = 0.0
    assert not np.any(got), "a slot without tokens is zero"


def test_pooling_accumulates_bfloat16_in_float32():
    x = np.ones((1, 1001, 1), jnp.bfloat16)
    x[0, 0] = 2.0
    pooled = np.asarray(pool(x, np.ones((1, 1001), np.int32), 1))
    chex.assert_type(pooled, np.float32)
    np.testing.assert_allclose(pooled[0, 0, 0], 1002 / 1001, rtol=1e-6)


def test_unit_norm_of_zero_is_zero_with_a_finite_gradient():
    x = jnp.array([[3.0, 4.0], [0.0, 0.0]])
    np.testing.assert_allclose(unit_norm(x), [[0.6, 0.8], [0.0, 0.0]], rtol=1e-6)
    assert np.all(np.isfinite(jax.jit(jax.grad(lambda x: unit_norm(x).sum()))(x)))


@pytest.mark.parametrize("name", ["projection", "token_head"])
def test_bfloat16_compute_keeps_float32_parameters_and_results(name):
    module = MODULES[name].clone(dtype="bfloat16")
    x = np.random.default_rng(1).normal(size=(2, 5, WIDTH))
    initialised = jax.eval_shape(module.init, jax.random.key(0), x.astype(jnp.bfloat16))
    params = random_params(module, x)
    got = apply(module, params, x.astype(jnp.bfloat16))
    chex.assert_type([got, *jax.tree.leaves(initialised)], np.float32)
    exact = apply(MODULES[name], params, np.float32(x))
    error = np.abs(got - exact).max() / np.abs(exact).max()
    assert 1e-5 < error < 0.03, "in bfloat16, and near float32"


def test_projected_means_equal_the_released_models(peer_recording, peer_weights):
    sides = {
        "protein": peer_recording["batch_protein_attention_mask"],
        "text": peer_recording["batch_text_attention_mask"],
    }
    for side, mask in sides.items():
        params = peer_params.projection(peer_weights, f"{side}_projection")
        hidden = peer_recording[f"batch_{side}_last_hidden_state"]
        pooled = pool(hidden, mask.astype(np.int32), 1)[:, 0]
        embedding = unit_norm(jnp.asarray(apply(Projection(24), params, pooled)))
        np.testing.assert_allclose(
            embedding, peer_recording[f"batch_{side}_embed_masked"], atol=1e-5
        )

    # The four property texts of a record, as four segments of one row.
    mask = peer_recording["batch_subtext_attention_mask"]
    segments = (mask * np.arange(1, 5)[:, None]).reshape(3, -1).astype(np.int32)
    hidden = peer_recording["property_last_hidden_state"].reshape(3, segments.shape[1], -1)
    embedding = apply(Projection(24), params, pool(hidden, segments, 4))
    np.testing.assert_allclose(embedding, peer_recording["property_embed_masked"], atol=1e-5)


@pytest.mark.parametrize(("initial", "norm"), [("unit", 1.0), ("normal", math.sqrt(256))])
def test_prototypes_start_with_this_norm(initial, norm):
    bank = PrototypeBank(128, 256, initial=initial)
    params = bank.init(jax.random.key(0), jnp.zeros((1, 256)), None)["params"]
    norms = np.linalg.norm(params["prototypes"], axis=-1)
    np.testing.assert_allclose(norms.mean(), norm, rtol=0.02)
    np.testing.assert_allclose(norms, norm, rtol=0.2)


def test_prototypes_equal_the_released_models(peer_recording, peer_weights):
    params = {"prototypes": peer_weights["proto_bank.prototype.weight"]}
    bank = PrototypeBank(16, 24, temperature=float(peer_recording["proto_temperature"]))
    properties = peer_recording["property_embed"].reshape(12, 24)
    with_noise = apply(bank, params, properties, peer_recording["proto_noise"])
    np.testing.assert_allclose(with_noise, peer_recording["proto_output"], atol=1e-5)
    without = apply(bank, params, properties, None)
    np.testing.assert_allclose(without, peer_recording["proto_output_noiseless"], atol=1e-5)


HEADS = {
    # name: (input, logits, labels, weight of its loss in the recorded total)
    "mlm_head": ("mlm_last_hidden_state", "mlm_logits", "batch_protein_masked_labels", 0.3),
    "t2p_mlm_head": ("bsr_fused", "bsr_logits", "batch_fragment_masked_labels", 0.7),
}


@pytest.mark.parametrize("name", HEADS)
def test_token_heads_equal_the_released_models_in_value_and_gradient(
    peer_recording, peer_weights, peer_gradients, name
):
    inputs, logits, labels, weight = HEADS[name]
    params = peer_params.token_head(peer_weights, name)
    head = TokenHead(hidden_size=24, vocab_size=VOCAB)
    np.testing.assert_allclose(
        apply(head, params, peer_recording[inputs]), peer_recording[logits], atol=1e-5
    )

    def loss(params):
        labelled = jnp.asarray(peer_recording[labels])
        logits = head.apply({"params": params}, jnp.asarray(peer_recording[inputs]))
        return weight * masked_cross_entropy(logits, labelled, labelled != -100).value()

    gradients = jax.jit(jax.grad(loss))(params)
    chex.assert_trees_all_close(
        gradients, peer_params.token_head(peer_gradients, name), rtol=1e-3, atol=1e-6
    )
