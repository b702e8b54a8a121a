"""Few-shot classification: how much a few examples per class help, compared with prompts.

k proteins of each class are drawn from the training split. Each test protein gets the class whose
examples' mean is nearest by cosine, after subtracting the mean over all examples (nearest class
mean; prototypical networks without their training, Snell et al. 2017). Nothing is tuned, so the
smallest k is as honest as the largest. Draws are repeated; the control, which knows only the
amino-acid composition, uses the same draws.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from ml_collections import ConfigDict

from data_pipelines.common.errors import UserError
from data_pipelines.common.figure_style import BLUE, GREEN, GREY, INK, PURPLE, VERMILION, tidy
from data_pipelines.common.settings import ROWS
from eval.benchmarks.base.family import Measured, Setup
from eval.benchmarks.base.single_proteins import SingleProteins, without_seen
from eval.benchmarks.classification import Classification
from eval.benchmarks.zero_shot import ZeroShot
from eval.data.base.benchmark import Benchmark
from eval.data.base.task import Task
from eval.metrics.statistics import bootstrap_interval, mean_and_std, mean_interval
from eval.protocols.problem import Features, prepare_splits
from eval.protocols.protocol_config import SPLITS, some
from eval.protocols.sequence_features import composition
from eval.reporting.base.curves import curve, first_metric, small_multiples


def run(task: Task, features: Features, config: ConfigDict) -> dict:
    """Accuracy on the test split for each number of examples.

    Args:
      features: embeds sequences.
      config: configs/eval/few_shot.py.

    Returns:
      the facts of `prepare_splits`; `classes`; `shots` as configured; `accuracy` and `composition`:
      for each number of examples (as text, for JSON) the mean over draws, their std, and the mean
      of their 95 % bootstrap intervals over proteins; `chance`; and `smallest_class`, the training
      rows of the rarest class, which gives all it has if more are requested.

    Raises:
      UserError: the task is not a single-label classification, or fewer than two classes have
      training rows.
    """
    if task.kind != "multiclass":
        raise UserError(
            f"few-shot classification needs one class per protein, but {task.name} is {task.kind}."
        )
    prepared = prepare_splits(task, **config.splits.to_dict())
    train, test = prepared.splits["train"], prepared.splits["test"]
    labels = np.array([sample.target for sample in train])
    truth = np.array([sample.target for sample in test])
    counts = np.bincount(labels, minlength=len(task.classes))
    if (counts > 0).sum() < 2:
        raise UserError(
            f"{task.name} has training rows of fewer than two classes; give rows of at least two."
        )
    result = {
        "classes": len(task.classes),
        "shots": list(config.shots),
        "chance": 1 / len(task.classes),
    }
    result |= prepared.facts | {"smallest_class": int(counts[counts > 0].min())}
    for name, of_sequences in {"accuracy": features, "composition": composition}.items():
        known = of_sequences([sample.sequence for sample in train])
        tested = of_sequences([sample.sequence for sample in test])
        result[name] = {
            str(k): _scores(known, labels, tested, truth, shots=k, draws=config.draws)
            for k in config.shots
        }
    return result


def _scores(known, labels, tested, truth, *, shots: int, draws: int) -> dict:
    hits = [
        nearest_class(known, labels, tested, drawn(labels, shots, seed)) == truth
        for seed in range(draws)
    ]
    mean, std = mean_and_std([float(of_draw.mean()) for of_draw in hits])
    return {
        "mean": mean,
        "std": std,
        "interval": mean_interval(list(map(bootstrap_interval, hits))),
    }


def drawn(labels: Int[np.ndarray, " n"], shots: int, seed: int) -> Bool[np.ndarray, " n"]:
    """Draws `shots` examples of each class, or all of a class that has fewer."""
    order = np.random.default_rng(seed).permutation(len(labels))
    chosen = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        chosen[order[labels[order] == label][:shots]] = True
    return chosen


def nearest_class(
    known: Float[np.ndarray, "n D"],
    labels: Int[np.ndarray, " n"],
    tested: Float[np.ndarray, "m D"],
    examples: Bool[np.ndarray, " n"],
) -> Int[np.ndarray, " m"]:
    """Predicts the class with the largest cosine to the mean of its examples.

    All vectors are centred by the mean over the examples.
    """
    vectors, own = known[examples].astype(np.float64), labels[examples]
    centre = vectors.mean(0)
    classes = np.unique(own)
    means = np.stack([vectors[own == label].mean(0) - centre for label in classes])
    norms = np.linalg.norm(means, axis=1)
    # Scaling a tested row does not change its ranking. A class whose mean is the centre has no
    # direction, so its cosine is 0.
    cosines = (tested - centre) @ np.divide(
        means, norms[:, None], out=np.zeros_like(means), where=norms[:, None] > 0
    ).T
    return classes[cosines.argmax(1)]


def controls(result: dict) -> Sequence[dict]:
    """The controls as reports show them: by protocol, the mean of each metric."""
    of_composition = {
        metric(int(k)): {"mean": value["mean"]} for k, value in result["composition"].items()
    }
    chance = dict.fromkeys(of_composition, {"mean": result["chance"]})
    return [
        {"protocol": "composition", "metrics": of_composition},
        {"protocol": "chance", "metrics": chance},
    ]


def metric(shots: int) -> str:
    """The name in reports of the accuracy with `shots` examples."""
    return f"accuracy, {shots} of each class"


_PREFIX = "few_shot_"
_TASKS = [one for one in Classification.benchmarks if one.kind == "multiclass"]


class FewShot(SingleProteins):
    """Classifies single proteins from a few examples of each class.

    Its data are those of the benchmarks with one class per protein.
    """

    name = "few_shot"
    title = "Few-shot classification"
    protocol = "nearest class mean of frozen embeddings"
    benchmarks = tuple(
        Benchmark(f"{_PREFIX}{task.name}", task.wanted, proteins_of=task.name)
        for task in _TASKS
    )  # fmt: skip
    fields = SPLITS | {"shots": some(ROWS), "draws": ROWS}
    following = ("draws=3",)
    captions = {
        "few_shot": "Accuracy from a few examples of each class, mean over draws; lines: 95 % "
        "intervals."
    }

    def measure(self, setup: Setup, name: str, data: Task) -> Measured:
        """Accuracy for each number of examples; see `run`."""
        del name
        config = setup.configs[self.name]
        prepared = prepare_splits(data, **config.splits.to_dict())
        unseen, facts = without_seen(
            dataclasses.replace(data, splits=prepared.splits), setup.pretraining, split="test"
        )
        whole = run(data, setup.embed, config)
        left_out = len(unseen.splits["test"]) < len(prepared.splits["test"])
        result = run(unseen, setup.embed, config) if left_out else whole
        notes = [*whole["notes"], *facts.pop("notes", ())]
        result = result | facts | {"controls": controls(result), "notes": notes}
        return Measured(result, _headline(result), _headline(whole) if left_out else {})

    def figures(self, measured: Sequence[Mapping]) -> dict[str, Figure]:
        """Plots accuracy over examples per class, with the accuracy of the first set of prompts."""
        tasks = {own.name: own.proteins_of for own in self.benchmarks}
        shown = [result for result in measured if result["benchmark"] in tasks]
        if not shown:
            return {}
        by_prompts = _by_prompts(measured)
        figure, axes = small_multiples(len(shown))
        for axis, result in zip(axes, shown, strict=True):
            task = tasks[result["benchmark"]]
            _draw(axis, task, result, by_prompts.get(task))
        return {"few_shot": figure}


def _headline(result: Mapping) -> dict[str, dict]:
    return {metric(int(shots)): value for shots, value in result["accuracy"].items()}


def _by_prompts(measured: Sequence[Mapping]) -> dict[str, float | None]:
    """Task → accuracy with the first set of prompts, if it was measured."""
    tasks = {own.name: own.proteins_of for own in ZeroShot.benchmarks}
    of_tasks = [result for result in measured if result["benchmark"] in tasks]
    return {tasks[result["benchmark"]]: first_metric(result)[1]["mean"] for result in of_tasks}


def _draw(axis: Axes, task: str, result: Mapping, by_prompts: float | None) -> None:
    """Plots one task's accuracy beside composition and chance.

    Random weights and prompts are added if they were measured.
    """
    own = result["result"]
    shots = [int(k) for k in own["shots"]]
    curve(axis, shots, [result["headline"][metric(k)] for k in shots], BLUE, label="embeddings")
    curve(axis, shots, [own["composition"][str(k)] for k in shots], VERMILION, label="composition")
    if untrained := result.get("random_weights"):
        curve(axis, shots, [untrained[metric(k)] for k in shots], PURPLE, label="random weights")
    axis.axhline(own["chance"], color=GREY, linestyle="--", linewidth=1, label="chance")
    if by_prompts is not None:
        axis.axhline(
            by_prompts, color=GREEN, linestyle=":", linewidth=1.4, label="prompts, no example"
        )
    axis.set_xscale("log", base=2)
    axis.set_xticks(shots, list(map(str, shots)))
    axis.set_title(task, fontsize=9, color=INK, loc="left")
    axis.set_xlabel("examples of each class", fontsize=8)
    axis.set_ylim(bottom=0)
    axis.legend(fontsize=7, frameon=False)
    tidy(axis)
