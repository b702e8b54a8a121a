"""Time and memory of `annotate` beside `embed` on the same file.

    python -m benchmarks.annotate --checkpoint runs/demo --index proteins.index \\
        --labels places.labels --input proteome.fasta --output annotate.json

Both commands run alternately, each in a process of its own with the same options, `--repeats`
times, and their outputs are removed. Times are of whole commands, from the start of Python to its
end; processor time is of all threads, and does not count other programs on the machine. Memory is
the largest that the system has seen of the process. Prints a table and writes JSON.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from data_pipelines.common.atomic_write import atomic_write
from data_pipelines.common.errors import RunError, command
from data_pipelines.common.outputs import refuse_existing
from protclip_jax.checkpoints import metadata

MOST_TIME, MOST_GIB = 1.25, 2.0
"""That `annotate` may take: of the time of `embed`, and of memory."""


class Run(NamedTuple):
    """One run of a command: wall and processor time in seconds, and largest memory in GiB."""

    seconds: float
    processor_seconds: float
    peak_gib: float


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.annotate", description=__doc__.partition("\n\n")[0]
    )
    add = parser.add_argument
    add("--checkpoint", required=True, metavar="DIR", help="the checkpoint of the indexes")
    add("--index", metavar="DIR", required=True, help="an index of proteins")
    add("--labels", nargs="+", default=[], metavar="DIR|FILE", help="as for annotate")
    add("--hits", metavar="FILE", help="as for annotate")
    add("--input", required=True, metavar="FILE", help="a FASTA file of proteins")
    add("--repeats", type=int, default=3, help="runs of each command (default %(default)s)")
    add("--output", type=Path, required=True, metavar="FILE", help="a new file named *.json")
    return parser.parse_args(arguments)


def commands(options: argparse.Namespace, folder: Path) -> dict[str, list[str]]:
    """The two command lines, by the command's name."""
    given = ["--checkpoint", options.checkpoint, "--input", options.input]
    extra = ["--index", options.index]
    extra += ["--labels", *options.labels] if options.labels else []
    extra += ["--hits", options.hits] if options.hits else []
    return {
        "embed": [*given, "--output", str(folder / "out.h5")],
        "annotate": [*given, *extra, "--output", str(folder / "out.html")],
    }


def run(name: str, arguments: Sequence[str]) -> Run:
    """Runs a command of protclip_jax; raises RunError where it fails."""
    start = time.perf_counter()
    line = [sys.executable, "-m", f"protclip_jax.{name}", *arguments]
    process = subprocess.Popen(line, stderr=subprocess.PIPE)
    output = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        last = output.decode(errors="replace").strip().rpartition("\n")[2]
        raise RunError(f"{name} ended with code {process.returncode}: {last}")
    processor = usage.ru_utime + usage.ru_stime
    return Run(time.perf_counter() - start, processor, usage.ru_maxrss / 2**20)


def measured(options: argparse.Namespace) -> dict[str, list[Run]]:
    """The runs of each command, which alternate."""
    found: dict[str, list[Run]] = {"embed": [], "annotate": []}
    for _ in range(options.repeats):
        with tempfile.TemporaryDirectory() as folder:
            for name, arguments in commands(options, Path(folder)).items():
                found[name].append(run(name, arguments))
    return found


def hardware() -> dict[str, str | int]:
    """The machine: processor, cores that this process may use, system."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0))
    return {"processor": models[0] if models else platform.machine(), "cores": cores}


def median_of(runs: Sequence[Run]) -> dict[str, float]:
    """Median times, and the largest peak, of a command's runs."""
    seconds, processor_seconds, peaks = zip(*runs, strict=True)
    return {
        "seconds": statistics.median(seconds),
        "processor_seconds": statistics.median(processor_seconds),
        "peak_gib": max(peaks),
    }


def result_of(found: dict[str, list[Run]]) -> dict:
    """Medians, their ratio, and whether the limits are kept."""
    medians = {name: median_of(runs) for name, runs in found.items()}
    ours, beside = medians["annotate"], medians["embed"]
    ratio = ours["seconds"] / beside["seconds"]
    return {
        "medians": medians,
        "ratio": ratio,
        "processor_ratio": ours["processor_seconds"] / beside["processor_seconds"],
        "kept": ratio <= MOST_TIME and ours["peak_gib"] <= MOST_GIB,
        "runs": {name: list(map(Run._asdict, runs)) for name, runs in found.items()},
    }


def table_of(result: dict) -> str:
    """As Markdown."""
    lines = ["| command | seconds | processor seconds | peak memory, GiB |", "|---|---|---|---|"]
    for name, own in result["medians"].items():
        seconds, processor, peak = own.values()
        lines.append(f"| {name} | {seconds:.1f} | {processor:.1f} | {peak:.2f} |")
    ratios = f"{result['ratio']:.2f} times the time of embed, {result['processor_ratio']:.2f} times"
    summary = f"annotate takes {ratios} its processor time"
    limits = f"at most {MOST_TIME:g} times and {MOST_GIB:g} GiB are allowed"
    return "\n".join([*lines, "", f"{summary}; {limits}."])


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Measures both commands; the exit code is 1 where a limit is not kept."""
    options = parse_arguments(arguments)
    refuse_existing([options.output])
    result = result_of(measured(options))
    print(table_of(result))
    facts = {"hardware": hardware(), "versions": metadata.versions(), "repeats": options.repeats}
    atomic_write(options.output, json.dumps(facts | result, indent=2) + "\n")
    return 0 if result["kept"] else 1


if __name__ == "__main__":
    sys.exit(main())
