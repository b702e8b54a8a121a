"""Baselines trained beside a checkpoint: on its draws, chosen on validation alone."""

import dataclasses

import numpy as np
import pytest

from data_pipelines.protanno.clusters import split_name
from eval.pretraining import trained_baselines
from eval.pretraining.retrieval import Retrieval
from eval.pretraining.segment_recovery import SegmentRecovery
from eval.pretraining.trained_baselines import Budget, TrainedBaselines, budget_of, drawn_records
from protclip_jax.config.schema import completed
from protclip_jax.training.mixture import training_sampler
from tests.support.fakes import Oracle


@pytest.fixture(scope="module")
def baselines(dataset):
    return TrainedBaselines(
        dataset, completed({"sampling": {"sources": {"swissprot": 1, "trembl": 1}}})
    )


def test_a_run_and_its_baselines_draw_alike(dataset, baselines, monkeypatch):
    sampler = training_sampler(baselines.config, dataset)
    records, draws = drawn_records(dataset, sampler)
    assert len({record.accession for record in records}) == len(records) == 150
    clusters, places = sampler.draws(np.arange(250))
    expected = [
        dataset.splits[split_name(sampler.clusters[cluster])][place].accession
        for cluster, place in zip(clusters, places, strict=True)
    ]
    assert [records[row].accession for row in draws(np.arange(250))] == expected
    monkeypatch.setattr(trained_baselines, "MAX_RECORDS", 40)
    fewer, draws = drawn_records(dataset, sampler)
    assert fewer == records[:40]
    known = {record.accession for record in fewer}
    seen = [accession for accession in expected if accession in known]
    assert [fewer[row].accession for row in draws(np.arange(len(seen)))] == seen


def test_the_linear_model_stands_beside_the_network(dataset, baselines):
    result = Retrieval(dataset, split="test", pool=50).report(
        Oracle(dataset), control=None, baselines=baselines
    )
    linear = result["linear"]
    assert linear["records"] == 150
    assert linear["learning_rate"] in trained_baselines.LEARNING_RATES
    assert result["chance"]["mrr"] < linear["mrr"] < 1
    page = Retrieval.markdown(result)
    assert page.count(", linear model |") == 2
    assert "trained on 150 training records" in page


def test_a_given_budget_does_not_grow_with_the_records(baselines, monkeypatch):
    used = []

    def train(bags, features, config, **options):
        used.append((config.steps, config.batch))
        return None, 0.0

    monkeypatch.setattr(trained_baselines, "train", train)
    assert dataclasses.replace(baselines).linear.records == 150
    assert dataclasses.replace(baselines, budget=Budget(7, 32)).linear.records == 150
    rates = len(trained_baselines.LEARNING_RATES)
    assert used == [budget_of(150)] * rates + [(7, 32)] * rates


def test_without_training_records_there_is_no_linear_model(dataset):
    bare = dataset._replace(statistics={})
    result = Retrieval(dataset, split="test", pool=50).report(
        Oracle(dataset), control=None, baselines=TrainedBaselines(bare, completed({}))
    )
    assert result["linear"] == {}
    assert "not trained" in Retrieval.markdown(result)


def test_answers_without_a_text_stand_beside_recovery(dataset, baselines):
    evaluation = SegmentRecovery(dataset, split="test", pool=50)
    result = evaluation.report(Oracle(dataset), control=None, baselines=baselines)
    guess, right, masked = baselines.position_guess, 0, 0
    for record, mask in zip(evaluation._records, evaluation._masks, strict=True):
        answers = guess.at(np.ones(len(mask), bool)).tobytes().decode()
        for place in mask.nonzero()[0]:
            masked += 1
            right += answers[place] == record.sequence[place]
    assert result["recovery_position_guess"] == pytest.approx(right / masked)
    assert 0 < result["annotated"]["recovery_position_guess"] < 1
    assert 0 < result["annotated"]["recovery_most_frequent_residue"] < 1
    assert "guess by position" in evaluation.markdown(result)
    assert "recovery_position_guess" not in evaluation.report(Oracle(dataset), control=None)
