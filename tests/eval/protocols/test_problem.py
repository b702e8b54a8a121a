"""Splits as protocols get them: what is carved, what leaks, and that nothing is silent."""

import dataclasses

import numpy as np
import pytest

from data_pipelines.common.errors import UserError
from eval.data.base.task import Sample
from eval.protocols.problem import Problem, prepare_splits
from tests.support import problems


def prepare(task, **options):
    return prepare_splits(task, **{**problems.SPLITS, **options})


def test_splits_that_are_there_stay_as_they_are():
    task = problems.task("multiclass", train=50, valid=20, test=30)
    prepared = prepare(task)
    assert prepared.splits == task.splits
    assert prepared.facts["sizes"] == {"train": 50, "valid": 20, "test": 30}
    assert not prepared.facts["carved"]
    assert prepared.facts["notes"] == []


def test_missing_splits_are_carved_out_of_train_and_reported():
    task = problems.task("multiclass", train=100, valid=0, test=0)
    prepared = prepare(task, valid_fraction=0.1, test_fraction=0.2)
    # 20 of 100, then 10 % of the 80 that are left.
    assert prepared.facts["sizes"] == {"train": 72, "valid": 8, "test": 20}
    assert prepared.facts["carved"]["test"] == {"from": "train", "fraction": 0.2, "rows": 20}
    assert [note.split(";")[0] for note in prepared.facts["notes"]] == [
        "The data have no test split",
        "The data have no valid split",
    ]
    rows = [sample for samples in prepared.splits.values() for sample in samples]
    assert sorted(rows, key=lambda s: s.name) == sorted(task.splits["train"], key=lambda s: s.name)


def test_carving_depends_on_sequences_alone_and_keeps_equal_ones_together():
    made = problems.samples("regression", 60)
    doubled = [
        dataclasses.replace(s, name=f"{s.name}{copy}", target=s.target + copy)
        for s in made
        for copy in range(3)
    ]
    task = dataclasses.replace(problems.task("regression"), splits={"train": doubled})
    shuffled = dataclasses.replace(
        task, splits={"train": [doubled[i] for i in np.random.default_rng(0).permutation(180)]}
    )
    first, second = prepare(task), prepare(shuffled)
    for name in ("train", "valid", "test"):
        names = {s.name for s in second.splits[name]}
        assert {s.name for s in first.splits[name]} == names
    assert first.facts["leaks"] == {"train in test": 0, "valid in test": 0, "train in valid": 0}
    assert first.facts["sizes"]["test"] == 36


def test_leaks_are_counted_and_removed_on_request():
    made = problems.samples("multiclass", 40)
    splits = {
        "train": made[:30] + made[:2],
        "valid": made[28:35],
        "test": [*made[33:], made[0], made[29]],
    }
    task = dataclasses.replace(problems.task("multiclass"), splits=splits)
    kept = prepare(task)
    # In test: P0 (two rows) and P29 of train; P29, P33 and P34 of valid. In valid: P28 and P29 of
    # train.
    assert kept.facts["leaks"] == {"train in test": 3, "valid in test": 3, "train in valid": 2}
    assert kept.facts["sizes"] == {"train": 32, "valid": 7, "test": 9}
    assert all("none of them were removed" in note for note in kept.facts["notes"])
    removed = prepare(task, remove_leaks=True)
    assert removed.facts["leaks"] == kept.facts["leaks"]
    # P29 has left both before train is compared with valid.
    assert removed.facts["removed"] == {"train in test": 3, "valid in test": 3, "train in valid": 1}
    assert removed.facts["sizes"] == {"train": 28, "valid": 4, "test": 9}
    held_out = {s.sequence for s in splits["test"] + splits["valid"]}
    assert held_out.isdisjoint(s.sequence for s in removed.splits["train"])


def test_nothing_to_train_on_is_refused():
    task = problems.task("multiclass", train=0, valid=5, test=5)
    with pytest.raises(UserError, match="no rows for train"):
        prepare(task)
    one = dataclasses.replace(task, splits={"train": [Sample("a", "ACD", 0)]})
    with pytest.raises(UserError, match="no rows for train"):
        prepare(one)


def test_shuffling_deals_out_the_same_targets_and_leaves_test():
    task = problems.task("multilabel")
    problem = Problem("p", "multilabel", 3, task.splits, lambda *_: 0.0)
    shuffled = problem.with_shuffled_labels()
    for name in ("train", "valid"):
        assert shuffled.sequences(name) == problem.sequences(name)
        assert sorted(map(tuple, shuffled.targets(name))) == sorted(
            map(tuple, problem.targets(name))
        )
        assert (shuffled.targets(name) != problem.targets(name)).any()
    assert shuffled.splits["test"] == task.splits["test"]
    assert shuffled.name != problem.name
