"""L_BSR: reconstructs masked segments from the protein and its biotext (paper: BSR)."""

from collections.abc import Callable

import chex
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from data_pipelines.common.settings import WEIGHT, Setting
from data_pipelines.training.batch import Batch
from protclip_jax.objectives.masked_language_model import masked_cross_entropy
from protclip_jax.objectives.mean import Mean
from protclip_jax.objectives.objective import Objective
from protclip_jax.objectives.rows import Rows


def biotext_slot_ids(
    text_slot_ids: Int[Array, "R Lt"], text_property_ids: Int[Array, "R Lt"]
) -> Int[Array, "R Lt"]:
    """Slot ids of full biotexts, which the cross-attention reads; 0 at properties and padding."""
    return jnp.where(text_property_ids == 0, text_slot_ids, 0)


def segment_reconstruction(
    protein: Float[Array, "R L P"],
    attended: Float[Array, "R L P"],
    *,
    head: Callable[[Float[Array, "R L P"]], Float[Array, "R L V"]],
    targets: Int[Array, "R L"],
    mask: Bool[Array, "R L"],
) -> Mean:
    """Cross-entropy of `head(p_j + attention output)` on the residues of the masked segments.

    Without the residual p_j, a token's context would reach the head only through the attention
    weights.

    Args:
      protein: projected tokens p_j of the protein with masked segments, not normalised.
      attended: output of the cross-attention to the record's own biotext (`BiotextCrossAttention`).
      head: the BSR token head.
      targets: the original tokens.
      mask: the residues of the masked segments.

    Returns:
      The sum over the masked residues, and their count (float32).

    Raises:
      AssertionError: `protein` and `attended` differ in shape.

    Example:
      >>> import jax.numpy as jnp
      >>> from protclip_jax.objectives.segment_reconstruction import segment_reconstruction
      >>> protein, mask = jnp.zeros((1, 2, 33)), jnp.array([[True, False]])
      >>> targets = jnp.array([[5, 6]])
      >>> loss = segment_reconstruction(
      ...     protein, protein, head=lambda x: x, targets=targets, mask=mask
      ... )
      >>> print(f"{loss.value():.4f}")  # log 33: all tokens are equally likely
      3.4965
    """
    chex.assert_equal_shape([protein, attended])
    return masked_cross_entropy(head(protein + attended), targets, mask)


class SegmentReconstruction(Objective):
    """BSR: reconstructs masked segments with the help of the record's biotext."""

    name = "bsr"
    title = "segment reconstruction (BSR)"
    weight = Setting(0.7, WEIGHT, "Weight of biotext-guided segment reconstruction L_BSR.")
    masked = True

    def mask(self, batch: Batch) -> Bool[Array, "R L"]:
        return batch.segment_mask

    def loss(self, rows: Rows) -> Mean:
        model, batch = rows.model, rows.batch
        protein = model.project_protein_tokens(rows.masked_hidden(self.name))
        text = model.project_text_tokens(rows.text_hidden)
        text_ids = biotext_slot_ids(batch.text_slot_ids, batch.text_property_ids)
        return segment_reconstruction(
            protein,
            model.attend_to_biotext(protein, batch.protein_slot_ids, text, text_ids),
            head=model.predict_reconstruction,
            targets=batch.protein_tokens,
            mask=batch.segment_mask,
        )
