"""Expected contents of a packed row, estimated without a dataset."""

import dataclasses
from collections.abc import Mapping

import ml_collections

from data_pipelines.training.batch import Batch
from data_pipelines.training.examples import Example
from data_pipelines.training.packing import pack_rows
from data_pipelines.training.synthetic import synthetic_rows
from protclip_jax.attention.registry import named
from protclip_jax.training import flops

TEXT_VOCAB_SIZE = 30_522
"""PubMedBERT's vocabulary size, used if the config names no vocabulary."""

SAMPLED_ROWS = 512
"""Synthetic rows from which the expected contents of a row are estimated."""


@dataclasses.dataclass(frozen=True)
class ExpectedRow:
    """Means over packed rows of synthetic records with UniProt's distribution of lengths.

    See `data_pipelines.training.synthetic`.
    """

    pairs: float
    tokens: Mapping[str, float]
    """As in `flops.count_tokens`."""
    visited: Mapping[int, float]
    """By tokens per row, the fraction of the pairs of blocks that the attention visits."""


def expected_row(config: ml_collections.ConfigDict, attention: str) -> ExpectedRow:
    """Expected contents of a row of the config's shape, and what the attention visits of it."""
    rows = synthetic_rows(
        SAMPLED_ROWS,
        seed=0,
        slots=config.batch.slots,
        protein_tokens=config.batch.protein_tokens,
        text_tokens=config.batch.text_tokens,
        max_protein_tokens=config.tokenizer.max_protein_tokens,
        max_text_tokens=config.tokenizer.max_text_tokens,
        text_vocab_size=TEXT_VOCAB_SIZE,
        passes=config.masking.passes,
    )
    batch = packed(rows, config)
    counted = flops.count_tokens(batch)
    tokens = {name: count / SAMPLED_ROWS for name, count in counted.items()}
    backend, dtype = named(attention), config.model.dtype
    streams = (batch.protein_slot_ids, batch.text_segment_ids)
    visited = {ids.shape[1]: backend.visited_share(ids, dtype) for ids in streams}
    return ExpectedRow(batch.slot_mask.sum() / SAMPLED_ROWS, tokens, visited)


def packed(rows: list[list[Example]], config: ml_collections.ConfigDict) -> Batch:
    """Packs rows to the config's shape."""
    shape = config.batch
    return pack_rows(
        rows,
        slots=shape.slots,
        protein_tokens=shape.protein_tokens,
        text_tokens=shape.text_tokens,
    )
