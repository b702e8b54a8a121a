"""Measures the disk cost of embeddings in HDF5 and Parquet.

    python -m benchmarks.embedding_files [--items 50000] [--width 512] --folder DIR

Writes the same random vectors in both formats and reads each file back. Prints one JSON object per
format.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from eval.data.graphs.vector_files import read_vector_file
from protclip_jax.embed.embedding_files import WRITERS, Part


def measure(path: Path, parts: list[Part]) -> dict[str, float | str]:
    """Measures the size of one file, and the seconds to write and read it."""
    start = time.perf_counter()
    WRITERS[path.suffix](path, parts, facts={"kind": "mean"})
    written = time.perf_counter()
    _, vectors = read_vector_file(path)
    read = time.perf_counter()
    payload = sum(part.vectors.nbytes for part in parts)
    assert len(vectors) == sum(len(part.ids) for part in parts)
    return {
        "format": path.suffix,
        "MB": round(path.stat().st_size / 1e6, 1),
        "times_the_numbers": round(path.stat().st_size / payload, 2),
        "seconds_to_write": round(written - start, 1),
        "seconds_to_read": round(read - written, 1),
    }


def main() -> None:
    """Measures both formats in a folder and keeps the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=50_000, help="vectors (default: %(default)s)")
    parser.add_argument("--width", type=int, default=512, help="dimensions (default: %(default)s)")
    parser.add_argument("--folder", type=Path, required=True, metavar="DIR")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    parts = []
    for start in range(0, options.items, 1000):
        count = min(1000, options.items - start)
        ids = [f"P{start + position:08}" for position in range(count)]
        vectors = rng.normal(size=(count, options.width)).astype(np.float32)
        parts.append(Part(ids, np.full(count, 300), vectors))
    for suffix in (".h5", ".parquet"):
        print(json.dumps(measure(options.folder / f"vectors{suffix}", parts)), flush=True)


if __name__ == "__main__":
    main()
