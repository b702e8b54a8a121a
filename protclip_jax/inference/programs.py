"""The compiled programs of `ProtCLIP`: each runs one packed batch on all devices of the mesh."""

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int

from data_pipelines.tokenizers import protein_tokenizer
from data_pipelines.training.batch import NUM_TEXT_SEGMENTS, Batch
from protclip_jax.inference.batched_calls import SLOTS, everywhere
from protclip_jax.models.heads import pool_slots, sum_slots, unit_norm
from protclip_jax.models.property_vectors import property_embeddings, property_vectors
from protclip_jax.models.protclip import ProtCLIPModel, residue_mask, residue_slot_ids
from protclip_jax.objectives.segment_alignment import dynamic_segment_weights
from protclip_jax.objectives.segment_reconstruction import biotext_slot_ids

RESIDUES = slice(
    protein_tokenizer.VOCABULARY.index("L"), protein_tokenizer.VOCABULARY.index("O") + 1
)
"""Ids of the amino-acid letters that `recover` chooses from."""

PROJECTED_AT_ONCE = 256


@functools.partial(jax.jit, static_argnums=0, static_argnames="kinds")
def represent(
    model: ProtCLIPModel,
    params: Mapping,
    batch: Batch,
    weights: Float[Array, "R L"],
    *,
    kinds: tuple[str, ...],
) -> tuple[Float[Array, "R S 2 D"], Float[Array, "R L D"] | None]:
    """Weighted sums of each slot's token vectors, over all tokens and over residues.

    The token vectors are also returned if requested.
    """
    bound = model.bind({"params": params})
    hidden = bound.encode_protein(
        batch.protein_tokens, batch.protein_slot_ids, batch.protein_positions, SLOTS
    )
    residues = weights * residue_mask(batch.protein_tokens, batch.protein_slot_ids)
    sums = sum_slots(hidden, batch.protein_slot_ids, SLOTS, jnp.stack([weights, residues], axis=-1))
    return everywhere(sums), everywhere(hidden.astype(jnp.float32)) if "residues" in kinds else None


@functools.partial(jax.jit, static_argnums=0)
def project(
    model: ProtCLIPModel, params: Mapping, pooled: Float[Array, "n D"]
) -> Float[Array, "n d"]:
    """Projects means over tokens to unit-norm embeddings."""
    return unit_norm(model.bind({"params": params}).project_protein_tokens(pooled))


def project_all(
    model: ProtCLIPModel, params: Mapping, pooled: Float32[np.ndarray, "n D"]
) -> Float32[np.ndarray, "n d"]:
    """Calls `project` on a fixed number of rows at a time, so that one program serves every n."""
    projected = [np.zeros((0, model.config.projection_dim), np.float32)]
    for start in range(0, len(pooled), PROJECTED_AT_ONCE):
        some = pooled[start : start + PROJECTED_AT_ONCE]
        padded = np.pad(some, ((0, PROJECTED_AT_ONCE - len(some)), (0, 0)))
        projected.append(np.asarray(project(model, params, padded))[: len(some)])
    return np.concatenate(projected)


@functools.partial(jax.jit, static_argnums=0)
def embed_texts(model: ProtCLIPModel, params: Mapping, batch: Batch, _) -> Float[Array, "R S d"]:
    """Unit-norm embeddings of the full biotext of each slot."""
    bound = model.bind({"params": params})
    hidden = bound.encode_text(batch.text_tokens, batch.text_segment_ids, batch.text_positions)
    segments = bound.project_text_segments(hidden, batch.text_segment_ids, SLOTS)
    return everywhere(unit_norm(segments[:, :, 0]))


@functools.partial(jax.jit, static_argnums=0)
def mean_texts(model: ProtCLIPModel, params: Mapping, batch: Batch, _) -> Float[Array, "R S T"]:
    """Means over the tokens of each slot's full biotext, including [CLS] and [SEP]."""
    bound = model.bind({"params": params})
    hidden = bound.encode_text(batch.text_tokens, batch.text_segment_ids, batch.text_positions)
    pooled = pool_slots(hidden, batch.text_segment_ids, SLOTS * NUM_TEXT_SEGMENTS)
    return everywhere(pooled[:, ::NUM_TEXT_SEGMENTS])


@functools.partial(
    jax.jit, static_argnums=0, static_argnames=("theta", "prototypes", "prefix_tokens")
)
def segment_weights(
    model: ProtCLIPModel,
    params: Mapping,
    batch: Batch,
    _,
    *,
    theta: float,
    prototypes: bool,
    prefix_tokens: tuple[int, ...],
) -> Float[Array, "R S K L"]:
    """PDA weights of a row's tokens for the K properties of each slot; 0 in other slots."""
    p = _residue_vectors(model, params, batch)
    t = _text_vectors(model, params, batch, prototypes=prototypes, prefix_tokens=prefix_tokens)
    residues = residue_slot_ids(batch.protein_tokens, batch.protein_slot_ids)
    present = batch.text_hashes[:, :, 1:] != 0
    return everywhere(dynamic_segment_weights(p, residues, t, present, theta))


@functools.partial(jax.jit, static_argnums=0)
def residue_vectors(
    model: ProtCLIPModel, params: Mapping, batch: Batch, _
) -> Float[Array, "R L P"]:
    """The projected protein tokens that `segment_weights` compares with texts, float32."""
    return everywhere(_residue_vectors(model, params, batch).astype(jnp.float32))


@functools.partial(jax.jit, static_argnums=0, static_argnames=("prototypes", "prefix_tokens"))
def text_vectors(
    model: ProtCLIPModel,
    params: Mapping,
    batch: Batch,
    _,
    *,
    prototypes: bool,
    prefix_tokens: tuple[int, ...],
) -> Float[Array, "R S K P"]:
    """The property vectors that `segment_weights` compares with residues, float32."""
    options = {"prototypes": prototypes, "prefix_tokens": prefix_tokens}
    return everywhere(_text_vectors(model, params, batch, **options).astype(jnp.float32))


def _residue_vectors(model: ProtCLIPModel, params: Mapping, batch: Batch) -> Float[Array, "R L P"]:
    bound = model.bind({"params": params})
    hidden = bound.encode_protein(
        batch.protein_tokens, batch.protein_slot_ids, batch.protein_positions, SLOTS
    )
    return bound.project_protein_tokens(hidden)


def _text_vectors(
    model: ProtCLIPModel,
    params: Mapping,
    batch: Batch,
    *,
    prototypes: bool,
    prefix_tokens: tuple[int, ...],
) -> Float[Array, "R S K P"]:
    bound = model.bind({"params": params})

    def run(method, *args):
        return method(bound, *args)

    text = bound.encode_text(batch.text_tokens, batch.text_segment_ids, batch.text_positions)
    embedded = property_embeddings(run, batch, text, prefix_tokens=prefix_tokens)
    return property_vectors(run, embedded, None, prototypes=prototypes)


@functools.partial(jax.jit, static_argnums=0)
def recover(model: ProtCLIPModel, params: Mapping, batch: Batch, _) -> Int[Array, "R L"]:
    """Amino-acid ids that the BSR head predicts at each token, given the slot's biotext.

    The segments are masked.
    """
    bound = model.bind({"params": params})
    tokens = jnp.where(batch.segment_mask, protein_tokenizer.MASK, batch.protein_tokens)
    hidden = bound.encode_protein(tokens, batch.protein_slot_ids, batch.protein_positions, SLOTS)
    text = bound.encode_text(batch.text_tokens, batch.text_segment_ids, batch.text_positions)
    protein = bound.project_protein_tokens(hidden)
    text_ids = biotext_slot_ids(batch.text_slot_ids, batch.text_property_ids)
    attended = bound.attend_to_biotext(
        protein, batch.protein_slot_ids, bound.project_text_tokens(text), text_ids
    )
    logits = bound.predict_reconstruction(protein + attended)
    return everywhere(RESIDUES.start + jnp.argmax(logits[:, :, RESIDUES], axis=-1))
