import json
import math

import pytest

from data_pipelines.common.errors import RunError, UserError
from eval.pretraining.evaluations import EVALUATIONS
from eval.registry import Hook, check_best, make_evaluation, make_hooks, run_hooks
from tests.support.fakes import Ignorant, Oracle


def test_hooks_name_metrics_by_their_key(dataset):
    hooks = make_hooks(
        {"retrieval": {"pool": 30}, "segment_recovery": {"split": "test", "pool": 30}}, dataset
    )
    assert [hook.name for hook in hooks] == ["retrieval", "segment_recovery"]
    retrieval, recovery = (hook(Oracle(dataset)) for hook in hooks)
    assert retrieval["retrieval/mrr"] == 1.0
    assert retrieval["retrieval/pool"] == 30
    assert recovery == {"bsr/recovery_true_text": 1.0, "bsr/recovery_shuffled_text": 0.0}
    assert all(isinstance(value, float) for value in retrieval.values())


def test_hooks_measure_on_validation_unless_reported_otherwise(dataset):
    (default,), (test,) = (
        make_hooks({"retrieval": options}, dataset) for options in ({}, {"split": "test"})
    )
    assert default.evaluation._pool.split == "validation"
    assert test.evaluation._pool.split == "test"


def test_no_evaluations_no_hooks(dataset):
    assert make_hooks({}, dataset) == []


@pytest.mark.parametrize(
    ("evals", "message"),
    [
        ({"retreival": {}}, "'retreival' is neither an evaluation .retrieval"),
        ({"retrieval": {"pol": 3}}, "no option 'pol'; expected split, pool"),
        ({"retrieval": {"dataset": 3}}, "no option 'dataset'"),
        ({"retrieval": {"split": "tset"}}, "tset"),
        ({"membrane": {}}, "evals.membrane needs data_dir"),
        ({"membrane": {"data_dir": ".", "pool": 3}}, "has no option 'pool'"),
        ({"membrane": {"data_dir": "."}}, "no data for membrane"),
        ({"prot2bp": {"data_dir": "."}}, "trains a bridge for hours"),
    ],
)
def test_mistakes_are_reported(dataset, evals, message):
    with pytest.raises(UserError, match=message):
        make_hooks(evals, dataset)


class Counting:
    """Something to follow, with a metric for each time it ran."""

    key = "counted"

    def __init__(self):
        self.times = 0

    def metrics(self, model):
        self.times += 1
        return {"times": float(self.times)}


def test_hooks_run_when_they_are_due_and_after_the_last_step():
    hooks = [Hook("a", Counting(), every=4), Hook("b", Counting())]
    for step in (0, 2, 4, 6):
        run_hooks(hooks, None, step=step, last=step == 6, best=None)
    assert [hook.evaluation.times for hook in hooks] == [3, 4]
    assert run_hooks(hooks[:1], None, step=3, last=False, best="counted/other") == {}


def test_a_best_metric_that_nothing_measures_is_reported():
    hooks = [Hook("a", Counting())]
    check_best("counted/times", hooks)
    check_best(None, hooks)
    check_best("retrieval/mrr", [])
    with pytest.raises(UserError, match="best.metric=retrieval/mrr .*counted/"):
        check_best("retrieval/mrr", hooks)
    assert run_hooks(hooks, None, step=0, last=False, best="counted/times") == {
        "counted/times": 1.0
    }
    with pytest.raises(UserError, match="counted/time .*counted/times"):
        run_hooks(hooks, None, step=0, last=False, best="counted/time")


def test_failures_carry_the_name_of_the_evaluation(dataset):
    (hook,) = make_hooks({"retrieval": {"pool": 10}}, dataset)
    with pytest.raises(RuntimeError, match="'retrieval' failed.*encode_proteins"):
        hook(object())


def numbers(value):
    """All numbers in a report."""
    if isinstance(value, dict):
        return [number for part in value.values() for number in numbers(part)]
    return [value] if isinstance(value, float | int) else []


@pytest.mark.parametrize("kind", [UserError, RunError])
def test_a_sentence_stays_one(kind):
    class Failing:
        key = "failing"

        def metrics(self, model):
            raise kind("an embedding is not finite.")

    with pytest.raises(kind, match="the evaluation 'mine': an embedding is not finite."):
        Hook("mine", Failing())(None)


@pytest.mark.parametrize("name", EVALUATIONS)
def test_metrics_are_part_of_the_report_which_is_the_same_each_time(dataset, name):
    evaluation, model = (
        make_evaluation(name, dataset, {"split": "test", "pool": 20}),
        Ignorant(dataset),
    )
    metrics, report = evaluation.metrics(model), evaluation.report(model, control=None)
    assert metrics
    measured = {value for value in metrics.values() if not math.isnan(value)}
    assert measured <= set(numbers(report))
    # As text, as what is undefined is NaN.
    assert json.dumps(evaluation.report(model, control=None)) == json.dumps(report)


def test_a_name_is_the_key_unless_another_is_given():
    keys = {name: evaluation.key for name, evaluation in EVALUATIONS.items()}
    assert keys == {
        "retrieval": "retrieval",
        "single_property": "single_property",
        "segment_recovery": "bsr",
        "segment_localisation": "pda",
        "segment_swap": "swap",
        "site_localisation": "sites",
        "losses": "loss",
    }
