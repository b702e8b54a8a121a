import dataclasses

import numpy as np
import pytest

from data_pipelines.protanno.record import property_texts
from eval.pretraining.segment_localisation import LOCALISED, SegmentLocalisation, find_cases
from eval.pretraining.trained_baselines import TrainedBaselines
from protclip_jax.config.schema import completed
from tests.support.fakes import Ignorant, Oracle


@pytest.fixture(scope="module")
def evaluation(dataset):
    return SegmentLocalisation(dataset, split="test", pool=50)


def test_weights_on_the_planted_residues_score_one(evaluation, dataset):
    baselines = TrainedBaselines(dataset, completed({}))
    result = evaluation.report(Oracle(dataset), control=Ignorant(dataset), baselines=baselines)
    assert 0.5 < result["auroc_text_free_tagger"]["location"] < 1
    assert result["auroc_hydropathy"].keys() == {"location"}
    for name in LOCALISED:
        assert result["proteins"][name] > 10
        assert result["auroc"][name] == 1.0
        assert result["auroc_other_record_text"][name] == 0.5
        assert result["auroc_without_pda"][name] == pytest.approx(0.5, abs=0.08)
        assert result["verdict"][name] == "above its controls"
    assert result["absent_controls"] == {}


def test_random_weights_are_not_above_their_controls(evaluation, dataset):
    result = evaluation.report(Ignorant(dataset), control=None)
    for name in LOCALISED:
        assert result["auroc"][name] == pytest.approx(0.5, abs=0.08)
        low, high = result["auroc_interval"][name]
        assert low < result["auroc"][name] < high
    assert result["auroc_without_pda"] is None
    assert "--control" in result["absent_controls"]["without_pda"]
    page = evaluation.markdown(result)
    assert page.count("**not above its controls") >= 2
    assert "Not measured with a model without PDA" in page


def test_a_difference_that_the_control_shares_is_no_finding(evaluation, dataset):
    class KindOnly(Oracle):
        """Knows where residues of the kind lie, whatever the text says."""

        def _weights(self, record, asked):
            return super()._weights(record, {name: property_texts(record)[name] for name in asked})

    result = evaluation.report(KindOnly(dataset), control=None)
    for name in LOCALISED:
        assert result["auroc"][name] == 1.0
        assert result["verdict"][name].startswith(
            "not above its controls (with another record's text)"
        )


def test_cases_have_text_truth_and_the_text_of_another_record(dataset):
    records = list(dataset.splits["test"])
    cases = find_cases(records)
    said = {}
    for name in LOCALISED:
        said[name] = {property_texts(record).get(name) for record in records}
    for case in cases:
        for name, marked in case.truth.items():
            assert 0 < marked.sum() < marked.size
            assert case.texts[name] == property_texts(case.record)[name]
            assert case.other_texts[name] != case.texts[name]
            assert case.other_texts[name] in said[name]


def test_a_text_that_reads_the_same_is_no_other_text(dataset):
    (record, other) = [record for record in dataset.splits["test"] if find_cases([record])][:2]
    twin = dataclasses.replace(
        record, **{name: getattr(record, name).upper() for name in LOCALISED}
    )
    alike, _ = find_cases([record, twin], str.lower)
    assert alike.other_texts == {}
    found, _ = find_cases([record, twin])
    assert found.other_texts.keys() == found.truth.keys()
    both = {name for name in alike.truth if getattr(other, name)}
    assert both
    assert both <= find_cases([record, twin, other], str.lower)[0].other_texts.keys()


def test_an_unannotated_pool_is_undefined_and_said_so(dataset):
    evaluation = SegmentLocalisation(dataset, split="test", pool=50)
    evaluation._cases = []
    result = evaluation.report(Oracle(dataset), control=None)
    assert all(np.isnan(value) for value in result["auroc"].values())
    assert "not measured: no annotated protein" in evaluation.markdown(result)
    assert evaluation.figures(Oracle(dataset)) == {}


def test_a_text_without_an_alternative_is_measured_without_that_control(dataset):
    record = next(record for record in dataset.splits["test"] if find_cases([record]))
    (case,) = find_cases([record])
    assert case.other_texts == {}
    evaluation = SegmentLocalisation(dataset, split="test", pool=50)
    evaluation._cases = [case]
    result = evaluation.report(Oracle(dataset), control=None)
    (name, *_) = case.truth
    assert result["auroc"][name] == 1.0
    assert np.isnan(result["auroc_other_record_text"][name])
