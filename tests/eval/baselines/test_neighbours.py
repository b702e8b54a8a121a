import dataclasses

import numpy as np
import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.protanno.dataset import open_dataset, write
from data_pipelines.protanno.record import Record
from eval.baselines.label_transfer import PRIOR_WEIGHT, label_scores, training_answers
from eval.baselines.neighbours import (
    Neighbour,
    by_composition,
    by_kmers,
    from_hits,
    transferred_texts,
)
from tests.support.records import mutated, random_sequence


def record(accession, sequence="MKV", **texts):
    return Record(
        accession,
        texts.pop("entry_name", ""),
        "unknown",
        sequence,
        0,
        texts.pop("name", ""),
        **texts,
    )


def test_a_property_is_lent_by_the_first_neighbour_that_has_it():
    near = [
        Neighbour(record("A", location="Nucleus."), 9.0),
        Neighbour(record("B", location="Cytoplasm.", name="Widgetase"), 8.0),
        Neighbour(record("C", name="Other", function="Cuts.", similarity="Belongs."), 7.0),
    ]
    assert transferred_texts(near) == {
        "name": "PROTEIN NAME: Widgetase",
        "function": "FUNCTION: Cuts.",
        "location": "SUBCELLULAR LOCATION: Nucleus.",
        "similarity": "SIMILARITY: Belongs.",
    }
    assert list(transferred_texts(near)) == ["name", "function", "location", "similarity"]
    assert transferred_texts([]) == {}


@pytest.fixture
def dataset(tmp_path):
    rng = np.random.default_rng(0)
    training = [record(f"T{i}", random_sequence(rng, 80), name=f"Name {i}") for i in range(20)]
    training.append(record("BARE", random_sequence(rng, 80)))
    held_out = [
        record(f"Q{i}", mutated(training[i].sequence, 0.8, rng), name=f"Name {i}") for i in range(5)
    ]
    write(tmp_path, {"unknown_c0_r1": training, "test": held_out}, statistics={})
    return open_dataset(tmp_path)


def test_hits_come_by_falling_bits_to_training_records_with_text(dataset, tmp_path):
    lines = [
        ("Q0", "T3", 50),
        ("Q0", "T0", 90),
        ("Q0", "T0", 20),
        ("Q0", "BARE", 99),
        ("Q0", "Q1", 80),
        ("Q1", "NONE", 10),
        ("X", "T1", 5),
    ]
    path = tmp_path / "hits.m8"
    path.write_text(
        "".join(f"{query}\t{target}\t0.5\t1\t1\t0\t{bits}\n" for query, target, bits in lines)
    )
    found = from_hits(path, dataset.splits, ["Q0", "Q1", "Q2"])
    assert list(found) == ["Q0"]
    assert [(one.record.accession, one.weight) for one in found["Q0"]] == [
        ("T0", 90.0),
        ("T3", 50.0),
    ]
    with pytest.raises(UserError, match="has no hit of the 1 held-out proteins"):
        from_hits(path, dataset.splits, ["Q4"])


def test_kmers_and_composition_find_the_mutated_original(dataset):
    references, queries = list(dataset.splits["unknown_c0_r1"])[:20], list(dataset.splits["test"])
    for found in (by_kmers(references, queries), by_composition(references, queries, organism=0.0)):
        firsts = [found[query.accession][0].record.accession for query in queries]
        assert sum(first == f"T{place}" for place, first in enumerate(firsts)) >= 4
        assert all(len(near) == 10 for near in found.values())


def test_a_common_organism_counts(dataset):
    references = [
        dataclasses.replace(one, entry_name="X_YEAST")
        for one in list(dataset.splits["unknown_c0_r1"])[:20]
    ]
    references[7] = dataclasses.replace(references[7], entry_name="X_HUMAN")
    query = dataclasses.replace(dataset.splits["test"][0], entry_name="Y_HUMAN")
    assert by_composition(references, [query], organism=1e3)["Q0"][0].record.accession == "T7"
    assert by_composition(references, [query], organism=0.0)["Q0"][0].record.accession != "T7"


def test_labels_are_the_weighted_share_of_telling_neighbours():
    near = {
        "Q": [
            Neighbour(record(name), weight) for name, weight in (("A", 6.0), ("B", 3.0), ("C", 1.0))
        ]
    }
    answered, known = [frozenset("A"), frozenset("BC"), frozenset("D")], frozenset("ABCD")
    prior = np.array([1, 2, 1]) / 4

    def expected(*shares):
        return (np.array(shares) + PRIOR_WEIGHT * prior) / (1 + PRIOR_WEIGHT)

    accessions = ["Q", "alone"]
    scores = label_scores(near, accessions, answered, known, first=None)
    np.testing.assert_allclose(scores.T, [expected(0.6, 0.4, 0), expected(0, 0, 0)])
    np.testing.assert_allclose(
        label_scores(near, ["Q"], answered, known, first=1).T, [expected(1, 0, 0)]
    )
    # A neighbour of which nothing is known of that kind is passed over.
    known, answered = frozenset("BC"), [frozenset(), frozenset("BC"), frozenset()]
    assert label_scores(near, ["Q"], answered, known, first=1)[1, 0] == pytest.approx(1.0)


def test_answers_of_training_leave_others_out():
    said = {"Q1": {"A", "T"}, "Q2": {"B"}, "other": {"C"}}
    answered, known = training_answers(["Q1", "Q3"], [record("A"), record("B"), record("C")], said)
    assert answered == [frozenset("A"), frozenset()]
    assert known == frozenset("ABC")
    assert training_answers(["Q1"], [record("A")], {}) == ([frozenset()], frozenset())
