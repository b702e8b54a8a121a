import math
from collections import Counter

import numpy as np
import pytest

from data_pipelines.protanno.record import biotext
from eval.baselines import kmer_transfer
from eval.baselines.bags import AMINO_ACIDS, kmer_ids, words
from eval.baselines.kmer_transfer import (
    References,
    annotation_transfer,
    nearest_references,
    read_references,
    tf_idf,
)


def cosine(left, right, documents):
    """The tf-idf cosine of two term lists by the formula, in dictionaries."""

    def vector(terms):
        frequency = Counter(term for document in documents for term in set(document))
        return {
            t: n * (math.log((1 + len(documents)) / (1 + frequency[t])) + 1)
            for t, n in Counter(terms).items()
        }

    a, b = vector(left), vector(right)
    norms = [math.hypot(*side.values()) for side in (a, b)]
    return sum(a[term] * b.get(term, 0) for term in a) / (norms[0] * norms[1])


def test_tf_idf_is_the_formula():
    rng = np.random.default_rng(0)
    documents = [rng.integers(12, size=size) for size in (3, 30, 11, 7)]
    queries = [rng.integers(12, size=size) for size in (5, 20)]
    table, rows = tf_idf(documents, queries, size=12)
    terms = [document.tolist() for document in documents]
    expected = []
    for query in queries:
        expected.append([cosine(query.tolist(), document, terms) for document in terms])
    np.testing.assert_allclose((rows @ table.T).toarray(), expected, atol=1e-12)


def test_documents_without_terms_are_similar_to_nothing():
    table, asked = tf_idf([np.array([1, 2])], [np.zeros(0, np.int64)], size=3)
    assert (asked @ table.T).toarray() == 0


def test_kmers_with_other_letters_are_left_out():
    assert len(set(kmer_ids("ACDEF").tolist())) == 3
    assert kmer_ids("AXCDE").tolist() == kmer_ids("CDE").tolist()
    assert kmer_ids("AC").size == 0
    assert not {*kmer_ids("ACD").tolist()} & {*kmer_ids("DCA").tolist()}


def test_words():
    assert words("Zinc-dependent kinase 2, NADP(+)") == ["zinc", "dependent", "kinase", "2", "nadp"]


def test_nearest_reference_of_a_mutated_copy_is_its_original():
    rng = np.random.default_rng(1)
    originals = ["".join(rng.choice(list(AMINO_ACIDS), 80)) for _ in range(30)]
    copies = [sequence[:30] + "WWW" + sequence[33:] for sequence in reversed(originals)]
    found = nearest_references(References(originals, [""] * 30), copies)
    np.testing.assert_array_equal(found, np.arange(30)[::-1])


def test_annotation_transfer_scores_the_text_of_the_copy_highest(dataset):
    records = list(dataset.splits["test"])[:20]
    texts = [biotext(record) for record in records]
    references = References([record.sequence for record in records], texts)
    scores = annotation_transfer(references, records, texts)
    np.testing.assert_allclose(scores.diagonal(), 1)
    assert (scores <= 1 + 1e-9).all()


@pytest.mark.parametrize("limit", [1000, 40])
def test_references_are_training_records_evenly_spaced(dataset, monkeypatch, limit):
    monkeypatch.setattr(kmer_transfer, "MAX_REFERENCES", limit)
    splits = [list(dataset.splits[name]) for name in ("swissprot_c1_r4", "trembl_c3_r3")]
    sequences = [record.sequence for records in splits for record in records]
    found = read_references(dataset.splits).sequences
    assert len(found) == min(limit, 150)
    assert set(found) <= set(sequences)
    assert (found[0], found[-1]) == (sequences[0], sequences[-1])
    if limit > 150:
        assert found == sequences
