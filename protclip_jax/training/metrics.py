"""Training metrics without TensorFlow: metrics.jsonl (one object per logged step), TensorBoard."""

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
"""Counts logged as `data/<name>`, so that nothing is shortened silently."""

MAX_BYTES = 1 << 28
"""Largest metrics.jsonl that is read; it holds hundreds of thousands of logged steps."""


def cut_back(path: pathlib.Path, step: int) -> None:
    """Removes lines after `step`, so that a resumed run continues an unbroken record.

    It needs no free disk space.
    """
    if not path.exists():
        return
    with path.open("r+b") as file:
        kept = 0
        for line in file:
            try:
                record = json.loads(line)
            except ValueError:
                break  # A killed run may leave an incomplete last line.
            if not line.endswith(b"\n") or record["step"] > step:
                break
            kept += len(line)
        file.truncate(kept)


COMPILING = (
    "/jax/core/compile/jaxpr_to_mlir_module_duration",
    "/jax/core/compile/backend_compile_duration",
)
"""Events in which JAX reports the time for lowering and compiling."""


class IntervalMetrics:
    """Collects the steps between two logged ones; sums and counts merge, device values load once.

    As a context manager it also times compilation. `heartbeat` is called with the name of each
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
        """Adds the block's wall time to `seconds/<name>`, except for `seconds/compile`."""
        self._heartbeat(name)
        start, compiled = time.perf_counter(), self._seconds["compile"]
        try:
            yield
        finally:
            self._seconds[name] += (
                time.perf_counter() - start - (self._seconds["compile"] - compiled)
            )
            self._heartbeat(f"the phase after {name}")

    def add(self, metrics: Mapping, counts: Mapping[str, int], model_flops: float) -> None:
        """Adds a step's device metrics, and its counts and model FLOPs on this host.

        `counts` holds `flops.count_tokens` of the batch, and the counts in `SHORTENED`.
        """
        self._steps.append(metrics)
        self._counts.update(counts)
        self._flops += model_flops

    def _merge(self) -> Mapping[str, np.ndarray]:
        """Merges the steps since the last call into the sums; returns the last step's scalars."""
        steps, self._steps = jax.device_get(self._steps), []
        for step in steps:
            for name, loss in step["losses"].items():
                self._losses[name] = self._losses[name] + loss if name in self._losses else loss
            self._skipped += not step["finite"]
            self._pairs += int(step["pairs"])
        return steps[-1]["scalars"] if steps else {}

    def unfinished(self, weights: Mapping[str, float]) -> dict[str, np.ndarray]:
        """The values of all hosts since the last summary, for a checkpoint; times are excluded.

        `losses` float32 [objectives, 2] holds each sum and count in the order of `weights`;
        `counts` int64 [6] holds `TOKEN_COUNTS`, `SHORTENED` and the number of skipped steps.
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
        """Restores the values of `unfinished` on a host that has collected nothing yet."""
        self._losses = {
            name: Mean(*row) for name, row in zip(weights, unfinished["losses"], strict=True)
        }
        *counts, self._skipped = unfinished["counts"].tolist()
        # The counts are already sums over all hosts.
        if jax.process_index() == 0:
            self._counts.update(dict(zip((*TOKEN_COUNTS, *SHORTENED), counts, strict=True)))

    def summary(self, weights: Mapping[str, float]) -> dict[str, float | None]:
        """The interval's metrics for metrics.jsonl; starts a new interval.

        All hosts call it at the same step. Rates count the work of all hosts over the time spent on
        input and steps; the interval's evaluation and saving are in `seconds/eval` and
        `seconds/checkpoint`. `goodput` is the fraction of the wall time `seconds/total` that was
        spent computing steps, not compiling, waiting for input, evaluating or saving.
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
        loss = sum(weight * losses[name] for name, weight in weights.items())
        scalars = {name: float(value) for name, value in scalars.items()}
        shortened = {name: counts[name] for name in SHORTENED}
        values = {
            "loss": loss,
            **_prefixed("loss", losses),
            **scalars,
            "skipped_steps": self._skipped,
            "pairs_per_second": self._pairs / seconds,
            "tokens_per_second": tokens / seconds,
            "padding_fraction": 1 - tokens / counts["slots"],
            "goodput": self._seconds["step"] / total,
            "mfu": flops.mfu(jax.process_count() * self._flops / seconds),
            **_prefixed("data", shortened),
            **_prefixed("seconds", self._seconds),
        }
        self._reset()
        return values


def _prefixed(prefix: str, values: Mapping[str, float]) -> dict[str, float]:
    return {f"{prefix}/{name}": value for name, value in values.items()}


class MetricsWriter:
    """Appends to a workdir's metrics.jsonl and TensorBoard scalars, both flushed by each `write`.

    `further` writers receive the same values as TensorBoard.
    """

    def __init__(self, workdir: pathlib.Path, *, step: int, further: Sequence[Writer] = ()):
        # Imported here, because worker processes and other hosts should not wait for it.
        from protclip_jax.training.tensorboard import EventFile

        path = workdir / "metrics.jsonl"
        cut_back(path, step)
        self._file = path.open("a", buffering=1)
        self._scalars = [EventFile(workdir / "tensorboard", step=step), *further]

    def write(self, step: int, values: Mapping[str, float | None]) -> None:
        """Writes one object; values that are not finite become null, because JSON has no NaN."""
        finite = {
            name: value if value is not None and math.isfinite(value) else None
            for name, value in values.items()
        }
        self._file.write(json.dumps({"step": step, **finite}) + "\n")
        measured = {name: value for name, value in finite.items() if value is not None}
        for writer in self._scalars:
            writer.write(step, measured)

    def close(self) -> None:
        """Closes the files and all further writers."""
        self._file.close()
        for writer in self._scalars:
            writer.close()


class NoMetrics:
    """Replaces `MetricsWriter` on hosts that write nothing."""

    def write(self, step: int, values: Mapping[str, float | None]) -> None:
        """Does nothing."""

    def close(self) -> None:
        """Does nothing."""


def make_writer(
    workdir: pathlib.Path, config: ConfigDict, *, step: int
) -> MetricsWriter | NoMetrics:
    """Makes the writer: the first host writes all metrics; lines after `step` are removed."""
    if jax.process_index():
        return NoMetrics()
    further = []
    if name := config.metrics_hook:
        further.append(metrics_hook.start(name, config.to_dict(), workdir, max(step, 0)))
    return MetricsWriter(workdir, step=step, further=further)


def read_metrics(path: pathlib.Path) -> list[dict]:
    """Reads all objects of a metrics.jsonl: numbers or None by name, including `step`.

    Raises:
      UserError: the file exceeds 256 MiB or has other content; it may come from elsewhere.
    """
    fix = "remove it to continue without its metrics."
    if path.stat().st_size > MAX_BYTES:
        raise UserError(f"{path} has {path.stat().st_size} bytes, more than {MAX_BYTES}; {fix}")
    records = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            record = parse_object(line, name=f"line {number} of {path}")
            values_valid = all(value is None or is_number(value) for value in record.values())
            if not is_number(record.get("step")) or not values_valid:
                raise UserError(
                    f"{path} is damaged: line {number} does not have a numeric step and metrics; "
                    f"{fix}"
                )
            records.append(record)
    return records
