import dataclasses

import numpy as np
import pytest

from data_pipelines.protanno.record import property_texts
from eval.pretraining.segment_recovery import SegmentRecovery, family_words, partners, verdict
from tests.support.fakes import Ignorant, Oracle


@pytest.fixture(scope="module")
def evaluation(dataset):
    return SegmentRecovery(dataset, split="test", pool=50)


def test_family_words_are_the_content_of_the_similarity_text(dataset):
    record = dataclasses.replace(
        dataset.splits["test"][0],
        similarity="Belongs to the class-I ATPase superfamily. Type 2 subfamily.",
    )
    assert family_words(record) == {"class", "atpase"}
    unnamed = dataclasses.replace(record, similarity="", name="Zinc-dependent kinase 2")
    assert family_words(unnamed) == {"zinc", "kinase"}


def test_partners_have_the_same_properties_and_another_family(dataset):
    records = list(dataset.splits["test"])
    chosen = partners(records)
    assert chosen == partners(records)
    assert sum(other is not None for other in chosen) > 40
    for record, other in zip(records, chosen, strict=True):
        if other is not None:
            partner = records[other]
            assert list(property_texts(partner)) == list(property_texts(record))
            assert not family_words(partner) & family_words(record)


def test_a_record_without_partner_is_left_out(dataset):
    record = dataset.splits["test"][0]
    assert partners([record, dataclasses.replace(record, accession="other")]) == [None, None]


def test_a_model_that_reads_the_biotext_recovers_with_the_true_one_only(evaluation, dataset):
    assert evaluation.metrics(Oracle(dataset)) == {
        "recovery_true_text": 1.0,
        "recovery_shuffled_text": 0.0,
    }
    result = evaluation.report(Oracle(dataset), control=None)
    assert result["difference_interval"] == (1.0, 1.0)
    assert result["proteins"] + result["without_partner"] == 50
    assert 0 < result["annotated"]["masked_residues"] < result["masked_residues"]
    assert "better with the true biotext" in evaluation.markdown(result)


def test_a_model_that_ignores_the_biotext_gains_nothing(evaluation, dataset):
    result = evaluation.report(Ignorant(dataset), control=None)
    sequences = [record.sequence for record in evaluation._records]
    masked = "".join(
        letter
        for s, mask in zip(sequences, evaluation._masks, strict=True)
        for letter, m in zip(s, mask, strict=True)
        if m
    )
    assert result["masked_residues"] == len(masked)
    assert (
        result["recovery_true_text"]
        == result["recovery_shuffled_text"]
        == pytest.approx(masked.count("L") / len(masked))
    )
    most = result["most_frequent_residue"]
    assert result["recovery_most_frequent_residue"] == pytest.approx(
        masked.count(most) / len(masked)
    )
    assert "not shown to be better" in verdict(result)


def test_masks_are_the_training_ones_and_fixed(evaluation, dataset):
    again = SegmentRecovery(dataset, split="test", pool=50)
    for record, mask, other in zip(
        evaluation._records, evaluation._masks, again._masks, strict=True
    ):
        np.testing.assert_array_equal(mask, other)
        assert 0.15 * len(record.sequence) <= mask.sum() < 0.15 * len(record.sequence) + 10
