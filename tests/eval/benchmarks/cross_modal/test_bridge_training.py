import itertools

import numpy as np
import pytest
from ml_collections import ConfigDict

from eval.benchmarks.cross_modal.bridge_training import (
    EmbeddedGraph,
    Negatives,
    Places,
    batches,
    learning_rate,
)

TYPES = np.array([0] * 10 + [1] * 20 + [2] * 5)


@pytest.fixture(scope="module")
def triplets():
    rng = np.random.default_rng(0)
    one = np.unique(
        np.stack(
            [rng.integers(10, size=60), rng.integers(2, size=60), rng.integers(10, 26, 60)], 1
        ),
        axis=0,
    )
    return np.concatenate([one, one[:, ::-1]])


def test_negatives_are_no_known_tails_of_the_right_type_and_all_come_up(triplets):
    heads, types = triplets[:, 0], TYPES[triplets[:, 2]]
    drawn, admitted = Negatives(triplets, TYPES).draw(
        heads, types, count=40, rng=np.random.default_rng(0)
    )
    known = {(head, tail) for head, _, tail in triplets.tolist()}
    for head, row, allowed in zip(heads.tolist(), drawn, admitted, strict=True):
        assert {(head, node) in known for node in row[allowed].tolist()} <= {False}
        assert {(head, node) in known for node in row[~allowed].tolist()} <= {True}
    np.testing.assert_array_equal(TYPES[drawn], np.repeat(types[:, None], 40, axis=1))
    # Nodes that head nothing in training, such as held-out ones, are drawn nowhere.
    assert set(drawn.ravel()) == set(triplets[:, 0])


def test_a_type_without_training_heads_has_no_negatives(triplets):
    drawn, admitted = Negatives(triplets, TYPES).draw(
        np.array([0, 1]), np.array([2, 1]), count=3, rng=np.random.default_rng(0)
    )
    assert not admitted[0].any()
    assert (TYPES[drawn[1]] == 1).all()


def test_batches_have_one_shape_and_an_epoch_holds_every_triplet_once(triplets):
    rows = np.concatenate([np.arange(10), np.arange(20), np.arange(5)])
    graph = EmbeddedGraph([], Places(TYPES, rows), triplets)
    source = batches(graph, triplets, size=7, negatives=3, seed=0)
    made = list(itertools.islice(source, 2 * len(triplets)))
    assert {batch.negatives.rows.shape for batch in made} == {(7, 3)}
    offsets = np.array([0, 10, 30])

    def nodes(field):
        return np.concatenate(
            [offsets[getattr(b, field).types] + getattr(b, field).rows for b in made]
        )

    seen = np.stack(
        [nodes("heads"), np.concatenate([batch.relations for batch in made]), nodes("tails")],
        axis=1,
    )
    epochs = seen[: len(seen) // len(triplets) * len(triplets)].reshape(-1, len(triplets), 3)
    expected = sorted(map(tuple, triplets.tolist()))
    assert all(sorted(map(tuple, epoch.tolist())) == expected for epoch in epochs)
    assert not np.array_equal(epochs[0], epochs[1])


def test_learning_rate_rises_and_falls_linearly():
    options = ConfigDict({"learning_rate": 2.0, "warmup_fraction": 0.1})
    rates = [learning_rate(step, steps=100, options=options) for step in range(100)]
    assert rates[:10] == pytest.approx(np.arange(1, 11) / 10 * 2.0)
    assert rates[10:] == pytest.approx(np.arange(90, 0, -1) / 90 * 2.0)
