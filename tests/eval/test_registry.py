import pytest

from data_pipelines.errors import UserError
from eval.registry import EVALUATIONS, make_evaluation, make_hooks
from tests.eval.fakes import Oracle


def test_hooks_name_metrics_by_their_key(dataset):
    hooks = make_hooks({"retrieval": {"pool": 30}, "segment_recovery": {"split": "test", "pool": 30}}, dataset)
    assert [hook.name for hook in hooks] == ["retrieval", "segment_recovery"]
    retrieval, recovery = (hook(Oracle(dataset)) for hook in hooks)
    assert retrieval["retrieval/mrr"] == 1.0
    assert retrieval["retrieval/pool"] == 30
    assert recovery == {"bsr/recovery_true_text": 1.0, "bsr/recovery_shuffled_text": 0.0}
    assert all(isinstance(value, float) for value in retrieval.values())


def test_hooks_measure_on_validation_unless_told_otherwise(dataset):
    (default,), (test,) = (make_hooks({"retrieval": options}, dataset) for options in ({}, {"split": "test"}))
    assert default.evaluation._pool.split == "validation"
    assert test.evaluation._pool.split == "test"


def test_no_evaluations_no_hooks(dataset):
    assert make_hooks({}, dataset) == []


@pytest.mark.parametrize(
    ("evals", "told"),
    [
        ({"retreival": {}}, "no evaluation 'retreival'; known: retrieval"),
        ({"retrieval": {"pol": 3}}, "no option 'pol'; it has split, pool"),
        ({"retrieval": {"dataset": 3}}, "no option 'dataset'"),
        ({"retrieval": {"split": "tset"}}, "tset"),
    ],
)
def test_mistakes_are_told(dataset, evals, told):
    with pytest.raises(UserError, match=told):
        make_hooks(evals, dataset)


def test_failures_carry_the_name_of_the_evaluation(dataset):
    (hook,) = make_hooks({"retrieval": {"pool": 10}}, dataset)
    with pytest.raises(RuntimeError, match="'retrieval' failed.*encode_proteins"):
        hook(object())


@pytest.mark.parametrize("name", EVALUATIONS)
def test_metrics_are_part_of_the_report(dataset, name):
    evaluation, model = make_evaluation(name, dataset, {"split": "test", "pool": 20}), Oracle(dataset)
    assert evaluation.metrics(model)
    assert evaluation.report(model, control=None) == evaluation.report(model, control=None)
