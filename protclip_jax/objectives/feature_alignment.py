"""L_FT: a property's text should lie nearest the residues that UniProt's features assign to the
property (supervised).

An extension of ours to the paper's PDA, off by default (`loss.features`): where an entry's `FT`
lines say which residues do what its text says, they are told to the model.
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
    """−log softmax of the scaled cosines t_k·p_j over the residues of the row, averaged over the
    property's marked residues.

    The softmax runs over the residues of the record and of the row's other records with text, but
    for those that say the same of the property. Without these others, any residue that is typical
    of the *kind* of property would do; with them the residues of other proteins that serve another
    function, go elsewhere, or are of another family are told apart. The residue vectors never leave
    their row. The value depends on which records share a row.

    Args:
      p: projected protein tokens, not normalised.
      slot_ids: 1…S at residues; 0 at specials and padding.
      t: what stands for the properties (`property_vectors`).
      present: which properties the slots' records have.
      property_hashes: hash of each property's text.
      residue_properties: bit k of a residue is set where its record's features assign it to
        property k.
      logit_scale: log of the scale, that of PDA.

    Returns:
      sum over the properties that are present and have marked residues, and their number
      (float32).
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

    # The text of the record that a residue belongs to, [R, K, L], and whether it has any, [R, L].
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
    """Supervision of PDA's alignment by UniProt's features; ours, not the paper's."""

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
