"""L_GC: symmetric InfoNCE over the global batch (paper: global contrastive loss)."""

from typing import NamedTuple

import chex
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt

from data_pipelines.common.settings import WEIGHT, Setting
from protclip_jax.objectives.global_batch import GlobalBatch
from protclip_jax.objectives.info_nce import (
    inverse_temperature,
    log_sum_candidates,
    symmetric_info_nce,
)
from protclip_jax.objectives.mean import Mean
from protclip_jax.objectives.objective import Objective
from protclip_jax.objectives.rows import Rows


class Pairs(NamedTuple):
    """N slots of a batch; protein n and text n belong to the same record."""

    protein: Float[Array, "N P"]
    """Unit-norm sequence embeddings."""
    text: Float[Array, "N P"]
    """Unit-norm biotext embeddings."""
    real: Bool[Array, " N"]
    """Marks slots that hold a record with text; the others take no part."""
    sequence_hash: UInt[Array, " N"]
    text_hash: UInt[Array, " N"]


class Label(NamedTuple):
    """The data that decides whether two slots are negatives of each other."""

    real: Bool[Array, " N"]
    index: Int[Array, " N"]
    hashes: tuple[UInt[Array, " N"], ...]


def global_contrastive(
    local: Pairs,
    global_: Pairs,
    *,
    first: int | Int[Array, ""],
    logit_scale: Float[Array, ""],
    mask_duplicates: bool,
    chunk: int = 0,
) -> Mean:
    """−log softmax(scale · protein·text) at the own pair, averaged over both directions and slots.

    The directions are protein→text and text→protein. Every other real slot of the global batch is
    a negative.

    Args:
      local: the slots that the loss is computed for: all, or those of one device.
      global_: the slots of the global batch, including the local ones; at most [local, global]
        logits exist at a time.
      first: index of the first local slot in `global_`.
      logit_scale: log of the scale.
      mask_duplicates: excludes pairs with equal biotext or sequence from the denominators, because
        UniProt repeats itself; False is the paper's form.
      chunk: see `reduce_candidates`.

    Returns:
      The sum over the real local slots, and their count (float32).

    Raises:
      AssertionError: the arrays within `local` or `global_` do not match in shape.

    Example:
      Two records whose proteins match their own texts:

      >>> import jax.numpy as jnp
      >>> from protclip_jax.objectives.global_contrastive import Pairs, global_contrastive
      >>> hashes = jnp.array([1, 2], jnp.uint32)
      >>> pairs = Pairs(jnp.eye(2), jnp.eye(2), jnp.array([True, True]), hashes, hashes)
      >>> loss = global_contrastive(
      ...     pairs, pairs, first=0, logit_scale=jnp.log(10.0), mask_duplicates=True
      ... )
      >>> print(f"{loss.value():.6f}")
      0.000045
    """
    check_shapes(local, global_)
    scale = inverse_temperature(logit_scale)
    labels = labels_of(local, first, mask_duplicates), labels_of(global_, 0, mask_duplicates)
    by_protein, by_text = (
        log_sum_candidates(
            scale * anchors.astype(jnp.float32),
            candidates.astype(jnp.float32),
            *labels,
            are_negatives,
            chunk=chunk,
        )
        for anchors, candidates in ((local.protein, global_.text), (local.text, global_.protein))
    )
    positive = scale * jnp.sum(
        local.protein.astype(jnp.float32) * local.text.astype(jnp.float32), axis=-1
    )
    return Mean.over(symmetric_info_nce(positive, by_protein, by_text), local.real)


def check_shapes(*of_pairs: Pairs) -> None:
    """Raises AssertionError if the arrays of any of the pairs do not match in shape."""
    for pairs in of_pairs:
        chex.assert_equal_shape([pairs.protein, pairs.text])
        chex.assert_shape(
            [pairs.real, pairs.sequence_hash, pairs.text_hash], pairs.protein.shape[:1]
        )


def labels_of(pairs: Pairs, first: int | Int[Array, ""], mask_duplicates: bool) -> Label:
    """Labels for `are_negatives`; `first` is the index of the first pair in the global batch."""
    hashes = (pairs.sequence_hash, pairs.text_hash) if mask_duplicates else ()
    return Label(pairs.real, first + jnp.arange(len(pairs.real)), hashes)


def are_negatives(anchor: Label, candidate: Label) -> Bool[Array, "A B"]:
    """Pairs real slots of different records, without those that share a compared hash."""
    admitted = anchor.real & candidate.real & (anchor.index != candidate.index)
    for local, other in zip(anchor.hashes, candidate.hashes, strict=True):
        admitted &= local != other
    return admitted


def pairs_of(
    rows: Rows,
    embedded: tuple[Float[Array, "R S P"], Float[Array, "R S P"]],
    global_batch: GlobalBatch,
) -> Pairs:
    """Builds this device's pairs from the protein and text embeddings of its rows."""
    batch, (protein, text) = rows.batch, embedded
    return global_batch.local(
        Pairs(protein, text, batch.described, batch.sequence_hashes, batch.text_hashes[:, :, 0])
    )


class GlobalContrast(Objective):
    """GC: contrasts each protein with all texts of the global batch, and each text with all."""

    name = "gc"
    title = "global contrastive (GC)"
    weight = Setting(1.0, WEIGHT, "Weight of the global contrast L_GC.")

    def embed(self, rows: Rows) -> tuple[Float[Array, "R S P"], Float[Array, "R S P"]]:
        return rows.protein_embedding, rows.text_embedding

    def contrast(self, rows: Rows, embedded: tuple, global_batch: GlobalBatch) -> Mean:
        local = pairs_of(rows, embedded, global_batch)
        return global_contrastive(
            local,
            global_batch.gather(local),
            first=global_batch.first,
            logit_scale=rows.logit_scale,
            mask_duplicates=self.config.mask_duplicates,
            chunk=self.config.contrast_chunk,
        )
