"""What tasks return survives its text, and nothing else comes through."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from data_pipelines.build.counts import RESIDUE_EDGES, WORD_EDGES, Grouped
from data_pipelines.build.reading import Parsed
from data_pipelines.build.results import from_text, to_text
from data_pipelines.protanno.clusters import CLUSTERS
from data_pipelines.readers import Reject

REJECT = Reject(accession="P1", file='a "b".dat', line=7, reason="no length: é")
GROUPED = Grouped(
    clusters=np.arange(len(CLUSTERS)),
    residues=np.ones(len(RESIDUE_EDGES) - 1, np.int64),
    words=np.zeros(len(WORD_EDGES) - 1, np.int64),
    total_residues=1 << 40,
    total_words=0,
    unclustered=2,
    answering=3,
    merged=Counter({("trembl", "swissprot"): 3}),
    excluded=1,
    excluded_by_file=Counter({"x.fasta": 1}),
)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 2), np.int64),
        np.arange(6).reshape(3, 2),
        np.array([True, False]),
        np.ones((2, 3), np.uint16).T,
    ],
)
def test_arrays_come_back(array):
    again = from_text(to_text(array))
    assert (again.dtype, again.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(again, array)


@pytest.mark.parametrize(
    "result",
    [
        Parsed(5, [REJECT], Counter({"FT x": 2}), Counter(a=1)),
        Parsed(0, [], Counter(), Counter()),
        Path("a/b"),
        (1, [2, ("x", None)]),
        True,
        Counter(),
    ],
)
def test_results_come_back(result):
    again = from_text(to_text(result))
    assert again == result
    assert type(again) is type(result)


def test_counts_come_back_and_add_up():
    again = from_text(to_text(GROUPED))
    assert again.statistics() == GROUPED.statistics()
    assert (again + GROUPED).statistics() == (GROUPED + GROUPED).statistics()


def test_what_no_task_returns_is_refused():
    with pytest.raises(TypeError, match="set"):
        to_text([{1}])


def test_a_text_names_no_other_kind():
    with pytest.raises(KeyError):
        from_text(json.dumps({"record": "Popen", "fields": {"args": "true"}}))
