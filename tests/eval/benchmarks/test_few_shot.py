"""Few-shot classification: the draws, the classifier against a written-out reference, and a
curve that rises."""

import numpy as np
import pytest

from configs.eval import few_shot as few_shot_config
from data_pipelines.common.errors import UserError
from eval.benchmarks import few_shot
from eval.data.base.task import Sample, Task

LETTERS = "ACDEF"


def task(count=30, *, kind="multiclass"):
    """Five classes; the first letter tells the class, the second says which noise the embedding
    has."""
    rng = np.random.default_rng(0)
    samples = {}
    for split in ("train", "valid", "test"):
        samples[split] = [
            Sample("p", LETTERS[i % 5] + "".join(rng.choice(list("KLMN"), 12)), i % 5)
            for i in range(5 * count)
        ]
    return Task("localisation", kind, tuple("vwxyz"), samples, [], [])


def noisy(sequences):
    """The class's axis, an offset that all share, and noise that depends on the sequence alone."""
    noise = [np.random.default_rng(list(s.encode())).normal(size=8) for s in sequences]
    return (np.eye(8)[[LETTERS.index(s[0]) for s in sequences]] + 0.4 * np.array(noise) + 5).astype(
        np.float32
    )


def config(**changes):
    options = few_shot_config.get_config()
    options.update(shots=(1, 4, 16), draws=4, **changes)
    return options


def test_the_curve_rises_on_a_planted_signal_and_stands_beside_chance_and_composition():
    result = few_shot.run(task(), noisy, config())
    curve = [result["accuracy"][k]["mean"] for k in ("1", "4", "16")]
    assert 0.2 < curve[0] < curve[1] < curve[2]
    assert curve[2] > 0.65
    assert result["chance"] == 0.2
    for value in result["accuracy"].values():
        low, high = value["interval"]
        assert low < value["mean"] < high
    controls = few_shot.controls(result)
    assert [control["protocol"] for control in controls] == ["composition", "chance"]
    assert controls[1]["metrics"]["accuracy, 4 of each class"]["mean"] == 0.2


def test_draws_take_so_many_of_each_class_or_all_it_has():
    labels = np.array([0] * 7 + [1] * 2 + [3] * 5)
    chosen = few_shot.drawn(labels, 4, seed=1)
    assert np.bincount(labels[chosen], minlength=4).tolist() == [4, 2, 0, 4]
    assert (few_shot.drawn(labels, 4, seed=1) == chosen).all()
    assert (few_shot.drawn(labels, 4, seed=2) != chosen).any()
    # A larger draw of a seed holds the smaller one, so that a curve differs by the added examples
    # alone.
    assert (few_shot.drawn(labels, 5, seed=1) | ~chosen).all()


def test_the_classifier_equals_a_written_out_reference():
    rng = np.random.default_rng(3)
    known, asked, labels = (
        rng.normal(size=(12, 5)) + 3,
        rng.normal(size=(20, 5)) + 3,
        np.arange(12) % 3,
    )
    examples = np.arange(12) < 9
    centre = sum(known[i] for i in range(9)) / 9
    expected = []
    for row in asked:
        cosines = []
        for label in range(3):
            mean = sum(known[i] for i in range(9) if labels[i] == label) / 3 - centre
            cosines.append(
                (row - centre) @ mean / np.sqrt((row - centre) @ (row - centre) * (mean @ mean))
            )
        expected.append(int(np.argmax(cosines)))
    assert few_shot.nearest_class(known, labels, asked, examples).tolist() == expected


def test_what_cannot_be_measured_is_reported():
    with pytest.raises(UserError, match="localisation is multilabel"):
        few_shot.run(task(kind="multilabel"), noisy, config())
