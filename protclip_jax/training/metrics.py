"""Training metrics: metrics.jsonl (one object a logged step) and TensorBoard events, both
without TensorFlow."""

import collections
import contextlib
import json
import math
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Self

import jax
import numpy as np
from ml_collections import ConfigDict

from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import is_number, parse_object
from protclip_jax.distributed.sharding import sum_over_hosts
from protclip_jax.objectives.mean import Mean
from protclip_jax.training import flops, metrics_hook
from protclip_jax.training.metrics_hook import Writer

TOKEN_COUNTS = ("protein_tokens", "text_tokens", "slots")
SHORTENED = ("cropped_proteins", "cut_text_tokens")
"""Counts that are logged as `data/<name>`: nothing is shortened silently."""

MAX_BYTES = 1 << 28
"""Of a metrics.jsonl that is read: hundreds of thousands of logged steps."""


def cut_back(path: pathlib.Path, step: int) -> None:
    """Drops what a run wrote after `step`, so that a resumed run continues an unbroken record;
    needs no room on the disk."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        kept = 0
        for line in file:
            try:
                record = json.loads(line)
            except ValueError:
                break  # The last line of a killed run may be half written.
            if not line.endswith(b"\n") or record["step"] > step:
                break
            kept += len(line)
        file.truncate(kept)


COMPILING = (
    "/jax/core/compile/jaxpr_to_mlir_module_duration",
    "/jax/core/compile/backend_compile_duration",
)
"""What JAX reports of the time it takes to lower and compile."""


class IntervalMetrics:
    """Collects the steps between two logged ones: sums and counts merge, device values are fetched
    once.

    A context manager, within which compilation is timed; `heartbeat` is told the name of each
    phase that begins.
    """

    def __init__(self, *, heartbeat: Callable[[str], None]):
        self._heartbeat = heartbeat
        self._reset()

    def _reset(self):
        self._steps, self._flops, self._start = [], 0.0, time.perf_counter()
        self._losses, self._skipped, self._pairs = {}, 0, 0
        self._counts, self._seconds = collections.Counter(), collections.Counter(compile=0.0)

    def __enter__(self) -> Self:
        jax.monitoring.register_event_duration_secs_listener(self._compiled)
        return self

    def __exit__(self, *exception) -> None:
        jax.monitoring.unregister_event_duration_listener(self._compiled)

    def _compiled(self, event: str, seconds: float, **_) -> None:
        if event in COMPILING:
            self._seconds["compile"] += seconds

    @contextlib.contextmanager
    def timed(self, name: str):
        """Adds the block's wall time to `seconds/<name>`, less what was spent compiling, which
        is in `seconds/compile`."""
        self._heartbeat(name)
        start, compiled = time.perf_counter(), self._seconds["compile"]
        try:
            yield
        finally:
            self._seconds[name] += (
                time.perf_counter() - start - (self._seconds["compile"] - compiled)
            )
            self._heartbeat(f"what follows {name}")

    def add(self, metrics: Mapping, counts: Mapping[str, int], model_flops: float) -> None:
        """One step's device metrics and its counts and model FLOPs on this host.

        `counts` are `flops.count_tokens` of the batch and its `SHORTENED`.
        """
        self._steps.append(metrics)
        self._counts.update(counts)
        self._flops += model_flops

    def _merge(self) -> Mapping[str, np.ndarray]:
        """Adds the steps since the last call, in their order, to the sums; returns the latest
        step's scalars."""
        steps, self._steps = jax.device_get(self._steps), []
        for step in steps:
            for name, loss in step["losses"].items():
                self._losses[name] = self._losses[name] + loss if name in self._losses else loss
            self._skipped += not step["finite"]
            self._pairs += int(step["pairs"])
        return steps[-1]["scalars"] if steps else {}

    def unfinished(self, weights: Mapping[str, float]) -> dict[str, np.ndarray]:
        """What was collected since the last summary, of all hosts, for a checkpoint; times are left
        out.

        `losses` float32 [objectives, 2], the sum and count of each in the order of `weights`;
        `counts` int64 [6]: `TOKEN_COUNTS`, `SHORTENED`, and the skipped steps.
        """
        self._merge()
        counts = sum_over_hosts({name: self._counts[name] for name in (*TOKEN_COUNTS, *SHORTENED)})
        losses = [self._losses.get(name, (0, 0)) for name in weights]
        return {
            "losses": np.array(losses, np.float32),
            "counts": np.array([*counts.values(), self._skipped], np.int64),
        }

    def continue_from(
        self, unfinished: Mapping[str, np.ndarray], weights: Mapping[str, float]
    ) -> None:
        """Takes up what `unfinished` gave, on a host that has collected nothing."""
        self._losses = {
            name: Mean(*row) for name, row in zip(weights, unfinished["losses"], strict=True)
        }
        *counts, self._skipped = unfinished["counts"].tolist()
        # They are sums over all hosts already.
        if jax.process_index() == 0:
            self._counts.update(dict(zip((*TOKEN_COUNTS, *SHORTENED), counts, strict=True)))

    def summary(self, weights: Mapping[str, float]) -> dict[str, float | None]:
        """The interval's metrics, as written to metrics.jsonl; begins a new interval. All hosts
        call it at the same step.

        Rates count all hosts' work over the time spent on input and steps (the interval's
        evaluation and saving are in `seconds/eval` and `seconds/checkpoint`). `goodput` is the
        share of the interval's wall time, `seconds/total`, in which steps were computed, not
        compiled, nor input waited for, nor evaluated or saved.
        """
        scalars = self._merge()
        losses = {
            name: float(total.sum / total.count) if total.count else 0.0
            for name, total in self._losses.items()
        }
        seconds = self._seconds["input"] + self._seconds["step"]
        total = self._seconds["total"] = time.perf_counter() - self._start
        counts = sum_over_hosts({name: self._counts[name] for name in (*TOKEN_COUNTS, *SHORTENED)})
        tokens = counts["protein_tokens"] + counts["text_tokens"]
        values = {
            "loss": sum(weight * losses[name] for name, weight in weights.items()),
            **{f"loss/{name}": loss for name, loss in losses.items()},
            **{name: float(value) for name, value in scalars.items()},
            "skipped_steps": self._skipped,
            "pairs_per_second": self._pairs / seconds,
            "tokens_per_second": tokens / seconds,
            "padding_fraction": 1 - tokens / counts["slots"],
            "goodput": self._seconds["step"] / total,
            "mfu": flops.mfu(jax.process_count() * self._flops / seconds),
            **{f"data/{name}": counts[name] for name in SHORTENED},
            **{f"seconds/{name}": value for name, value in self._seconds.items()},
        }
        self._reset()
        return values


class MetricsWriter:
    """Appends to metrics.jsonl and writes TensorBoard scalars of one workdir, both before `write`
    returns.

    `further` writers get what TensorBoard gets.
    """

    def __init__(self, workdir: pathlib.Path, *, step: int, further: Sequence[Writer] = ()):
        # Here, as neither the worker processes nor the other hosts should wait for the import.
        from protclip_jax.training.tensorboard import EventFile

        path = workdir / "metrics.jsonl"
        cut_back(path, step)
        self._file = path.open("a", buffering=1)
        self._scalars = [EventFile(workdir / "tensorboard", step=step), *further]

    def write(self, step: int, values: Mapping[str, float | None]) -> None:
        """Writes one object; a value that is not finite is stored as null, as JSON has no NaN."""
        finite = {
            name: value if value is not None and math.isfinite(value) else None
            for name, value in values.items()
        }
        self._file.write(json.dumps({"step": step, **finite}) + "\n")
        measured = {name: value for name, value in finite.items() if value is not None}
        for writer in self._scalars:
            writer.write(step, measured)

    def close(self) -> None:
        """Closes the files and the further writers."""
        self._file.close()
        for writer in self._scalars:
            writer.close()


class NoMetrics:
    """In the place of a `MetricsWriter` on hosts that write nothing."""

    def write(self, step: int, values: Mapping[str, float | None]) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def make_writer(
    workdir: pathlib.Path, config: ConfigDict, *, step: int
) -> MetricsWriter | NoMetrics:
    """The first host writes the metrics of all; what a run wrote after `step` before is dropped."""
    if jax.process_index():
        return NoMetrics()
    further = []
    if name := config.metrics_hook:
        further.append(metrics_hook.start(name, config.to_dict(), workdir, max(step, 0)))
    return MetricsWriter(workdir, step=step, further=further)


def read_metrics(path: pathlib.Path) -> list[dict]:
    """All objects of a metrics.jsonl: numbers or None by name, with a `step`.

    Raises:
      UserError: the file, which may be a stranger's, is larger than 256 MiB or holds something
        else.
    """
    fix = "remove it to go on without its figures."
    if path.stat().st_size > MAX_BYTES:
        raise UserError(f"{path} has {path.stat().st_size} bytes, too many for metrics; {fix}")
    records = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            record = parse_object(line, name=f"line {number} of {path}")
            if not is_number(record.get("step")) or not all(
                value is None or is_number(value) for value in record.values()
            ):
                raise UserError(
                    f"{path} is damaged: line {number} holds no step with its numbers; {fix}"
                )
            records.append(record)
    return records
