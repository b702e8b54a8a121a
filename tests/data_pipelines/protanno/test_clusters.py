from collections import Counter

import numpy as np

from data_pipelines.protanno.clusters import (
    CLUSTERS,
    HELD_OUT,
    SPLITS,
    cluster_unit,
    sequence_unit,
    split_codes,
)
from tests.support.records import number


def splits(units, *, clusters=None, validation_fraction, test_fraction):
    codes = np.zeros(len(units), np.uint8) if clusters is None else clusters
    fractions = {"validation_fraction": validation_fraction, "test_fraction": test_fraction}
    hashes = np.arange(len(units), dtype=np.uint64)
    codes = split_codes(np.array(units, np.uint64), codes, hashes, **fractions)
    return [SPLITS[code] for code in codes]


def test_units_are_held_out_in_the_configured_shares():
    clusters = (np.arange(4000) % len(CLUSTERS)).astype(np.uint8)
    units = [cluster_unit(f"family {index}") for index in range(4000)]
    names = splits(units, clusters=clusters, validation_fraction=0.1, test_fraction=0.2)
    counts = Counter(names)
    # Five standard deviations of a binomial.
    assert abs(counts["validation"] - 400) < 5 * 19
    assert abs(counts["test"] - 800) < 5 * 26
    for code, name in zip(clusters, names, strict=True):
        assert name in ("validation", "test", CLUSTERS[code].replace("/", "_").lower())
    # A fraction more moves no unit that was held out before.
    more = splits(units, clusters=clusters, validation_fraction=0.1, test_fraction=0.3)
    assert all(
        new == old for old, new in zip(names, more, strict=True) if old in ("validation", "test")
    )


def test_a_unit_is_held_out_by_its_hash():
    for index in range(50):
        position, _ = number(f"sequence MKV{index}")
        unit = sequence_unit(f"MKV{index}")
        assert splits([unit], validation_fraction=position + 1e-9, test_fraction=0) == [
            "validation"
        ]
        assert splits([unit], validation_fraction=position, test_fraction=1e-9) == ["test"]
        assert splits([unit], validation_fraction=position - 1e-9, test_fraction=0) == [
            "swissprot_c0_r0"
        ]
    assert splits([0], validation_fraction=0, test_fraction=0) == ["swissprot_c0_r0"]


def test_records_are_held_out_by_their_own_hash_after_the_units():
    hashes = np.array([sequence_unit(f"own {index}") for index in range(4000)], np.uint64)
    units = np.array([cluster_unit(f"family {index // 2}") for index in range(4000)], np.uint64)
    none = np.zeros(4000, np.uint8)
    fractions = {"validation_fraction": 0.1, "test_fraction": 0.1}
    before = split_codes(units, none, hashes, **fractions)
    after = split_codes(units, none, hashes, **fractions, random_test_fraction=0.05)
    drawn = after == SPLITS.index("random_test")
    np.testing.assert_array_equal(before[~drawn], after[~drawn])
    assert (before[drawn] == 0).all()
    np.testing.assert_array_equal(drawn, (hashes < 0.05 * 2.0**64) & (before == 0))
    assert drawn.sum() > 100
    assert max(SPLITS.index(name) for name in SPLITS if name not in HELD_OUT) < SPLITS.index("test")
