"""Training metrics: metrics.jsonl (one object a logged step) and TensorBoard events, both without TensorFlow."""

import json
import math
import os
import pathlib
from collections.abc import Mapping

from tensorboardX import SummaryWriter


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
