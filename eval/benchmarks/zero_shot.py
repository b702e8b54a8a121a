"""Zero-shot classification by prompts, as ProtST defines it: a protein gets the class whose prompts
it is most similar to.

No label is seen: a class's embedding is the normalised mean of its prompts' embeddings, the
prediction the class of the largest cosine. What prompts to use is the protocol: ProtST's tables
hold a name, a longer description, or a sentence in the words of UniProt for each class. Beside it
stand chance (one class drawn at random), the commonest class, and the same prompts given to the
classes in another order, which keeps everything but their meaning.
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
"""Other orders of the classes that the control averages over."""


def run(data: PromptedTask, *, proteins: Features, texts: Features) -> dict:
    """Accuracy with each set of prompts. The test split is judged; without one, all proteins are,
    since none is trained on.

    Args:
      proteins, texts: to unit-norm embeddings in one space.

    Returns:
      `classes`, `split`, `proteins`; `prompts`, by set what `accuracies` says; `controls`, as
      reports show them; `notes`.

    Raises:
      UserError: the task is no single-label classification, or a class has no prompt.
    """
    task = data.task
    if task.kind != "multiclass":
        raise UserError(
            f"zero-shot classification needs one class for each protein; {task.name} is "
            f"{task.kind}."
        )
    for name, prompts in data.prompts.items():
        if missing := [of_class for of_class in task.classes if not prompts.get(of_class)]:
            raise UserError(
                f"{name}: there is no prompt for the class {missing[0]!r} of {task.name}; "
                "add one to the table."
            )
    tested = task.splits.get("test")
    samples = tested or [sample for split in task.splits.values() for sample in split]
    notes = (
        []
        if tested
        else [
            f"The data have no test split: all {len(samples)} proteins were judged, as none "
            "is trained on."
        ]
    )
    labels = np.array([sample.target for sample in samples])
    embedded = proteins([sample.sequence for sample in samples])
    results = {
        name: accuracies(embedded @ class_embeddings(prompts, task.classes, texts).T, labels)
        for name, prompts in data.prompts.items()
    }
    controls = [
        {
            "protocol": message,
            "metrics": {
                f"accuracy, {name}": {"mean": of_set[key]} for name, of_set in results.items()
            },
        }
        for key, message in CONTROLS.items()
    ]
    known = {
        "classes": len(task.classes),
        "split": "test" if tested else "all",
        "proteins": len(samples),
    }
    return known | {"prompts": results, "controls": controls, "notes": notes}


def class_embeddings(
    prompts: Mapping[str, Sequence[str]], classes: Sequence[str], texts: Features
) -> Float[np.ndarray, "C D"]:
    """Of each class the normalised mean of its prompts' embeddings."""
    counts = [len(prompts[name]) for name in classes]
    embedded = texts([prompt for name in classes for prompt in prompts[name]])
    means = np.stack([of_class.mean(0) for of_class in np.split(embedded, np.cumsum(counts)[:-1])])
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def accuracies(scores: Float[np.ndarray, "N C"], labels: Int[np.ndarray, " N"]) -> dict:
    """Accuracy of the largest score, 95 % bootstrap interval over proteins, mean over classes, and
    the controls.

    Classes that tie for the largest share the hit, so that a model that tells nothing apart
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
    """Classes of single proteins from their names alone, without a training."""

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
        unseen, told = without_seen(task, setup.pretraining, split="test")
        whole = run(data, proteins=setup.project, texts=setup.texts)
        left_out = len(unseen.splits["test"]) < len(task.splits["test"])
        rest = dataclasses.replace(data, task=unseen)
        result = run(rest, proteins=setup.project, texts=setup.texts) if left_out else whole
        result = result | told | {"notes": [*whole["notes"], *told.pop("notes", ())]}
        return Measured(result, _headline(result), _headline(whole) if left_out else {})

    def counts(self, data: PromptedTask) -> dict[str, int]:
        """Rows by split."""
        return {split: len(samples) for split, samples in data.task.splits.items()}

    def audit(self, data: PromptedTask) -> dict:
        """The task's, with the files of prompts among the others."""
        return audit_task(data.task) | audit_files(data)

    def limited(self, name: str, data: PromptedTask, limit: int) -> PromptedTask:
        """Fewer proteins and the same prompts."""
        del name
        return dataclasses.replace(data, task=limited(data.task, limit))
