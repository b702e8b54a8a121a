import numpy as np

from data_pipelines.build import minhash, overlap
from data_pipelines.protanno.clusters import SPLITS
from tests.support.records import mutated, random_sequence

TEST, VALIDATION = SPLITS.index("test"), SPLITS.index("validation")


def test_relatives_are_found_and_strangers_are_not(monkeypatch):
    rng = np.random.default_rng(0)
    training = [random_sequence(rng, 300) for _ in range(300)]
    queries = [
        mutated(training[index], 0.9, rng) if index < 60 else random_sequence(rng, 300)
        for index in range(100)
    ]
    sketches = minhash.sketches(queries), minhash.sketches(training)
    found = overlap.have_relatives(*sketches)
    assert found.tolist() == [index < 60 for index in range(100)]
    monkeypatch.setattr(overlap, "_OTHERS_AT_ONCE", 7)
    assert overlap.have_relatives(*sketches).tolist() == found.tolist()
    assert not overlap.have_relatives(sketches[0], sketches[1][:0]).any()
    assert overlap.have_relatives(sketches[0][:0], sketches[1]).shape == (0,)


def test_it_agrees_with_comparing_everything():
    rng = np.random.default_rng(1)
    training = [random_sequence(rng, 120) for _ in range(50)]
    queries = [mutated(training[rng.integers(50)], rng.uniform(0.5, 1), rng) for _ in range(400)]
    queries, training = minhash.sketches(queries), minhash.sketches(training)
    agree = (queries[:, None] == training[None]).mean(axis=2) >= minhash.SIMILARITY
    candidates = (minhash.band_keys(queries)[:, None] == minhash.band_keys(training)[None]).any(
        axis=2
    )
    assert (
        overlap.have_relatives(queries, training).tolist()
        == (agree & candidates).any(axis=1).tolist()
    )
    assert agree.any(axis=1).sum() > (agree & candidates).any(axis=1).sum() > 200


def test_large_splits_are_sampled_evenly(monkeypatch):
    monkeypatch.setattr(overlap, "SAMPLE", 4)
    codes = np.array([0, TEST, VALIDATION, TEST] * 5, np.uint8)
    sampled = overlap.sample(codes)
    assert sampled["validation"].tolist() == [2, 6, 10, 14]
    assert sampled["test"].tolist() == [1, 5, 11, 15]
    assert overlap.sample(codes[:4])["test"].tolist() == [1, 3]


def test_a_result_without_sequences_has_no_share():
    assert overlap.result(np.zeros((2, 0), bool), sequences=0)["share"] == 0
    found = np.array([[True, False, True, True], [False, False, True, False]])
    shown = overlap.result(found, sequences=9)
    assert (shown["sequences"], shown["sampled"], shown["related"], shown["share"]) == (
        9,
        4,
        3,
        0.75,
    )
    assert shown["related_without_text"] == 1
