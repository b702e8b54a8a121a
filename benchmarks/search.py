"""Search over a million vectors: how long an index takes to make, what it needs, and what recall costs.

    python benchmarks/search.py --output search.json

Clustered unit-norm vectors (`--vectors` of width 512 about 20,000 centres on 32 dimensions) are written as an index of proteins
is, by the code of `python -m protclip_jax.index`; queries are items that do not count themselves, asked one at a time. Each
number of lists that is read gives a point: recall@10 of the exact neighbours and the latency of a query. The exact search
stands beside it. Prints a table, writes JSON, and draws the curve as PNG beside it.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from benchmarks.clustered_vectors import clustered_vectors
from data_pipelines.errors import command
from data_pipelines.figure_style import BLUE, DPI, GREY, tidy
from protclip_jax.retrieval import nearest
from protclip_jax.retrieval.index_folder import open_index
from protclip_jax.retrieval.indexing import Addition, add
from protclip_jax.retrieval.items import protein_item
from protclip_jax.retrieval.nearest import TuningQueries

CENTRES, INTRINSIC = 20_000, 32
QUERIES, TIMED_EXACT = 200, 10
TARGET = 0.95


def peak_mib() -> float:
    """Most memory that the process has had, the mapped pages of its files included."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def anonymous_mib() -> float:
    """Memory of the process that no file backs: what it cannot do without."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) / 1024


def blocks(path: Path, count: int, width: int):
    """The vectors, read from where they were put, with their items."""
    vectors = np.memmap(path, np.float32, "r", shape=(count, width))
    for start in range(0, count, nearest_block := 1 << 14):
        rows = range(start, min(start + nearest_block, count))
        yield vectors[start : start + nearest_block], [protein_item(f"P{row}", source="benchmark", length=300) for row in rows]


def measure(folder: Path, count: int, width: int, log) -> dict:
    """Builds the index and measures every point of the curve."""
    raw = folder / "raw.f32"
    clustered_vectors(count, width=width, centres=CENTRES, intrinsic=INTRINSIC).tofile(raw)
    # What the making of the vectors took does not count.
    child = os.fork()
    if child == 0:
        os._exit(_build(folder, raw, count, width, log))
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit("the index could not be made")
    built = json.loads((folder / "built.json").read_text())
    start = time.perf_counter()
    index = open_index(folder / "index")
    opened = time.perf_counter() - start
    rows = nearest.sample_rows(count, QUERIES, seed=7)
    queries = TuningQueries(index.vectors.take(rows), rows)
    exact = nearest.others(nearest.exact_neighbours(index.vectors, queries.vectors, 11), queries, 10)
    start = time.perf_counter()
    for query in queries.vectors[:TIMED_EXACT]:
        nearest.exact_neighbours(index.vectors, query[None], 10)
    result = {
        "vectors": count,
        "width": width,
        "centres": CENTRES,
        "intrinsic_dimension": INTRINSIC,
        **built,
        "open_seconds": opened,
        "anonymous_mib_after_opening": anonymous_mib(),
        "exact_ms": (time.perf_counter() - start) / TIMED_EXACT * 1000,
        "tuned_probes": index.manifest["approximate"]["probes"],
        "lists": index.manifest["approximate"]["lists"],
        "code_bytes": index.manifest["approximate"]["code_bytes"],
        "curve": [],
    }
    probes = 1
    while probes <= result["lists"]:
        point = curve_point(index, queries, exact, probes)
        result["curve"].append(point)
        log(f"{probes} lists: recall@10 {point['recall_at_10']:.3f}, {point['ms_p50']:.2f} ms")
        if point["recall_at_10"] >= 0.995:
            break
        probes *= 2
    return result


def _build(folder: Path, raw: Path, count: int, width: int, log) -> int:
    start, cpu = time.perf_counter(), time.process_time()
    facts = {"modality": "protein", "checkpoint": "0" * 64, "step": None, "encoding": {}}
    (folder / "index").mkdir()
    addition = Addition(count, width, blocks(raw, count, width))
    options = {"kind": "approximate", "target": TARGET, "encode_texts": None, "tell": log}
    add(folder / "index", addition, previous=None, facts=facts, **options)
    size = sum(path.stat().st_size for path in (folder / "index").iterdir())
    built = {
        "build_seconds": time.perf_counter() - start,
        "build_cpu_seconds": time.process_time() - cpu,
        "build_peak_mib": peak_mib(),
        "build_anonymous_mib_at_end": anonymous_mib(),
        "disk_mib": size / 2**20,
    }
    (folder / "built.json").write_text(json.dumps(built))
    return 0


def curve_point(index, queries: TuningQueries, exact, probes: int) -> dict:
    """Recall and latency of queries asked one at a time."""
    found, seconds = [], []
    for query in queries.vectors:
        start = time.perf_counter()
        found.append(nearest.approximate_neighbours(index.approximate, index.vectors, query[None], 11, probes=probes))
        seconds.append(time.perf_counter() - start)
    together = nearest.Neighbours(*(np.concatenate(part) for part in zip(*found, strict=True)))
    recall = nearest.recall_at(nearest.others(together, queries, 10), exact)
    p50, p99 = np.percentile(seconds, [50, 99]) * 1000
    return {"probes": probes, "recall_at_10": recall, "ms_p50": p50, "ms_p99": p99}


def draw(result: dict, path: Path) -> None:
    """The recall–latency curve, the exact search beside it."""
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axis = figure.subplots()
    points = result["curve"]
    axis.plot([p["recall_at_10"] for p in points], [p["ms_p50"] for p in points], "o-", color=BLUE, label="IVF-PQ, re-ranked")
    for point in points:
        axis.annotate(
            f"{point['probes']}",
            (point["recall_at_10"], point["ms_p50"]),
            xytext=(4, -11),
            textcoords="offset points",
            fontsize=8,
        )
    axis.axhline(result["exact_ms"], color=GREY, linestyle="--", label="exact")
    axis.axvline(TARGET, color=GREY, linewidth=0.8, linestyle=":")
    axis.set(yscale="log", xlabel="recall@10 (numbers: lists read)", ylabel="median latency of a query, ms")
    axis.set_title(
        f"{result['vectors']:,} vectors of width {result['width']}, {result['lists']:,} lists", fontsize=10, loc="left"
    )
    axis.legend(fontsize=8, frameon=False)
    tidy(axis)
    figure.savefig(path, dpi=DPI)


@command
def main() -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--folder", type=Path, help="where the index goes for the time (default: the system's)")
    parser.add_argument("--output", type=Path, default=Path("search.json"), help="a .png is put beside it")
    options = parser.parse_args()

    def log(*lines: str) -> None:
        print(*lines, sep="\n", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        result = measure(Path(folder), options.vectors, options.width, log)
    options.output.write_text(json.dumps(result, indent=2) + "\n")
    draw(result, options.output.with_suffix(".png"))
    told = ("build_seconds", "build_cpu_seconds", "build_peak_mib", "build_anonymous_mib_at_end", "disk_mib", "open_seconds")
    print(*(f"{name}: {result[name]:.1f}" for name in (*told, "exact_ms")), "", sep="\n")
    print("| lists read | recall@10 | median ms | 99 % ms |\n|---|---|---|---|")
    for point in result["curve"]:
        print(f"| {point['probes']} | {point['recall_at_10']:.3f} | {point['ms_p50']:.2f} | {point['ms_p99']:.2f} |")


if __name__ == "__main__":
    sys.exit(main())
