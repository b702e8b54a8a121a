"""Sizes of everything that the GPU benchmark measures."""

import argparse
from typing import NamedTuple

from protclip_jax.attention.registry import AUTO, backend_for
from protclip_jax.config.build import own_target
from protclip_jax.models.layers import REMAT_POLICIES


class Scale(NamedTuple):
    """Sizes of models and batches."""

    protein: str
    text: str
    dtype: str
    pairs: int
    """Pairs of a timed step."""
    remat: str
    repeats: int
    tokens: int
    """Tokens per row in parity and tiles."""
    heads: int
    proteins: int
    """Number of proteins to embed."""

    def step_arguments(self) -> argparse.Namespace:
        """The sizes as options of `benchmarks/train_step.py`."""
        if self.remat not in REMAT_POLICIES:
            expected = ", ".join(REMAT_POLICIES)
            raise ValueError(f"unknown remat '{self.remat}'; expected {expected}")
        return argparse.Namespace(
            protein=self.protein,
            text=self.text,
            dtype=self.dtype,
            pairs=self.pairs,
            remat=self.remat,
            microbatch_rows=None,
            attention=backend_for(AUTO, own_target(), self.dtype),
        )


SCALES = {
    # 88 records of UniProt's lengths fill 16 rows of 2,048 tokens.
    "full": Scale("650m", "base", "bfloat16", 88, "full", 5, 2048, 20, 2000),
    "tiny": Scale("8m", "small", "float32", 4, "none", 1, 128, 2, 4),
}
"""`tiny` is for CPUs: it checks that the benchmark runs, and measures nothing."""
