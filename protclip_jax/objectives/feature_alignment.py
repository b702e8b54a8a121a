"""L_FT: aligns a property's text with the residues that UniProt's features assign to it.

This supervised loss is an extension of the paper's PDA and off by default (`loss.features`). It
uses the `FT` lines of an entry, which say which residues carry out what the text describes.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt, UInt8

from data_pipelines.common.settings import WEIGHT, Setting
from protclip_jax.models.heads import unit_norm
from protclip_jax.objectives.info_nce import NO_NEGATIVES, inverse_temperature
from protclip_jax.objectives.mean import Mean
from protclip_jax.objectives.objective import Objective
from protclip_jax.objectives.rows import Rows


def feature_alignment(
    p: Float[Array, "R L P"],
    slot_ids: Int[Array, "R L"],
    t: Float[Array, "R S K P"],
    *,
    present: Bool[Array, "R S K"],
    property_hashes: UInt[Array, "R S K"],
    residue_properties: UInt8[Array, "R L"],
    logit_scale: Float[Array, ""],
) -> Mean:
    """−log softmax of the scaled cosines t_k·p_j, averaged over the property's marked residues.

    The softmax runs over the residues of the record and of the other records with text in its row,
    except those with the same text for the property. Without the other records, any residue typical
    of the *kind* of property would do. With them, the model has to tell the residues from those of
    proteins with another function, location or family. Residue vectors never leave their row, so
    the value depends on which records share a row.

    Args:
      p: projected protein tokens, not normalised.
      slot_ids: 1…S at residues; 0 at special tokens and padding.
      t: property vectors (`property_vectors`).
      present: which properties each slot's record has.
      property_hashes: hash of each property's text.
      residue_properties: bit k is set at residues that the record's features assign to property k.
      logit_scale: log of the scale, shared with PDA.

    Returns:
      The sum over the present properties with marked residues, and their count (float32).

    Example:
      Two residues, of which the first, most similar to the property, is marked:

      >>> import jax.numpy as jnp
      >>> from protclip_jax.objectives.feature_alignment import feature_alignment
      >>> loss = feature_alignment(
      ...     jnp.eye(2)[None],
      ...     jnp.array([[1, 1]]),
      ...     jnp.array([[[[1.0, 0.0]]]]),
      ...     present=jnp.array([[[True]]]),
      ...     property_hashes=jnp.array([[[7]]], jnp.uint32),
      ...     residue_properties=jnp.array([[1, 0]], jnp.uint8),
      ...     logit_scale=jnp.log(10.0),
      ... )
      >>> print(f"{loss.value():.5f}")
      0.00005
    """
    slots, properties = present.shape[1:]
    cosine = jnp.einsum(
        "rskd,rld->rskl", unit_norm(t), unit_norm(p), precision=jax.lax.Precision.HIGHEST
    )
    logits = inverse_temperature(logit_scale) * cosine
    own = (slot_ids[:, None, :] == jnp.arange(1, slots + 1)[:, None])[:, :, None, :]  # [R, S, 1, L]
    bits = (
        residue_properties[:, None, :] >> jnp.arange(properties, dtype=jnp.uint8)[:, None]
    ) & 1  # [R, K, L]
    marked = own & (bits[:, None] > 0) & present[..., None]

    # Hash of the text of the record each residue belongs to [R, K, L]; whether it has text [R, L].
    slot_of = jnp.maximum(slot_ids - 1, 0)
    said = jnp.take_along_axis(jnp.moveaxis(property_hashes, 1, 2), slot_of[:, None, :], axis=2)
    described = (slot_ids > 0) & jnp.take_along_axis(
        jnp.any(property_hashes != 0, axis=-1), slot_of, axis=1
    )
    candidate = described[:, None, None, :] & (own | (said[:, None] != property_hashes[..., None]))
    log_probability = logits - jax.nn.logsumexp(
        jnp.where(candidate, logits, NO_NEGATIVES), axis=-1, keepdims=True
    )
    number = jnp.sum(marked, axis=-1)
    loss = -jnp.sum(jnp.where(marked, log_probability, 0.0), axis=-1) / jnp.maximum(number, 1)
    return Mean.over(loss, number > 0)


class FeatureAlignment(Objective):
    """Supervises PDA's alignment with UniProt's features; not part of the paper."""

    name = "features"
    title = "annotated residues (FT)"
    weight = Setting(
        0.0,
        WEIGHT,
        "Weight of the supervision by UniProt's feature lines, an extension of the paper.",
        before=0.0,
    )
    reads_features = True

    def loss(self, rows: Rows) -> Mean:
        return feature_alignment(
            rows.residues,
            rows.residue_slot_ids,
            rows.properties,
            present=rows.properties_present,
            property_hashes=rows.property_hashes,
            residue_properties=rows.batch.residue_properties,
            logit_scale=rows.segment_logit_scale,
        )
