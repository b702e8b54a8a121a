"""Early stopping: ends a run when its evaluations have stopped improving."""

import pathlib
from collections.abc import Iterable, Iterator, Mapping

from protclip_jax.checkpoints.best import Best, Judged
from protclip_jax.training.metrics import read_metrics


class EarlyStopping:
    """Counts the evaluations since the best one.

    All of its state follows from the evaluations so far, which metrics.jsonl stores. A resumed run
    therefore stops where an uninterrupted one would.
    """

    def __init__(self, best: Best, patience: int, earlier: Iterable[Mapping[str, float]] = ()):
        """`patience` is in evaluations, 0 = never stop; `earlier` precede the resumption."""
        self._best, self._patience = best, patience
        self._top, self._since = None, 0
        for metrics in earlier:
            self.judge(metrics)

    def judge(self, metrics: Mapping[str, float]) -> None:
        """Counts an evaluation; ignores it if it does not measure `best.metric`."""
        score = Judged(metrics, self._best).score(self._best)
        if score is None:
            return
        if self._top is None or score > self._top:
            self._top, self._since = score, 0
        else:
            self._since += 1

    @property
    def exhausted(self) -> bool:
        """Whether none of the last `patience` evaluations beat the best one before them."""
        return 0 < self._patience <= self._since

    @property
    def reason(self) -> str:
        """The reason why the run stops, for the log."""
        value = self._top if self._best.mode == "max" else -self._top
        return f"{self._best.metric} was no better than {value:.4g} in {self._since} evaluations"


def earlier_evaluations(workdir: pathlib.Path, step: int) -> Iterator[dict[str, float]]:
    """Yields the metrics of each evaluation up to `step` from the workdir's metrics.jsonl."""
    path = workdir / "metrics.jsonl"
    for line in read_metrics(path) if path.exists() else ():
        evaluated = {}
        for name, value in line.items():
            if name.startswith("eval/") and line["step"] <= step:
                evaluated[name.removeprefix("eval/")] = value
        if evaluated:
            yield evaluated
