"""Training metrics: metrics.jsonl (one object a logged step) and TensorBoard events, both without TensorFlow."""

import collections
import contextlib
import json
import math
import os
import pathlib
import time
from collections.abc import Mapping

import jax
from tensorboardX import SummaryWriter

from protclip_jax import flops
from protclip_jax.sharding import sum_over_hosts

TOKEN_COUNTS = ("protein_tokens", "text_tokens", "slots")
SHORTENED = ("cropped_proteins", "cut_text_tokens")
"""Counts that are logged as `data/<name>`: nothing is shortened silently."""


def cut_back(path: pathlib.Path, step: int) -> None:
    """Drops what a run wrote after `step`, so that a resumed run continues an unbroken record."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text().splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            break  # The last line of a killed run may be half written.
        if record["step"] <= step:
            kept.append(line)
    partial = path.with_suffix(".partial")
    partial.write_text("".join(f"{line}\n" for line in kept))
    os.replace(partial, path)


class IntervalMetrics:
    """Collects the steps between two logged ones: sums and counts merge, device values are fetched once."""

    def __init__(self):
        self._reset()

    def _reset(self):
        self._steps, self._flops = [], 0.0
        self._counts, self._seconds = collections.Counter(), collections.Counter()

    @contextlib.contextmanager
    def timed(self, name: str):
        """Adds the block's wall time to `seconds/<name>`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[name] += time.perf_counter() - start

    def add(self, metrics: Mapping, counts: Mapping[str, int], model_flops: float) -> None:
        """One step's device metrics and its counts and model FLOPs on this host.

        `counts` are `flops.count_tokens` of the batch and its `SHORTENED`.
        """
        self._steps.append(metrics)
        self._counts.update(counts)
        self._flops += model_flops

    def summary(self, weights: Mapping[str, float]) -> dict[str, float | None]:
        """The interval's metrics, as written to metrics.jsonl; begins a new interval. All hosts call it at the same step.

        Rates count all hosts' work over the time spent on input and steps (the interval's evaluation and saving are in
        `seconds/eval` and `seconds/checkpoint`).
        """
        steps = jax.device_get(self._steps)
        totals = {name: sum((step["losses"][name] for step in steps[1:]), steps[0]["losses"][name]) for name in weights}
        losses = {name: float(total.sum / total.count) if total.count else 0.0 for name, total in totals.items()}
        seconds = self._seconds["input"] + self._seconds["step"]
        counts = sum_over_hosts({name: self._counts[name] for name in (*TOKEN_COUNTS, *SHORTENED)})
        tokens = counts["protein_tokens"] + counts["text_tokens"]
        values = {
            "loss": sum(weight * losses[name] for name, weight in weights.items()),
            **{f"loss/{name}": loss for name, loss in losses.items()},
            **{name: float(value) for name, value in steps[-1]["scalars"].items()},
            "pairs_per_second": float(sum(step["pairs"] for step in steps)) / seconds,
            "tokens_per_second": tokens / seconds,
            "padding_fraction": 1 - tokens / counts["slots"],
            "mfu": flops.mfu(jax.process_count() * self._flops / seconds),
            **{f"data/{name}": counts[name] for name in SHORTENED},
            **{f"seconds/{name}": value for name, value in self._seconds.items()},
        }
        self._reset()
        return values


class MetricsWriter:
    """Appends to metrics.jsonl and writes TensorBoard scalars of one workdir."""

    def __init__(self, workdir: pathlib.Path, *, step: int):
        path = workdir / "metrics.jsonl"
        cut_back(path, step)
        self._file = path.open("a", buffering=1)
        self._tensorboard = SummaryWriter(str(workdir / "tensorboard"), purge_step=step + 1)

    def write(self, step: int, values: Mapping[str, float | None]) -> None:
        """Writes one object; a value that is not finite is stored as null, as JSON has no NaN."""
        finite = {name: value if value is not None and math.isfinite(value) else None for name, value in values.items()}
        self._file.write(json.dumps({"step": step, **finite}) + "\n")
        for name, value in finite.items():
            if value is not None:
                self._tensorboard.add_scalar(name, value, step)

    def close(self) -> None:
        """Flushes both files."""
        self._file.close()
        self._tensorboard.close()


def read_metrics(path: pathlib.Path) -> list[dict]:
    """All objects of a metrics.jsonl."""
    return [json.loads(line) for line in path.read_text().splitlines()]
