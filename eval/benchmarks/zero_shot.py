"""Zero-shot classification by prompts, as in ProtST: the class with the most similar prompts.

No label is seen: a class's embedding is the normalised mean of its prompts' embeddings, and the
prediction is the class with the largest cosine. The choice of prompts is the protocol: for each
class ProtST's tables hold a name, a longer description, or a sentence in UniProt's words. Controls:
chance (a class drawn at random), the commonest class, and the same prompts assigned to the classes
in another order, which keeps everything but their meaning.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from data_pipelines.common.errors import UserError
from eval.benchmarks.base.family import BenchmarkFamily, Measured, Setup
from eval.benchmarks.base.single_proteins import limited, without_seen
from eval.data.base import known_sources
from eval.data.base.audit import audit_files, audit_task
from eval.data.base.benchmark import Benchmark
from eval.data.base.task import PromptedTask
from eval.data.importers.enzyme import ENZYME_PROMPTS
from eval.data.importers.prompts import PROMPT_TABLE, PROTST_PROMPTS
from eval.metrics.statistics import bootstrap_interval
from eval.protocols.problem import Features

CONTROLS = {
    "chance": "chance",
    "commonest_class": "commonest class",
    "shuffled_prompts": "prompts in another order",
}
SHUFFLES = 200
"""The number of other orders of the classes that the control averages over."""


def run(data: PromptedTask, *, proteins: Features, texts: Features) -> dict:
    """Accuracy with each set of prompts, on the test split or, without one, on all proteins.

    Nothing is trained, so all proteins may be judged.

    Args:
      proteins, texts: embed to unit norm in one space.

    Returns:
      `classes`, `split`, `proteins`; `prompts`, by set the result of `accuracies`; `controls`, as
      reports show them; `notes`.

    Raises:
      UserError: the task is not a single-label classification, or a class has no prompt.
    """
    task = data.task
    if task.kind != "multiclass":
        raise UserError(
            f"zero-shot classification needs one class per protein, but {task.name} is {task.kind}."
        )
    for name, prompts in data.prompts.items():
        if missing := [of_class for of_class in task.classes if not prompts.get(of_class)]:
            raise UserError(
                f"{name} has no prompt for the class {missing[0]!r} of {task.name}; add one to "
                "the table."
            )
    tested = task.splits.get("test")
    samples = tested or [sample for split in task.splits.values() for sample in split]
    notes = (
        []
        if tested
        else [
            f"The data have no test split: all {len(samples)} proteins were judged, since none is "
            "trained on."
        ]
    )
    labels = np.array([sample.target for sample in samples])
    embedded = proteins([sample.sequence for sample in samples])
    results = {
        name: accuracies(embedded @ class_embeddings(prompts, task.classes, texts).T, labels)
        for name, prompts in data.prompts.items()
    }
    controls = []
    for key, message in CONTROLS.items():
        metrics = {f"accuracy, {name}": {"mean": of_set[key]} for name, of_set in results.items()}
        controls.append({"protocol": message, "metrics": metrics})
    known = {
        "classes": len(task.classes),
        "split": "test" if tested else "all",
        "proteins": len(samples),
    }
    return known | {"prompts": results, "controls": controls, "notes": notes}


def class_embeddings(
    prompts: Mapping[str, Sequence[str]], classes: Sequence[str], texts: Features
) -> Float[np.ndarray, "C D"]:
    """For each class the normalised mean of its prompts' embeddings."""
    counts = [len(prompts[name]) for name in classes]
    embedded = texts([prompt for name in classes for prompt in prompts[name]])
    means = np.stack([of_class.mean(0) for of_class in np.split(embedded, np.cumsum(counts)[:-1])])
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def accuracies(scores: Float[np.ndarray, "N C"], labels: Int[np.ndarray, " N"]) -> dict:
    """Accuracy, its 95 % bootstrap interval over proteins, mean over classes, and the controls.

    Classes that tie for the largest score share the hit, so a model that cannot tell them apart
    scores chance.
    """
    best = scores >= scores.max(1, keepdims=True)
    hits = best[np.arange(len(labels)), labels] / best.sum(1)
    counts = np.bincount(labels, minlength=scores.shape[1])
    recalls = (
        np.bincount(labels, weights=hits, minlength=scores.shape[1])[counts > 0]
        / counts[counts > 0]
    )
    rng = np.random.default_rng(0)
    orders = [rng.permutation(scores.shape[1]) for _ in range(SHUFFLES)]
    shuffled = np.array(
        [(best[np.arange(len(labels)), order[labels]] / best.sum(1)).mean() for order in orders]
    )
    return {
        "accuracy": float(hits.mean()),
        "accuracy_interval": bootstrap_interval(hits),
        "mean_class_accuracy": float(recalls.mean()),
        "chance": 1 / scores.shape[1],
        "commonest_class": float(counts.max() / len(labels)),
        "shuffled_prompts": float(shuffled.mean()),
        "shuffled_prompts_95th": float(np.percentile(shuffled, 95)),
    }


def _headline(result: Mapping) -> dict[str, dict]:
    return {
        f"accuracy, {prompts}": {
            "mean": of_set["accuracy"],
            "std": None,
            "interval": of_set["accuracy_interval"],
        }
        for prompts, of_set in result["prompts"].items()
    }


_PROTST_FOLDER = "github.com/DeepGraphLearning/ProtST, data/zero_shot_classification"


def _tables(task: str, *names: str) -> dict:
    tables = {name: f"protst/protst_{task}_{name}.tsv" for name in names}
    return {"format": "protst_prompts", "tables": tables}


class ZeroShot(BenchmarkFamily):
    """Classifies single proteins from the classes' names alone, without training."""

    name = "zero_shot"
    title = "Zero-shot classification by prompts"
    protocol = "prompts, nothing trained"
    beyond_vectors = "embeddings of prompts in the space of the proteins"
    benchmarks = (
        Benchmark(
            "zero_shot_localisation",
            "the files of localisation, and protst_subloc_template.tsv of ProtST, from "
            f"{_PROTST_FOLDER}",
            (PROTST_PROMPTS, PROMPT_TABLE),
            _tables("subloc", "template", "language") | {"columns": ["name", "description"]},
            proteins_of="localisation",
            source=known_sources.LOCALISATION_PROMPTS,
        ),
        Benchmark(
            "zero_shot_reaction",
            "the files of reaction, and protst_reaction_template.tsv of ProtST, from "
            f"{_PROTST_FOLDER}",
            (PROTST_PROMPTS, ENZYME_PROMPTS, PROMPT_TABLE),
            _tables("reaction", "template", "language", "name")
            | {"functions": "ieconv/unique_functions.txt"},
            proteins_of="reaction",
            source=known_sources.REACTION_PROMPTS,
        ),
    )

    def measure(self, setup: Setup, name: str, data: PromptedTask) -> Measured:
        """Accuracy with each set of prompts; see `run`."""
        del name
        task = data.task
        if not task.splits.get("test"):
            everything = [sample for samples in task.splits.values() for sample in samples]
            task = dataclasses.replace(task, splits={"test": everything})
        unseen, facts = without_seen(task, setup.pretraining, split="test")
        whole = run(data, proteins=setup.project, texts=setup.texts)
        left_out = len(unseen.splits["test"]) < len(task.splits["test"])
        rest = dataclasses.replace(data, task=unseen)
        result = run(rest, proteins=setup.project, texts=setup.texts) if left_out else whole
        result = result | facts | {"notes": [*whole["notes"], *facts.pop("notes", ())]}
        return Measured(result, _headline(result), _headline(whole) if left_out else {})

    def counts(self, data: PromptedTask) -> dict[str, int]:
        """Rows by split."""
        return {split: len(samples) for split, samples in data.task.splits.items()}

    def audit(self, data: PromptedTask) -> dict:
        """The task's, including the files of prompts."""
        return audit_task(data.task) | audit_files(data)

    def limited(self, name: str, data: PromptedTask, limit: int) -> PromptedTask:
        """Fewer proteins, the same prompts."""
        del name
        return dataclasses.replace(data, task=limited(data.task, limit))
