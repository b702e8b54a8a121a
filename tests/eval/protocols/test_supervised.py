"""The families of supervised benchmarks from task to result."""

import dataclasses

import numpy as np
import pytest
import scipy.stats

from data_pipelines.build import minhash
from data_pipelines.build.exclude import sequence_key
from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import to_json
from eval.benchmarks import classification, mutation_effect
from eval.data.base.pretraining import PretrainingSet
from eval.metrics import average_precision, fmax
from eval.protocols import supervised
from eval.protocols.probe import FrozenProbe
from eval.protocols.problem import Fitted, Problem
from eval.protocols.supervised import ShuffledLabels, judged, standard_controls
from tests.support import problems
from tests.support.problems import small

SEEDS = 3


class Guess:
    """A protocol whose outputs are the features' own numbers with a little noise for each seed."""

    name = "guess"

    def __call__(self, problem):
        outputs = {}
        for split in ("valid", "test"):
            x = (problems.features(problem.sequences(split)) - 100) / 7
            found = 50 + 10 * (x[:, :1] - x[:, 1:2]) if problem.kind == "regression" else x[:, :3]
            noise = np.random.default_rng(0).normal(size=(SEEDS, *found.shape))
            outputs[split] = (found + 0.5 * noise).astype(np.float32)
        return Fitted(outputs, {"epochs": [1] * SEEDS})


def run(kind, protocol=None, *, task=None, controls=None):
    family = mutation_effect if kind == "regression" else classification
    task = task or problems.task(kind)
    judge = family.judge_of(task)
    return supervised.run(
        task, protocol or Guess(), judge=judge, splits=problems.SPLITS, controls=controls
    )


def outputs_and_targets(kind):
    problem = Problem("p", kind, problems.CLASSES, problems.task(kind).splits, lambda *_: 0.0)
    return Guess()(problem).outputs["test"], problem.targets("test")


# --- Numbers ---


def test_regression_is_judged_seed_by_seed():
    result = run("regression")
    outputs, targets = outputs_and_targets("regression")
    expected = [scipy.stats.spearmanr(of_seed[:, 0], targets).statistic for of_seed in outputs]
    spearman = result["metrics"]["spearman"]
    np.testing.assert_allclose(spearman["seeds"], expected)
    assert spearman["mean"] == pytest.approx(np.mean(expected))
    assert spearman["std"] == pytest.approx(np.std(expected, ddof=1))
    errors = outputs[:, :, 0] - targets
    np.testing.assert_allclose(result["metrics"]["mae"]["seeds"], np.abs(errors).mean(1), rtol=1e-6)
    np.testing.assert_allclose(
        result["metrics"]["rmse"]["seeds"], np.sqrt((errors**2).mean(1)), rtol=1e-6
    )
    assert (result["main"], result["unit"], result["protocol"]) == ("spearman", "K", "guess")


def test_classes_are_judged_seed_by_seed():
    outputs, targets = outputs_and_targets("multiclass")
    accuracies = [(of_seed.argmax(1) == targets).mean() for of_seed in outputs]
    np.testing.assert_allclose(run("multiclass")["metrics"]["accuracy"]["seeds"], accuracies)
    outputs, targets = outputs_and_targets("multilabel")
    result = run("multilabel")
    assert result["main"] == "fmax"
    np.testing.assert_allclose(
        result["metrics"]["fmax"]["seeds"], [fmax(of_seed, targets) for of_seed in outputs]
    )
    np.testing.assert_allclose(
        result["metrics"]["aupr"]["seeds"],
        [average_precision(of_seed, targets) for of_seed in outputs],
    )


@pytest.mark.parametrize("kind", problems.all_kinds())
def test_intervals_hold_the_value_and_are_as_wide_as_resampling_says(kind):
    outputs, targets = outputs_and_targets(kind)
    judge = problems.judge(kind)
    result = judged(outputs, targets, judge)
    rng = np.random.default_rng(1)
    draws = rng.integers(len(targets), size=(300, len(targets)))
    for name, metric in judge.metrics.items():
        low, high = result[name]["interval"]
        assert low < result[name]["mean"] < high
        resampled = []
        for of_seed in outputs:
            values = [metric(of_seed[rows], targets[rows]) for rows in draws]
            resampled.append(np.percentile(values, (2.5, 97.5)))
        np.testing.assert_allclose(
            (low, high), np.mean(resampled, axis=0), atol=0.25 * (high - low)
        )


def test_constant_outputs_give_undefined_numbers_not_an_error():
    constant = np.zeros((2, 30, 1), np.float32)
    result = judged(constant, np.arange(30, dtype=np.float32), mutation_effect.JUDGE)
    assert np.isnan(result["spearman"]["mean"])
    assert result["mae"]["mean"] == pytest.approx(14.5)


# --- Results ---


def test_identity_curve_judges_the_chains_below_each_cutoff():
    task = problems.task("multilabel")
    known = [0.3, 0.3, 0.4, 0.5, 0.7, 0.95, 1.0, None]
    test = [
        dataclasses.replace(s, identity=known[i % 8]) for i, s in enumerate(task.splits["test"])
    ]
    result = run("multilabel", task=dataclasses.replace(task, splits={**task.splits, "test": test}))
    assert [point["rows"] for point in result["identity_curve"]] == [20, 30, 40, 50, 60]
    assert result["identity_unknown"] == 10
    outputs, targets = outputs_and_targets("multilabel")
    low = [i for i in range(80) if i % 8 < 2]
    expected = [fmax(of_seed[low], targets[low]) for of_seed in outputs]
    np.testing.assert_allclose(result["identity_curve"][0]["metrics"]["fmax"]["seeds"], expected)
    assert "identity_curve" not in run("multilabel")
    none = [dataclasses.replace(s, identity=0.95) for s in task.splits["test"]]
    far = run("multilabel", task=dataclasses.replace(task, splits={**task.splits, "test": none}))
    assert far["identity_curve"][0] == {"cutoff": 0.3, "rows": 0, "metrics": None}


@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_a_family_end_to_end_beside_its_controls(kind):
    protocol = FrozenProbe(problems.features, small(max_epochs=15))
    task = problems.task(kind, valid=0)
    result = run(
        kind, protocol, task=task, controls=standard_controls(protocol, small(max_epochs=15))
    )
    assert [control["protocol"] for control in result["controls"]] == [
        "frozen probe, shuffled labels",
        "k-mer ridge",
        "composition probe",
    ]
    main = result["main"]
    # The signal is in these features alone, neither in k-mers nor in letters.
    scores = [control["metrics"][main]["mean"] for control in result["controls"]]
    assert result["metrics"][main]["mean"] > max(scores) + 0.2
    assert result["carved"]["valid"]["rows"] == 40
    assert result["sizes"] == {"train": 160, "valid": 40, "test": 80}
    assert result["seconds"] > 0
    assert to_json(result)["facts"]["hidden"] == 16


def test_shuffled_labels_wrap_any_protocol():
    seen = []

    class Looks(Guess):
        def __call__(self, problem):
            seen.append(problem)
            return super().__call__(problem)

    run("multiclass", Looks(), controls=[ShuffledLabels(Looks())])
    assert (seen[0].targets("train") != seen[1].targets("train")).any()
    assert (seen[0].targets("test") == seen[1].targets("test")).all()


def test_a_task_of_the_wrong_kind_or_without_classes_is_refused():
    with pytest.raises(UserError, match="should be a regression"):
        mutation_effect.judge_of(problems.task("multiclass"))
    with pytest.raises(UserError, match="ec should be multilabel"):
        classification.judge_of(problems.task("multiclass", name="ec"))
    with pytest.raises(UserError, match="correct its format"):
        classification.judge_of(problems.task("regression"))
    bare = dataclasses.replace(problems.task("multilabel"), classes=())
    with pytest.raises(UserError, match="planted: no protein has a class"):
        classification.judge_of(bare)


# --- Pretraining ---


@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "regression"])
def test_proteins_of_the_pretraining_are_left_out(kind):
    """Metrics are those of the other rows; beside them stand those of all."""
    family = mutation_effect if kind == "regression" else classification
    task = problems.task(kind)
    seen = [sample.sequence for sample in task.splits["test"][::3]]
    known = PretrainingSet(
        np.sort(np.array([sequence_key(text) for text in seen], np.uint64)), minhash.sketches(seen)
    )
    options = {"splits": problems.SPLITS, "controls": [Guess()]}
    plain = supervised.run(task, Guess(), judge=family.judge_of(task), **options)
    result = supervised.run(
        task, Guess(), judge=family.judge_of(task), **options, pretraining=known
    )
    rows = np.arange(80) % 3 != 0
    outputs, targets = outputs_and_targets(kind)
    expected = judged(outputs[:, rows], targets[rows], problems.judge(kind))
    assert result["metrics"] == expected == result["controls"][0]["metrics"]
    assert result["metrics_with_seen"] == plain["metrics"]
    assert result["pretraining"]["seen"] == len(seen)
    assert sum(result["pretraining"].values()) == 80
    assert "27 of 80 test proteins were in pretraining" in result["notes"][-1]
    assert "metrics_with_seen" not in plain

    strangers = PretrainingSet(np.zeros(0, np.uint64), minhash.sketches([]))
    unknown = supervised.run(
        task, Guess(), judge=family.judge_of(task), **options, pretraining=strangers
    )
    assert unknown["metrics"] == plain["metrics"]
    assert "metrics_with_seen" not in unknown
