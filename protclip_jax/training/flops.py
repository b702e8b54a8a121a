"""Model FLOPs of a training step and MFU, without padding, recomputation and skipped blocks.

The forward pass of a tower with N layers, width D and feed-forward width F costs
2·N·(4·D² + 2·D·F) FLOPs per token, and 4·N·D·n² for the attention of a segment of n tokens. With
gradients it costs three times as much. Heads, cross-attention and losses are not counted (about 5 %
of the 650M model's step).
MFU = model FLOPs / (seconds × devices × the device's specified dense bfloat16 peak).
"""

from collections.abc import Mapping

import jax
import numpy as np

from data_pipelines.training.batch import Batch
from protclip_jax.distributed.chips import peak_flops
from protclip_jax.models.protclip import ProtCLIPConfig
from protclip_jax.objectives.config import ObjectiveConfig


def count_tokens(batch: Batch) -> dict[str, int]:
    """Counts real tokens and squared segment lengths of this process's rows, for both streams."""

    def totals(ids: np.ndarray) -> tuple[int, int]:
        lengths = np.concatenate([np.bincount(row)[1:] for row in ids])
        return int(lengths.sum()), int((lengths.astype(np.int64) ** 2).sum())

    protein, protein_squares = totals(batch.protein_slot_ids)
    text, text_squares = totals(batch.text_segment_ids)
    return {
        "protein_tokens": protein,
        "protein_squares": protein_squares,
        "text_tokens": text,
        "text_squares": text_squares,
        "slots": batch.protein_slot_ids.size + batch.text_slot_ids.size,
    }


def step_flops(
    tokens: Mapping[str, int],
    model: ProtCLIPConfig,
    objective: ObjectiveConfig,
    *,
    text_trained: bool,
) -> float:
    """Model FLOPs of one step over the counted tokens, as defined in the module docstring."""

    def forward(tower, count, squares):
        matmuls = (
            2
            * tower.num_layers
            * (4 * tower.hidden_size**2 + 2 * tower.hidden_size * tower.intermediate_size)
        )
        return matmuls * count + 4 * tower.num_layers * tower.hidden_size * squares

    protein_passes = len(set(objective.passes.values()))
    protein = forward(model.protein, tokens["protein_tokens"], tokens["protein_squares"])
    text = forward(model.text, tokens["text_tokens"], tokens["text_squares"])
    return 3 * protein_passes * protein + (3 if text_trained else 1) * text


def mfu(flops_per_second: float) -> float | None:
    """Model FLOPs utilisation over all devices; None if the device's peak is unknown (CPU)."""
    peak = peak_flops(jax.devices()[0].device_kind)
    return flops_per_second / (jax.device_count() * peak) if peak else None
