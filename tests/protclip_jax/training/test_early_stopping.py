"""When a run ends early; it depends only on the evaluations so far."""

import json

import pytest

from protclip_jax.checkpoints.best import Best
from protclip_jax.training.early_stopping import EarlyStopping, earlier_evaluations

HIGHEST, LOWEST = Best("retrieval/mrr", "max"), Best("loss/total", "min")


def stopped_after(best, patience, values):
    """The number of evaluations after which the run ends; None if it continues."""
    early = EarlyStopping(best, patience)
    for count, value in enumerate(values, 1):
        early.judge({best.metric: value})
        if early.exhausted:
            return count
    return None


@pytest.mark.parametrize(
    ("best", "patience", "values", "expected"),
    [
        (HIGHEST, 2, [0.1, 0.2, 0.2, 0.1, 0.9], 4),
        (HIGHEST, 2, [0.1, 0.05, 0.2, 0.1, 0.3, 0.2], None),
        (HIGHEST, 1, [0.1, 0.2, 0.3, 0.3], 4),
        (LOWEST, 2, [3.0, 2.0, 2.5, 2.0, 1.0], 4),
        (HIGHEST, 0, [0.3, 0.2, 0.1, 0.1, 0.1], None),
    ],
)
def test_patience_counts_evaluations_since_the_best(best, patience, values, expected):
    assert stopped_after(best, patience, values) == expected


def test_evaluations_without_the_metric_do_not_count():
    early = EarlyStopping(HIGHEST, 1)
    for metrics in ({"retrieval/mrr": 0.5}, {"other": 0.1}, {"retrieval/mrr": None}):
        early.judge(metrics)
    assert not early.exhausted
    early.judge({"retrieval/mrr": 0.5})
    assert early.exhausted
    assert early.reason == "retrieval/mrr was no better than 0.5 in 1 evaluations"


def test_a_run_that_goes_on_remembers_its_evaluations_up_to_that_step(tmp_path):
    lines = [
        {"step": 1, "loss": 2.0},
        {"step": 2, "eval/retrieval/mrr": 0.5, "eval/retrieval/r1": 0.25},
        {"step": 4, "eval/retrieval/mrr": 0.4},
        {"step": 4, "loss": 1.5},
        {"step": 6, "eval/retrieval/mrr": 0.9},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    earlier = list(earlier_evaluations(tmp_path, 4))
    first = {"retrieval/mrr": 0.5, "retrieval/r1": 0.25}
    assert earlier == [first, {"retrieval/mrr": 0.4}]
    assert EarlyStopping(HIGHEST, 1, earlier).exhausted
    assert list(earlier_evaluations(tmp_path / "new", 4)) == []
