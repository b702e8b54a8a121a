"""Test proteins that a checkpoint has seen: told, and left out of the numbers."""

import numpy as np
import pytest

from data_pipelines.protanno.dataset import open_dataset, write
from data_pipelines.protanno.record import Record
from eval.data.base.pretraining import PretrainingSet, counted, kept_rows, sentence
from tests.support.records import mutated, random_sequence


@pytest.fixture
def learnt(tmp_path):
    """The set of 40 training proteins, and their sequences; held-out records are no part of it."""
    rng = np.random.default_rng(0)
    sequences = [random_sequence(rng, 120) for _ in range(44)]
    records = [
        Record(f"P{i}", "", "unknown", sequence, 0, "N") for i, sequence in enumerate(sequences)
    ]
    splits = {
        "unknown_c0_r1": records[:20],
        "unknown_c0_r0": records[20:40],
        "test": records[40:42],
    }
    write(tmp_path, splits | {"random_test": records[42:]}, statistics={})
    return PretrainingSet.of(open_dataset(tmp_path)), sequences


def test_proteins_are_seen_related_or_neither(learnt):
    known, sequences = learnt
    rng = np.random.default_rng(1)
    asked = [
        sequences[3].lower(),
        sequences[25] + "*",
        mutated(sequences[5], 0.9, rng),
        random_sequence(rng, 120),
        sequences[40],
        sequences[43],
    ]
    states = known.states(asked)
    assert states.tolist() == ["seen", "seen", "related", "unseen", "unseen", "unseen"]
    assert counted(states) == {"seen": 2, "related": 1, "unseen": 3}
    assert kept_rows(states).tolist() == [False, False, True, True, True, True]
    assert known.states([]).shape == (0,)


def test_where_all_were_seen_all_are_counted(learnt):
    known, sequences = learnt
    states = known.states(sequences[:3])
    assert kept_rows(states).all()
    found = sentence(counted(states), left_out=False)
    assert found.startswith("3 of 3 test proteins were in pretraining")
    assert "exclude" not in found
    assert "exclude" in sentence({"seen": 1, "related": 0, "unseen": 2}, left_out=True)
