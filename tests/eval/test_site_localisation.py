"""Active and binding sites: the scores against written-out references, the permutation control, and what a model can fool."""

import dataclasses

import numpy as np
import pytest

from data_pipelines.record import Feature, property_texts
from eval.site_localisation import KINDS, SiteLocalisation, find_cases, permuted_means, shifted, verdict
from eval.statistics import auroc
from tests.eval.fakes import Ignorant, Oracle


class Sites(Oracle):
    """Weighs exactly the sites where a record's own function is given, all residues alike beside another's."""

    def _weights(self, record, asked):
        weights = np.ones(len(record.sequence))
        if asked["function"] == property_texts(record)["function"]:
            weights[[i for f in record.features if f.type in sum(KINDS.values(), ()) for i in range(f.start - 1, f.end)]] = 99
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
        assert own["permutation"] == pytest.approx(0.5, abs=0.05)
        assert own["p_value"] == 1 / 2001
        assert own["difference_other_record_text"] > 0.4
        assert verdict(own) == "found better than chance and than with another record's function"
    assert "found better than chance" in evaluation.markdown(result)
    assert evaluation.metrics(Sites(dataset))[f"auroc_{next(iter(measured))}"] > 0.9


def test_weights_that_do_not_read_the_text_are_told_apart(evaluation, dataset):
    for own in evaluation.report(AlwaysThere(dataset), control=None)["kinds"].values():
        if own["proteins"]:
            assert "no better than with another record's function" in verdict(own)


def test_random_weights_find_nothing(evaluation, dataset):
    for own in evaluation.report(Ignorant(dataset), control=None)["kinds"].values():
        if own["proteins"]:
            assert own["p_value"] > 0.01
            assert own["auroc"] == pytest.approx(0.5, abs=0.15)


def test_every_shift_equals_the_score_of_rolled_sites():
    rng = np.random.default_rng(0)
    weights, sites = rng.integers(0, 6, 41).astype(float), rng.random(41) < 0.2
    found = shifted(weights, sites)
    for shift in range(41):
        rolled = np.roll(sites, shift)
        assert found.auroc[shift] == pytest.approx(auroc(weights, rolled))
        # Two of 41 residues are the top 5 %; ties are broken in every order.
        tops = [np.mean(np.isin(np.flatnonzero(rolled), order[:2])) for order in orders(weights, rng)]
        assert found.top[shift] == pytest.approx(np.mean(tops), abs=0.05)


def orders(weights, rng):
    return [np.lexsort((rng.random(len(weights)), -weights)) for _ in range(2000)]


def test_permuted_means_never_take_the_true_place():
    assert permuted_means([np.array([9.0, 1.0, 1.0]), np.array([9.0, 3.0])]).tolist() == [2.0] * 2000


def test_features_of_other_types_and_proteins_without_a_function_are_left_out(dataset):
    record = dataset.splits["test"][0]
    some = dataclasses.replace(record, features=(Feature("METAL", 3, 3), Feature("DOMAIN", 1, 9), Feature("ACT_SITE", 5, 6)))
    (case,) = find_cases([some, dataclasses.replace(some, function="")])
    assert {kind: np.flatnonzero(places).tolist() for kind, places in case.sites.items()} == {
        "active_site": [4, 5],
        "binding_site": [2],
    }
    assert case.other_text is None
    whole = dataclasses.replace(record, features=(Feature("BINDING", 1, len(record.sequence)),))
    assert find_cases([whole]) == []
