"""Evaluations made by name and options, and what training runs of them."""

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from typing import Protocol

from data_pipelines.common.errors import RunError, UserError
from data_pipelines.common.progress import progress
from data_pipelines.protanno.dataset import ProtAnno
from eval.benchmarks.families import BENCHMARKS
from eval.pretraining.evaluation import Evaluation, Model
from eval.pretraining.evaluations import EVALUATIONS
from eval.public.followed_benchmark import FollowedBenchmark


def options_of(name: str) -> list[str]:
    """The options that an evaluation takes."""
    return [
        option for option in inspect.signature(EVALUATIONS[name]).parameters if option != "dataset"
    ]


def make_evaluation(name: str, dataset: ProtAnno, options: Mapping) -> Evaluation:
    """The evaluation of that name on a dataset.

    Raises:
      UserError: an unknown name or option, or data it cannot be measured on.
    """
    if name not in EVALUATIONS:
        raise UserError(f"unknown evaluation {name!r}; expected {', '.join(EVALUATIONS)}.")
    known = options_of(name)
    for option in options:
        if option not in known:
            raise UserError(
                f"the evaluation {name!r} has no option {option!r}; expected {', '.join(known)}."
            )
    return EVALUATIONS[name](dataset, **options)


class Followed(Protocol):
    """What can be followed in training: an `Evaluation`, or a `FollowedBenchmark`."""

    key: str

    def metrics(self, model: Model) -> dict[str, float]:
        """Numbers by name, without the key."""


@dataclasses.dataclass(frozen=True)
class Hook:
    """An evaluation for the training loop: maps the live model to metrics by logged names.

    `every` is a number of steps, None for whenever evaluations run.
    """

    name: str
    evaluation: Followed
    every: int | None = None

    def due(self, step: int, *, last: bool) -> bool:
        """Whether it is to be called after this step; after the last it always is."""
        return last or self.every is None or step % self.every == 0

    def __call__(self, model: Model) -> dict[str, float]:
        """Names metrics `key/name`; re-raises failures with the evaluation's name.

        A UserError stays a UserError.
        """
        try:
            metrics = self.evaluation.metrics(model)
        except (UserError, RunError) as error:
            raise type(error)(f"the evaluation {self.name!r}: {error}") from error
        except Exception as error:
            raise RuntimeError(f"the evaluation {self.name!r} failed: {error}") from error
        return {f"{self.evaluation.key}/{name}": value for name, value in metrics.items()}


def make_hooks(evals: Mapping[str, Mapping], dataset: ProtAnno) -> list[Hook]:
    """The hooks of `config.evals`, which maps names to options.

    A name is an evaluation's on the built dataset, whose split is `validation` unless set; or a
    public benchmark's, whose `data_dir` then says where its data are. With `benchmark` an entry of
    another name is one too, so that one benchmark can be followed twice. `every` steps (a multiple
    of `eval_every`) is for both.

    Raises:
      UserError: an unknown name or option, or data that are not there.
    """
    return [_make_hook(name, dict(options), dataset) for name, options in dict(evals).items()]


def _make_hook(name: str, options: dict, dataset: ProtAnno) -> Hook:
    every = options.pop("every", None)
    if name in EVALUATIONS:
        return Hook(name, make_evaluation(name, dataset, {"split": "validation", **options}), every)
    benchmark = options.pop("benchmark", name)
    if benchmark not in BENCHMARKS:
        raise UserError(
            f"evals.{name}: {benchmark!r} is neither an evaluation "
            f"({', '.join(EVALUATIONS)}) nor a public benchmark "
            f"({', '.join(BENCHMARKS)})."
        )
    if unknown := options.keys() - {"data_dir", "limit"}:
        raise UserError(
            f"evals.{name} has no option {sorted(unknown)[0]!r}; a benchmark has data_dir, "
            "limit, every, benchmark."
        )
    if "data_dir" not in options:
        raise UserError(
            f"evals.{name} needs data_dir, the folder of its data as docs/benchmarks.md "
            "describes it."
        )
    return Hook(name, FollowedBenchmark(benchmark, key=name, **options), every)


def check_best(metric: str | None, hooks: Sequence[Hook]) -> None:
    """Refuses a `best.metric` that no hook measures; a hook's metrics are known after a run.

    Raises:
      UserError: none of the hooks has that key.
    """
    keys = [hook.evaluation.key for hook in hooks]
    if metric is not None and hooks and metric.partition("/")[0] not in keys:
        raise UserError(
            f"best.metric={metric} is not measured by any of evals; it must begin with "
            f"{' or '.join(f'{k}/' for k in keys)}."
        )


def run_hooks(
    hooks: Sequence[Hook], model: Model, *, step: int, last: bool, best: str | None
) -> dict[str, float]:
    """All metrics of the hooks that are due.

    Raises:
      UserError: the hook of `best` has run and has no such metric.
    """
    due = [hook for hook in hooks if hook.due(step, last=last)]
    metrics: dict[str, float] = {}
    for hook in progress(due, description="evaluating", unit="evaluations") if due else ():
        metrics |= hook(model)
    same = [
        name
        for name in metrics
        if best is not None and name.partition("/")[0] == best.partition("/")[0]
    ]
    if same and best not in metrics:
        raise UserError(f"best.metric={best} is not measured; expected one of {', '.join(same)}.")
    return metrics
