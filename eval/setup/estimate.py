"""Estimates the disk space, memory and time of each step of a setup."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from data_pipelines.common.errors import UserError
from eval.calibration.calibrate import ITEMS
from protclip_jax.doctor.machine import memory_bytes

FLAT_BYTES = 1_150
"""Bytes of a Swiss-Prot entry in its gzip flat file.

Assumed: Swiss-Prot has about 570,000 entries in about 660 MB.
"""
ENTRY_BYTES = 6_000
"""The same for a proteome, an upper bound: 895 well-annotated entries have 5,920."""
RESIDUES = 360
"""Residues of a protein on average, as in Swiss-Prot."""
BYTES_A_SECOND = 10e6
"""Assumed speed of a download."""
BUILD_COPIES, DATASET_COPIES = 5.8, 2.0
"""Bytes of a build at its peak, and of its dataset, relative to those of its gzip input.

Upper bounds: 20,000 generated entries of `benchmarks.build` have 5.73 and 2.00, the 895 real ones
1.06 at the end.
"""
BUILD_SECONDS = 0.5e-3
"""Build time of an entry in one process, with similarity clusters (docs/performance.md)."""
BUILD_MEMORY, CLUSTER_MEMORY = 178 << 20, 446
"""Bytes of a build, and in addition of the clusters per entry (docs/performance.md)."""
ITEM_BYTES = 3_600
"""Bytes of an index per protein besides its vector: sequence, texts, features.

An upper bound: that of 895 well-annotated entries.
"""
MODEL_COPIES, PROGRAM_MEMORY = 2.1, 1 << 30
"""Bytes of a loaded and compiled model relative to its parameters, and of the program around it.

The first is measured in docs/rehearsal.md.
"""
SPEED_COUNTS, SPEED_SECONDS = (1, 8, 64), 1.0
"""Batch sizes for measuring the speed; they grow until a pass takes this many seconds."""
_GB = 1e9


class Extent(NamedTuple):
    """The size of the proteins to set up: entries, and bytes of their gzip flat file."""

    entries: int
    bytes: int


class Encoder(Protocol):
    """The part of `ProtCLIP` that embeds proteins."""

    def encode_proteins(self, sequences: Sequence[str]) -> object:
        """Embeds sequences."""


class Model(Protocol):
    """What determines the cost of embedding.

    Attributes:
      parameter_bytes: size of the parameters.
      width: width of the embeddings.
      speed: tokens embedded per second.
    """

    parameter_bytes: int
    width: int
    speed: float


class Cost(NamedTuple):
    """The cost of a step.

    Attributes:
      peak, kept: bytes of disk during the step, and after it.
      memory: bytes.
      seconds: on this machine.
    """

    peak: float
    kept: float
    memory: float
    seconds: float


def known_extent(bytes: int | None, entries: int | None) -> Extent:
    """Entries and bytes; a missing one is estimated from the other."""
    if bytes is None:
        return Extent(entries, entries * ENTRY_BYTES)
    return Extent(entries or round(bytes / FLAT_BYTES), bytes)


def tokens_per_second(model: Encoder) -> float:
    """Measures how many tokens per second a model embeds, with proteins of `RESIDUES` residues."""
    protein = ("ACDEFGHIKLMNPQRSTVWY" * RESIDUES)[:RESIDUES]
    speed = 0.0
    for count in SPEED_COUNTS:
        # The first pass includes compilation.
        model.encode_proteins([protein] * count)
        start = time.perf_counter()
        model.encode_proteins([protein] * count)
        seconds = time.perf_counter() - start
        speed = count * (RESIDUES + 2) / seconds
        if seconds > SPEED_SECONDS:
            break
    return speed


def costs(size: Extent, *, model: Model, processes: int) -> dict[str, Cost]:
    """The cost of every step by name, in order; the build uses `processes` processes."""
    entries, fetched = size
    vectors, texts = 4 * model.width * entries, ITEM_BYTES * entries
    loaded = MODEL_COPIES * model.parameter_bytes + PROGRAM_MEMORY
    a_protein = (RESIDUES + 2) / model.speed
    calibrated = min(entries, ITEMS)
    return {
        "download": Cost(fetched, fetched, 0, fetched / BYTES_A_SECOND),
        "build": Cost(
            BUILD_COPIES * fetched,
            DATASET_COPIES * fetched,
            BUILD_MEMORY * processes + CLUSTER_MEMORY * entries,
            BUILD_SECONDS * entries / processes,
        ),
        "calibrate": Cost(0, 0, loaded, calibrated * a_protein),
        "index": Cost(2 * vectors + texts, vectors + texts, loaded, entries * a_protein),
    }


def needed_disk(remaining: Sequence[Cost], *, held: int = 0) -> float:
    """Additional bytes of disk for consecutive steps, of which `held` bytes exist already."""
    most, kept = 0.0, 0.0
    for cost in remaining:
        most = max(most, kept + cost.peak)
        kept += cost.kept
    return max(0.0, most - held)


def refuse_small_disk(needed: float, output: Path) -> None:
    """Raises UserError if the disk of `output`, which need not exist, has less free space."""
    existing = next(
        path for path in [output.absolute(), *output.absolute().parents] if path.exists()
    )
    if (free := shutil.disk_usage(existing).free) < needed:
        raise UserError(
            f"{output} needs about {needed / _GB:.1f} GB of disk, but only {free / _GB:.1f} GB are "
            "free; free some space, or name an --output on another disk."
        )


def describe(size: Extent, found: dict[str, Cost], *, speed: float) -> list[str]:
    """Lines on the cost of each remaining step, and on whether the memory suffices."""
    lines = [
        f"about {size.entries:,} proteins; the model embeds {speed:,.0f} tokens per second here."
    ]
    lines += [
        f"  {name}: about {_duration(cost.seconds)}, {cost.peak / _GB:.2f} GB of disk, "
        f"{cost.memory / _GB:.1f} GB of memory."
        for name, cost in found.items()
    ]
    disk = needed_disk(list(found.values()))
    hours = sum(cost.seconds for cost in found.values())
    lines.append(f"total: about {_duration(hours)} and {disk / _GB:.2f} GB of disk.")
    most = max((cost.memory for cost in found.values()), default=0)
    if most > (available := memory_bytes()):
        lines.append(
            f"warning: this takes about {most / _GB:.1f} GB of memory, but the machine has "
            f"{available / _GB:.1f} GB; use a larger machine or a smaller model."
        )
    return lines


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
