"""Search over a million vectors: time and memory to build an index, and latency by recall.

    python -m benchmarks.search --output search.json

Clustered unit-norm vectors (`--vectors` of width 512 around 20,000 centres on 32 dimensions) are
written as a protein index by the code of `python -m protclip_jax.index`, in a separate process.
Queries are items that do not count themselves as hits, sent one at a time. Each number of probed
lists gives a point: recall@10 of the exact neighbours and latency per query. The exact search is
measured too. Prints a table, writes JSON, and draws the curve as a PNG beside it.
"""

import argparse
import json
import multiprocessing
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from benchmarks.clustered_vectors import clustered_blocks
from data_pipelines.common.errors import command
from data_pipelines.common.figure_style import BLUE, DPI, GREY, tidy
from protclip_jax.retrieval import nearest
from protclip_jax.retrieval.index_folder import Block, open_index
from protclip_jax.retrieval.indexing import Addition, add
from protclip_jax.retrieval.item_table import protein_item
from protclip_jax.retrieval.nearest import TuningQueries

CENTRES, INTRINSIC = 20_000, 32
QUERIES, TIMED_EXACT = 200, 10
TARGET = 0.95
SHOWN = (
    "build_seconds",
    "build_cpu_seconds",
    "build_memory_mib",
    "disk_mib",
    "open_seconds",
    "open_memory_mib",
    "exact_ms",
)


def log(*lines: str) -> None:
    """Prints lines on stderr."""
    print(*lines, sep="\n", file=sys.stderr, flush=True)


def memory_mib() -> float:
    """The anonymous memory of this process; pages mapped from files come and go."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) / 1024


def blocks(count: int, width: int) -> Iterator[Block]:
    """Yields the vectors with their items."""
    row = 0
    for vectors in clustered_blocks(count, width=width, centres=CENTRES, intrinsic=INTRINSIC):
        ids = [f"P{row + i}" for i in range(len(vectors))]
        yield vectors, [protein_item(id, source="benchmark", length=300) for id in ids]
        row += len(vectors)


def build(folder: Path, count: int, width: int) -> None:
    """Builds the index and records time, memory and disk use."""
    largest, done = [memory_mib()], threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            largest[0] = max(largest[0], memory_mib())

    threading.Thread(target=watch, daemon=True).start()
    start, cpu = time.perf_counter(), time.process_time()
    facts = {"modality": "protein", "checkpoint": "0" * 64, "step": None, "encoding": {}}
    (folder / "index").mkdir()
    options = {"kind": "approximate", "target": TARGET, "encode_texts": None, "log": log}
    add(
        folder / "index",
        Addition(count, width, blocks(count, width)),
        previous=None,
        facts=facts,
        **options,
    )
    built = {
        "build_seconds": time.perf_counter() - start,
        "build_cpu_seconds": time.process_time() - cpu,
    }
    done.set()
    built["build_memory_mib"] = largest[0]
    built["disk_mib"] = sum(path.stat().st_size for path in (folder / "index").iterdir()) / 2**20
    (folder / "built.json").write_text(json.dumps(built))


def measure(folder: Path, count: int, width: int) -> dict:
    """Builds the index and measures every point of the curve."""
    process = multiprocessing.get_context("spawn").Process(
        target=build, args=(folder, count, width)
    )
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit("building the index failed; see the messages above")
    result = {
        "vectors": count,
        "width": width,
        "centres": CENTRES,
        "intrinsic_dimension": INTRINSIC,
    }
    result |= json.loads((folder / "built.json").read_text())
    before, start = memory_mib(), time.perf_counter()
    index = open_index(folder / "index")
    result |= {
        "open_seconds": time.perf_counter() - start,
        "open_memory_mib": memory_mib() - before,
    }
    result |= {
        name: index.manifest["approximate"][name] for name in ("lists", "code_bytes", "probes")
    }
    rows = nearest.sample_rows(count, QUERIES, seed=7)
    queries = TuningQueries(index.vectors.take(rows), rows)
    exact = nearest.others(
        nearest.exact_neighbours(index.vectors, queries.vectors, 11), queries, 10
    )
    start = time.perf_counter()
    for query in queries.vectors[:TIMED_EXACT]:
        nearest.exact_neighbours(index.vectors, query[None], 10)
    result |= {"exact_ms": (time.perf_counter() - start) / TIMED_EXACT * 1000, "curve": []}
    probes = 1
    while probes <= result["lists"]:
        point = curve_point(index, queries, exact, probes)
        result["curve"].append(point)
        log(f"{probes} lists: recall@10 {point['recall_at_10']:.3f}, {point['ms_p50']:.2f} ms")
        if point["recall_at_10"] >= 0.995:
            break
        probes *= 2
    return result


def curve_point(index, queries: TuningQueries, exact, probes: int) -> dict:
    """Measures recall and latency of queries sent one at a time."""
    found, seconds = [], []
    for query in queries.vectors:
        start = time.perf_counter()
        found.append(
            nearest.approximate_neighbours(
                index.approximate, index.vectors, query[None], 11, probes=probes
            )
        )
        seconds.append(time.perf_counter() - start)
    columns = map(np.concatenate, zip(*found, strict=True))
    together = nearest.Neighbours(*columns)
    recall = nearest.recall_at(nearest.others(together, queries, 10), exact)
    p50, p99 = np.percentile(seconds, [50, 99]) * 1000
    return {"probes": probes, "recall_at_10": recall, "ms_p50": p50, "ms_p99": p99}


def draw(result: dict, path: Path) -> None:
    """Draws the recall–latency curve and the exact search."""
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axis = figure.subplots()
    positions = [(point["recall_at_10"], point["ms_p50"]) for point in result["curve"]]
    axis.plot(
        *zip(*positions, strict=True), "o-", color=BLUE, label="approximate, re-ranked exactly"
    )
    for point, position in zip(result["curve"], positions, strict=True):
        axis.annotate(
            str(point["probes"]), position, xytext=(4, -11), textcoords="offset points", fontsize=8
        )
    axis.axhline(result["exact_ms"], color=GREY, linestyle="--", label="exact")
    axis.axvline(TARGET, color=GREY, linewidth=0.8, linestyle=":")
    axis.set(
        yscale="log",
        xlabel="recall@10 (numbers: lists probed)",
        ylabel="median latency per query (ms)",
    )
    title = f"{result['vectors']:,} vectors of width {result['width']}, {result['lists']:,} lists"
    axis.set_title(title, fontsize=10, loc="left")
    axis.legend(fontsize=8, frameon=False, loc="center left")
    tidy(axis)
    figure.savefig(path, dpi=DPI)


@command
def main() -> None:
    """Runs the benchmark with the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument(
        "--vectors", type=int, default=1_000_000, help="number of vectors (default: %(default)s)"
    )
    parser.add_argument("--width", type=int, default=512, help="dimensions (default: %(default)s)")
    parser.add_argument(
        "--folder", type=Path, help="folder for the temporary index (default: the system's)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("search.json"),
        help="result file; a .png is written beside it (default: %(default)s)",
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        result = measure(Path(folder), options.vectors, options.width)
    options.output.write_text(json.dumps(result, indent=2) + "\n")
    draw(result, options.output.with_suffix(".png"))
    print(*(f"{name}: {result[name]:.1f}" for name in SHOWN), "", sep="\n")
    print("| lists probed | recall@10 | median ms | 99 % ms |\n|---|---|---|---|")
    for point in result["curve"]:
        cells = [str(point["probes"]), f"{point['recall_at_10']:.3f}"]
        cells += [f"{point['ms_p50']:.2f}", f"{point['ms_p99']:.2f}"]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    sys.exit(main())
