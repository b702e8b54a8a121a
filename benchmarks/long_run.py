"""Checks a long run for leaks: memory, open files and threads over thousands of small steps.

    python -m benchmarks.long_run --data_dir runs/sample/protanno \\
        --vocabulary runs/sample/vocab.txt --folder DIR

Trains a tiny model with frequent evaluations and saves, samples the trainer and its workers every
second, and writes long_run.json and long_run.png.
"""

import argparse
import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from data_pipelines.common.figure_style import BLUE, DPI, GREEN, INK, VERMILION, tidy

TINY = {
    "log_every": 10,
    "eval_every": 100,
    "checkpoint_every": 100,
    "gradient_norms_every": 500,
    "data.streams": 4,
    "data.workers": 1,
    "batch.rows": 8,
    "batch.slots": 4,
    "batch.protein_tokens": 128,
    "batch.text_tokens": 128,
    "tokenizer.max_protein_tokens": 64,
    "tokenizer.max_text_tokens": 32,
    "evals.retrieval.pool": 16,
    "model.protein.num_layers": 1,
    "model.protein.hidden_size": 32,
    "model.protein.intermediate_size": 64,
    "model.text.hidden_size": 32,
    "model.text.intermediate_size": 64,
    "model.projection_dim": 16,
    "model.num_prototypes": 8,
}
"""Overrides of the quickstart config for small steps and frequent evaluations and saves."""

SERIES = {
    "memory_mib": ("trainer, resident memory (MiB)", BLUE),
    "workers_mib": ("workers, resident memory (MiB)", INK),
    "files": ("trainer, open files", VERMILION),
    "threads": ("trainer, threads", GREEN),
}
"""The measured series: name in the JSON file → (title, colour)."""


def status(process: int) -> dict[str, str]:
    """Reads a process's status from the system; an ended process has no `VmRSS`."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        return dict(line.split(":", 1) for line in lines)
    return {}


def workers(session: int) -> list[int]:
    """Lists the processes of a session except its leader."""
    found = []
    for process in map(int, filter(str.isdecimal, os.listdir("/proc"))):
        with contextlib.suppress(OSError):
            if process != session == os.getsid(process):
                found.append(process)
    return found


def sample(session: int) -> dict | None:
    """Measures `SERIES` for a session's leader and its other processes; None if it has ended."""
    try:
        leader = status(session)
        memory = [of_one["VmRSS"] for of_one in map(status, workers(session)) if "VmRSS" in of_one]
        return {
            "memory_mib": int(leader["VmRSS"].split()[0]) / 1024,
            "workers_mib": sum(int(size.split()[0]) for size in memory) / 1024,
            "files": len(os.listdir(f"/proc/{session}/fd")),
            "threads": int(leader["Threads"]),
        }
    except (OSError, KeyError):
        return None


def latest_step(workdir: Path) -> int:
    """The last step in metrics.jsonl; 0 if there is none yet."""
    try:
        # The last line may be incomplete.
        lines = (workdir / "metrics.jsonl").read_text().splitlines()[:-1]
        return json.loads(lines[-1])["step"]
    except (OSError, IndexError):
        return 0


def watch(command: Sequence[str], workdir: Path, *, every: float) -> list[dict]:
    """Runs a training command in its own session; returns the samples with their steps.

    Raises:
      CalledProcessError: the command failed.
    """
    process = subprocess.Popen(command, start_new_session=True)
    seen = []
    while process.poll() is None:
        if found := sample(process.pid):
            seen.append({"step": latest_step(workdir)} | found)
        time.sleep(every)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return seen


def draw(seen: Sequence[dict]) -> Figure:
    """Draws each of `SERIES` over the steps."""
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    steps = [sample["step"] for sample in seen]
    axes = figure.subplots(2, 2).flat
    for axis, (name, (title, colour)) in zip(axes, SERIES.items(), strict=True):
        axis.plot(steps, [sample[name] for sample in seen], color=colour, linewidth=1.2)
        axis.set_ylim(bottom=0)
        axis.set_title(title, fontsize=10, color=INK, loc="left")
        tidy(axis)
    figure.supxlabel("step", fontsize=10, color=INK)
    return figure


def run(folder: Path, *, data_dir: Path, vocabulary: Path, steps: int) -> dict:
    """Trains in `folder`; returns the medians of each quarter of the steps, and all samples."""
    fields = TINY | {"total_steps": steps, "data.dir": data_dir, "tokenizer.text": vocabulary}
    overrides = [f"--config.{name}={value}" for name, value in fields.items()]
    command = [
        sys.executable,
        "train.py",
        "--config",
        "configs/quickstart.py",
        "--workdir",
        str(folder / "run"),
        *overrides,
    ]
    seen = watch(command, folder / "run", every=1.0)
    edges = [steps * quarter // 4 for quarter in range(5)]
    medians = {}
    for name in SERIES:
        medians[name] = []
        for low, high in itertools.pairwise(edges):
            values = [sample[name] for sample in seen if low < sample["step"] <= high]
            medians[name].append(float(np.median(values)))
    result = {"steps": steps, "median_of_each_quarter": medians, "seen": seen}
    (folder / "long_run.json").write_text(json.dumps(result) + "\n", encoding="utf-8")
    draw(seen).savefig(folder / "long_run.png", dpi=DPI)
    return result


def main() -> None:
    """Runs the benchmark with the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--data_dir", type=Path, required=True, help="a built dataset")
    parser.add_argument("--vocabulary", type=Path, required=True, help="the text tower's vocab.txt")
    parser.add_argument(
        "--folder", type=Path, required=True, help="existing folder for the run and the figure"
    )
    parser.add_argument(
        "--steps", type=int, default=3000, help="training steps (default: %(default)s)"
    )
    options = parser.parse_args()
    result = run(
        options.folder,
        data_dir=options.data_dir,
        vocabulary=options.vocabulary,
        steps=options.steps,
    )
    for name, medians in result["median_of_each_quarter"].items():
        print(f"{SERIES[name][0]:32}", *(f"{median:8.1f}" for median in medians))


if __name__ == "__main__":
    main()
