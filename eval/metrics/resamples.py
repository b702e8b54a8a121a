"""Stores the resamples of a result's intervals, to compare two models in pairs.

Both must be measured on the same items.
"""

import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from data_pipelines.common.atomic_write import atomic_path
from eval.metrics.statistics import Interval

Resamples = dict[str, Float32[np.ndarray, " _"]]


def resamples_of(result: Mapping) -> Resamples:
    """The resamples of every `Interval` in a result, by the path of names joined by `/`."""
    return {
        "/".join(names): interval.resamples.astype(np.float32)
        for names, interval in _intervals(result)
    }


def _intervals(value: object) -> Iterator[tuple[tuple[str, ...], Interval]]:
    if isinstance(value, Interval) and value.resamples.size:
        yield (), value
    elif isinstance(value, Mapping):
        for name, part in value.items():
            for names, interval in _intervals(part):
                yield (str(name), *names), interval


def write_resamples(path: Path, resamples: Resamples) -> None:
    """Writes one array each to an NPZ, byte-identical for the same numbers.

    Writes nothing without resamples.
    """
    if not resamples:
        return
    with atomic_path(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name, values in resamples.items():
            content = io.BytesIO()
            np.save(content, values)
            # NumPy's own archives hold the time at which they were written.
            archive.writestr(
                zipfile.ZipInfo(f"{name}.npy"), content.getvalue(), zipfile.ZIP_DEFLATED
            )


def read_resamples(path: Path) -> Resamples:
    """The arrays that `write_resamples` wrote; none without the file."""
    if not path.exists():
        return {}
    with np.load(path) as arrays:
        return dict(arrays)
