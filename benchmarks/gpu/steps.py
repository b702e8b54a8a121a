"""Training steps: real tokens/s and MFU for MLM alone and all objectives, and a profile."""

import pathlib
import statistics

import jax

from benchmarks.gpu.scale import Scale
from benchmarks.train_step import VARIANTS, Step, measured_peak
from protclip_jax.training.compilation import hbm_bytes

MEASURED = ("packed, MLM alone", "packed")


def measure(scale: Scale, profile: pathlib.Path | None = None) -> dict:
    """Maps variants to the figures of `benchmarks/train_step.py` and the memory use."""
    found = {}
    for name in MEASURED:
        step = Step(VARIANTS[name], scale.step_arguments())
        # The first run autotunes what the compiler left open.
        step.seconds()
        seconds = [step.seconds() for _ in range(scale.repeats)]
        figures = step.figures(seconds)
        figures["quickest"] = min(seconds)
        figures["program_bytes"] = sum(hbm_bytes(step.step).values())
        figures["peak_gb"] = measured_peak()
        found[name] = figures
    if profile is not None:
        with jax.profiler.trace(profile):
            step.seconds()
        found["profile"] = str(profile)
    found["spread"] = statistics.pstdev(seconds) / statistics.mean(seconds)
    return found
