import numpy as np
import pytest

from data_pipelines.build import minhash
from tests.support.records import mutated, random_sequence


def words(sequence):
    """The 4-mers of standard residues, as text."""
    found = {sequence[start : start + 4] for start in range(len(sequence) - 3)}
    return {word for word in found if set(word) <= set("ACDEFGHIKLMNPQRSTVWY")}


def jaccard(first, second):
    first, second = words(first), words(second)
    return len(first & second) / len(first | second)


def kmers(*sequences):
    numbers, edges = minhash.kmers(sequences)
    assert numbers.dtype == np.uint32
    return [numbers[start:stop].tolist() for start, stop in zip(edges[:-1], edges[1:], strict=True)]


def test_kmers_are_those_of_standard_residues():
    sequences = ("MKVLAMKVLA", "MKVXLACDEBFGHI", "MKV", "", "XXXXXX", "MKVL")
    expected = [len(words(sequence)) for sequence in sequences]
    assert [len(set(numbers)) for numbers in kmers(*sequences)] == expected
    one, other, long, first, second = kmers("AAACD", "AAADC", "MKVLA", "MKVL", "KVLA")
    assert one != other
    assert long == first + second
    assert kmers() == []


def test_the_estimate_is_as_good_as_it_says():
    rng = np.random.default_rng(0)
    ancestors = [random_sequence(rng, length) for length in (150, 300, 600) for _ in range(60)]
    for identity in (0.6, 0.7, 0.85):
        copies = [mutated(ancestor, identity, rng) for ancestor in ancestors]
        truth = np.array([jaccard(*pair) for pair in zip(ancestors, copies, strict=True)])
        estimate = minhash.similarity(minhash.sketches(ancestors), minhash.sketches(copies))
        errors = (estimate - truth) / np.sqrt(truth * (1 - truth) / minhash.HASHES)
        # Mean and spread of 180 standard normal errors, within five of their standard deviations.
        assert abs(errors.mean()) < 5 / np.sqrt(180)
        assert abs(errors.std() - 1) < 5 / np.sqrt(2 * 180)


@pytest.mark.parametrize("length", [60, 300, 5000])
def test_unrelated_sequences_are_hardly_similar(length):
    rng = np.random.default_rng(length)
    sequences = [random_sequence(rng, length) for _ in range(200)]
    truth = np.mean([jaccard(*pair) for pair in zip(sequences[:100], sequences[100:], strict=True)])
    sketch = minhash.sketches(sequences)
    error = minhash.similarity(sketch[:100], sketch[100:]).mean() - truth
    # Five standard deviations of the share of so many agreements, by chance one in 2^16 more.
    assert abs(error) < 5 * np.sqrt((truth + 2**-16) / (100 * minhash.HASHES))


def test_a_sketch_is_of_the_set_of_kmers_alone():
    one, other, nothing, neither = minhash.sketches(["MKVLAMKVLA", "MKVLAMKVLAMKVLA", "XX", "MX"])
    assert (one == other).all()
    assert (nothing == nothing).all()
    assert minhash.similarity(np.stack([nothing, nothing]), np.stack([neither, one])).max() < 0.05
    assert minhash.sketches([]).shape == (0, minhash.HASHES)


def test_candidates_are_as_frequent_as_it_says():
    rng = np.random.default_rng(1)
    ancestors = [random_sequence(rng, 300) for _ in range(400)]
    copies = [mutated(ancestor, 0.75, rng) for ancestor in ancestors]
    truth = np.array([jaccard(*pair) for pair in zip(ancestors, copies, strict=True)])
    keys, other_keys = (
        minhash.band_keys(minhash.sketches(sequences)) for sequences in (ancestors, copies)
    )
    candidates = (keys == other_keys).any(axis=1).mean()
    predicted = 1 - (1 - truth**2) ** minhash.BANDS
    assert (
        abs(candidates - predicted.mean()) < 5 * np.sqrt((predicted * (1 - predicted)).sum()) / 400
    )


def planted(shape):
    """Sketches in which the rows of a family agree with its first row in 30 of 128 places, with
    others' in none."""
    rng = np.random.default_rng(2)
    rows = []
    for size in shape:
        first = rng.integers(0, 2**16, minhash.HASHES, np.uint16)
        for _ in range(size):
            row = rng.integers(0, 2**16, minhash.HASHES, np.uint16)
            row[:30] = first[:30]
            rows.append(row)
    return np.array(rows)


def test_links_join_the_relatives_of_a_bucket_and_no_others():
    sketch = planted([3, 4, 1, 2])
    everyone = np.full(10, 7, np.uint32)
    links = minhash.bucket_links(everyone, sketch)
    assert sorted(map(tuple, links.tolist())) == [(0, 1), (0, 2), (3, 4), (3, 5), (3, 6), (8, 9)]
    # 3, 4 in one bucket, 5, 6 in another; 0 and 2, 8 and 9 together; 1 with strangers.
    apart = np.array([1, 2, 1, 2, 2, 3, 3, 4, 0, 0], np.uint32)
    links = minhash.bucket_links(apart, sketch)
    assert sorted(map(tuple, links.tolist())) == [(0, 2), (3, 4), (5, 6), (8, 9)]
    assert minhash.bucket_links(np.arange(10, dtype=np.uint32), sketch).shape == (0, 2)
    assert minhash.bucket_links(everyone[:0], sketch[:0]).shape == (0, 2)


@pytest.mark.parametrize("key", [0, 2**32 - 1])
def test_a_bucket_has_a_bounded_number_of_representatives(key):
    families = [2] * (minhash.MAX_REPRESENTATIVES + 3)
    links = minhash.bucket_links(np.full(sum(families), key, np.uint32), planted(families))
    assert links.tolist() == [
        [2 * family, 2 * family + 1] for family in range(minhash.MAX_REPRESENTATIVES)
    ]


def test_many_pairs_are_compared_a_part_at_a_time(monkeypatch):
    sketch = planted([3, 4, 1, 2])
    whole = minhash.bucket_links(np.full(10, 7, np.uint32), sketch).tolist()
    monkeypatch.setattr(minhash, "_PAIRS_AT_ONCE", 3)
    assert minhash.bucket_links(np.full(10, 7, np.uint32), sketch).tolist() == whole
