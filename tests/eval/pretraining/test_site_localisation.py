"""Active and binding sites: the scores against written-out references, the permutation control,
and what a model can fool."""

import dataclasses

import numpy as np
import pytest

from data_pipelines.protanno.record import Feature, property_texts
from eval.metrics.statistics import auroc
from eval.pretraining.site_localisation import (
    KINDS,
    PERMUTATIONS,
    SiteLocalisation,
    find_cases,
    same_residues,
    score,
    verdict,
)
from tests.support.fakes import Ignorant, Oracle


class Sites(Oracle):
    """Weighs exactly the sites where a record's own function is given, all residues alike beside
    another's."""

    def _weights(self, record, asked):
        weights = np.ones(len(record.sequence))
        if asked["function"] == property_texts(record)["function"]:
            weights[
                [
                    i
                    for f in record.features
                    if f.type in sum(KINDS.values(), ())
                    for i in range(f.start - 1, f.end)
                ]
            ] = 99
        return (weights / weights.sum())[None].astype(np.float32)


class AlwaysThere(Oracle):
    """Weighs the sites whatever text is given."""

    def _weights(self, record, asked):
        return Sites._weights(self, record, property_texts(record))


@pytest.fixture(scope="module")
def evaluation(dataset):
    return SiteLocalisation(dataset, split="test", pool=50)


def test_sites_that_the_weights_mark_are_found(evaluation, dataset):
    result = evaluation.report(Sites(dataset), control=None)
    measured = {kind: own for kind, own in result["kinds"].items() if own["proteins"]}
    assert measured
    for own in measured.values():
        assert own["proteins"] > 5
        # Not 1: the weights mark both kinds, and each kind's sites are wrong for the other.
        assert own["auroc"] > 0.9
        assert own["shifted"]["mean"] == pytest.approx(0.5, abs=0.05)
        assert (
            own["shifted"]["p_value"] == own["same_residues"]["p_value"] == 1 / (1 + PERMUTATIONS)
        )
        assert own["difference_other_record_text"] > 0.4
        assert (
            verdict(own) == "found better than moved sites and than with another record's function"
        )
    assert "**found better than moved sites" in evaluation.markdown(result)
    assert evaluation.metrics(Sites(dataset))[f"auroc_{next(iter(measured))}"] > 0.9


def test_weights_that_do_not_read_the_text_are_told_apart(evaluation, dataset):
    for own in evaluation.report(AlwaysThere(dataset), control=None)["kinds"].values():
        if own["proteins"]:
            assert "no better than with another record's function" in verdict(own)


def test_random_weights_find_nothing(evaluation, dataset):
    for own in evaluation.report(Ignorant(dataset), control=None)["kinds"].values():
        if own["proteins"]:
            assert own["shifted"]["p_value"] > 0.01
            assert own["auroc"] == pytest.approx(0.5, abs=0.15)


def test_weights_of_amino_acids_alone_are_no_finding(dataset):
    """Weights that tell the sites' amino acids from others beat shifted sites, and not sites at
    the same residues."""

    class Letters(Oracle):
        def _weights(self, record, asked):
            weights = np.array([1.0 + (letter in "HCDSE") for letter in record.sequence])
            return (weights / weights.sum())[None].astype(np.float32)

    evaluation = SiteLocalisation(dataset, split="test", pool=50)
    for case in evaluation._cases:
        letters = np.array([letter in "HCDSE" for letter in case.record.sequence])
        case.sites["active_site"] = letters & (np.random.default_rng(0).random(len(letters)) < 0.2)
    own = evaluation.report(Letters(dataset), control=None)["kinds"]["active_site"]
    assert own["auroc"] > 0.8
    assert own["shifted"]["p_value"] < 0.01
    assert own["same_residues"]["mean"] == pytest.approx(own["auroc"])
    assert verdict(own) == "not found better than moved sites (same residues)"


def test_scores_equal_those_of_rolled_sites():
    rng = np.random.default_rng(0)
    weights, sites = rng.integers(0, 6, 41).astype(float), rng.random(41) < 0.2
    found = score(weights, sites)
    assert found.auroc == pytest.approx(auroc(weights, sites))
    np.testing.assert_allclose(
        found.shifted, [auroc(weights, np.roll(sites, shift)) for shift in range(1, 41)]
    )
    # Two of 41 residues are the top 5 %; ties are broken in every order.
    orders = [np.lexsort((rng.random(41), -weights)) for _ in range(4000)]
    assert found.top == pytest.approx(
        np.mean([np.isin(np.flatnonzero(sites), order[:2]).mean() for order in orders]), abs=0.02
    )


def test_sites_move_to_the_same_residues_alone():
    sequence, sites = "ACCCA", np.array([True, True, False, False, False])
    weights = np.array([5.0, 1, 2, 3, 4])
    found = same_residues(weights, sites, sequence, np.random.default_rng(0))
    # One of the two A and one of the three C: six placements, as likely.
    placements = [[a, c] for a in (0, 4) for c in (1, 2, 3)]
    expected = sorted(
        {auroc(weights, np.isin(np.arange(5), placement)) for placement in placements}
    )
    np.testing.assert_allclose(np.unique(found.round(6)), np.round(expected, 6))
    assert found.mean() == pytest.approx(
        np.mean([auroc(weights, np.isin(np.arange(5), p)) for p in placements]), abs=0.02
    )


def test_a_function_that_reads_the_same_is_no_other_function(dataset):
    record = dataclasses.replace(
        dataset.splits["test"][0], function="Cuts.", features=(Feature("ACT_SITE", 5, 6),)
    )
    twin = dataclasses.replace(record, function="cuts.")
    assert [case.other_text for case in find_cases([record, twin], str.lower)] == [None, None]
    assert [case.other_text for case in find_cases([record, twin])] == [
        "FUNCTION: cuts.",
        "FUNCTION: Cuts.",
    ]


def test_features_of_other_types_and_proteins_without_a_function_are_left_out(dataset):
    record = dataset.splits["test"][0]
    some = dataclasses.replace(
        record,
        features=(Feature("METAL", 3, 3), Feature("DOMAIN", 1, 9), Feature("ACT_SITE", 5, 6)),
    )
    (case,) = find_cases([some, dataclasses.replace(some, function="")])
    assert {kind: np.flatnonzero(positions).tolist() for kind, positions in case.sites.items()} == {
        "active_site": [4, 5],
        "binding_site": [2],
    }
    assert case.other_text is None
    whole = dataclasses.replace(record, features=(Feature("BINDING", 1, len(record.sequence)),))
    assert find_cases([whole]) == []
