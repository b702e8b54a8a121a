import dataclasses

import numpy as np
import pytest

from data_pipelines.common.errors import UserError
from eval.benchmarks import zero_shot
from eval.data.base.task import PromptedTask, Sample, Task


class Planted:
    """A model whose texts are the axes of a space, and whose proteins lie on the axis that their
    first letter names."""

    AXES = "ACDE"

    def encode_texts(self, texts):
        return np.eye(4, dtype=np.float32)[[self.AXES.index(text[0]) for text in texts]]

    def encode_proteins(self, sequences):
        return self.encode_texts(sequences)


def task(targets, *, kind="multiclass"):
    samples = [
        Sample(f"p{i}", Planted.AXES[target] + "KLM", target) for i, target in enumerate(targets)
    ]
    return Task(
        "localisation", kind, ("nucleus", "plastid", "golgi", "vacuole"), {"test": samples}, [], []
    )


def run(of_task, prompts):
    model = Planted()
    data = PromptedTask(of_task, {"names": prompts}, [], [])
    return zero_shot.run(data, proteins=model.encode_proteins, texts=model.encode_texts)


PROMPTS = {
    "golgi": ["D golgi"],
    "vacuole": ["E vacuole"],
    "nucleus": ["A nucleus", "A core"],
    "plastid": ["C plastid"],
}


def test_prompts_are_joined_to_classes_by_name_and_a_perfect_model_is_right():
    whole = run(task([0, 1, 2, 3, 3]), PROMPTS)
    assert (whole["split"], whole["proteins"], whole["classes"]) == ("test", 5, 4)
    result = whole["prompts"]["names"]
    assert (result["accuracy"], result["mean_class_accuracy"]) == (1.0, 1.0)
    assert (result["chance"], result["commonest_class"]) == (0.25, 0.4)
    assert result["shuffled_prompts"] == pytest.approx(0.25, abs=0.06)
    shown = {
        control["protocol"]: control["metrics"]["accuracy, names"]["mean"]
        for control in whole["controls"]
    }
    assert shown == {
        "chance": 0.25,
        "commonest class": 0.4,
        "prompts in another order": result["shuffled_prompts"],
    }


def test_without_a_test_split_all_are_judged_and_that_is_said():
    some = task([0, 1])
    other = dataclasses.replace(
        some, splits={"train": some.splits["test"], "valid": task([2]).splits["test"]}
    )
    result = run(other, PROMPTS)
    assert (result["split"], result["proteins"]) == ("all", 3)
    assert "no test split" in result["notes"][0]


def test_accuracies_equal_a_count():
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(300, 5)), rng.integers(0, 5, 300)
    result = zero_shot.accuracies(scores, labels)
    hits = [int(np.argmax(row)) == label for row, label in zip(scores, labels, strict=True)]
    assert result["accuracy"] == pytest.approx(np.mean(hits))
    by_class = []
    for c in range(5):
        own = [hit for hit, label in zip(hits, labels, strict=True) if label == c]
        by_class.append(np.mean(own))
    assert result["mean_class_accuracy"] == pytest.approx(np.mean(by_class))
    low, high = result["accuracy_interval"]
    assert low < result["accuracy"] < high


def test_a_model_that_tells_nothing_apart_scores_chance():
    result = zero_shot.accuracies(np.zeros((40, 4)), np.arange(40) % 4)
    assert result["accuracy"] == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("wrong", "prompts", "message"),
    [
        (task([0]), {**PROMPTS, "golgi": []}, "'golgi'"),
        (task([0], kind="multilabel"), PROMPTS, "is multilabel"),
    ],
)
def test_what_cannot_be_measured_is_reported(wrong, prompts, message):
    with pytest.raises(UserError, match=message):
        run(wrong, prompts)
