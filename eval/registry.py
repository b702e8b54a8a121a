"""The evaluations by name. A new one is a file with an `Evaluation` and a line in `EVALUATIONS`."""

import dataclasses
import inspect
from collections.abc import Mapping

from data_pipelines.errors import UserError
from data_pipelines.protanno import ProtAnno
from eval.evaluation import Evaluation, Model
from eval.retrieval import Retrieval
from eval.segment_localisation import SegmentLocalisation
from eval.segment_recovery import SegmentRecovery

EVALUATIONS: dict[str, type[Evaluation]] = {
    "retrieval": Retrieval,
    "segment_recovery": SegmentRecovery,
    "segment_localisation": SegmentLocalisation,
}


def make_evaluation(name: str, dataset: ProtAnno, options: Mapping) -> Evaluation:
    """The evaluation of that name on a dataset.

    Raises:
      UserError: an unknown name or option, or data it cannot be measured on.
    """
    if name not in EVALUATIONS:
        raise UserError(f"There is no evaluation {name!r}; known: {', '.join(EVALUATIONS)}.")
    known = [option for option in inspect.signature(EVALUATIONS[name]).parameters if option != "dataset"]
    for option in options:
        if option not in known:
            raise UserError(f"The evaluation {name!r} has no option {option!r}; it has {', '.join(known)}.")
    return EVALUATIONS[name](dataset, **options)


@dataclasses.dataclass(frozen=True)
class Hook:
    """An evaluation for the training loop: called with the live model, it returns metrics by their logged names."""

    name: str
    evaluation: Evaluation

    def __call__(self, model: Model) -> dict[str, float]:
        """Metrics as `key/name`; a failure is raised again with the evaluation's name."""
        try:
            metrics = self.evaluation.metrics(model)
        except Exception as error:
            raise RuntimeError(f"the evaluation {self.name!r} failed: {error}") from error
        return {f"{self.evaluation.key}/{name}": value for name, value in metrics.items()}


def make_hooks(evals: Mapping[str, Mapping], dataset: ProtAnno) -> list[Hook]:
    """The hooks of `config.evals`, which maps evaluations' names to their options; the split is `validation` unless set."""
    return [
        Hook(name, make_evaluation(name, dataset, {"split": "validation", **options})) for name, options in dict(evals).items()
    ]
