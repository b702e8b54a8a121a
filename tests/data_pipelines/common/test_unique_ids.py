"""Unique ids: an exact rule, checked against one that keeps all ids."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from data_pipelines.common.hashing import hash64
from data_pipelines.common.unique_ids import UniqueIds


def unique(ids):
    names = UniqueIds(np.array([hash64(name) for name in ids], np.uint64))
    return [names.unique(name) for name in ids], names.duplicates


def test_the_kth_of_an_id_gets_the_ending_k():
    assert unique(["a", "b", "a", "a"]) == (["a", "b", "a_2", "a_3"], 2)
    assert unique([]) == ([], 0)


def test_an_ending_that_would_make_another_items_id_is_left_out():
    assert unique(["a", "a", "a_2", "a"]) == (["a", "a_3", "a_2", "a_4"], 2)
    assert unique(["a", "a_2", "a_2", "a"])[0] == ["a", "a_2", "a_2_2", "a_3"]


@given(st.lists(st.from_regex(r"(a|b)?(_[1-4])?(_[1-4])?", fullmatch=True)))
def test_ids_are_unique_and_first_ones_stay(ids):
    named, duplicates = unique(ids)
    assert len(set(named)) == len(ids)
    seen = Counter()
    for before, after in zip(ids, named, strict=True):
        seen[before] += 1
        assert after == before if seen[before] == 1 else after.startswith(f"{before}_")
    assert duplicates == sum(before != after for before, after in zip(ids, named, strict=True))
