"""Which of two models is better, as benchmarks/trained_against_random.py tells it."""

import json

import numpy as np
import pytest

from benchmarks.trained_against_random import (
    Evaluated,
    built_comparisons,
    public_comparisons,
    rows,
)
from data_pipelines.common.json_object import to_json
from eval.metrics.resamples import resamples_of, write_resamples
from eval.metrics.statistics import bootstrap_interval
from eval.pretraining.site_localisation import NULLS
from eval.public.random_weights import FOLDER, NOISE, RANDOM, TRAINED, compare

ITEMS = 2000


def benchmarks(folder, values):
    """Results of public benchmarks, with their resamples in the folder; metrics are means over
    items."""
    headline = {
        name: {"mean": float(own.mean()), "std": 0.0, "interval": bootstrap_interval(own)}
        for name, own in values.items()
    }
    (folder / "results").mkdir(parents=True)
    write_resamples(folder / "results/gb1.npz", resamples_of(headline))
    controls = [{"protocol": "k-mers", "metrics": {"spearman": {"mean": 0.3}}}]
    results = {
        "gb1": {"headline": headline, "result": {"controls": controls}},
        "ec": {"missing": "files"},
    }
    return json.loads(json.dumps(to_json(results)))


def on_built_data():
    """A model's report on a built dataset; that of another model is the same."""
    same = bootstrap_interval(np.arange(20.0))
    built = {
        "retrieval": {f"{name}_r1": 9.5 for name in ("p2t", "t2p")},
        "sites": {"kinds": {"active_site": {"auroc": 9.5}}},
    }
    built["retrieval"] |= {f"{name}_r1_interval": same for name in ("p2t", "t2p")}
    for of in ("chance", "kmer"):
        built["retrieval"][of] = {f"{name}_r1": 0.1 for name in ("p2t", "t2p")}
    built["sites"]["kinds"]["active_site"] |= {"auroc_interval": same}
    built["sites"]["kinds"]["active_site"] |= {
        name: {"mean": 0.5, "p_value": 1.0} for name in NULLS
    }
    return Evaluated(built, resamples_of(built))


@pytest.fixture
def compared_models(tmp_path):
    """Items are hard or easy for both models; a metric differs by exactly so much, with noise of
    0.3 for each item."""
    rng = np.random.default_rng(0)
    hard = rng.normal(size=ITEMS)

    def noise():
        drawn = 0.3 * rng.normal(size=ITEMS)
        return drawn - drawn.mean()

    effects = {
        "spearman": 0.1,
        "mae": 0.1,
        "pearson": -0.1,
        "weak": 0.022,
        **{f"none {count}": 0.0 for count in range(6)},
    }
    trained = {name: hard + effect + noise() for name, effect in effects.items()}
    random = {name: hard + noise() for name in effects}
    untrained = benchmarks(tmp_path / FOLDER, random)
    results = compare(benchmarks(tmp_path, trained), untrained, tmp_path)
    compared = public_comparisons(results)
    compared += built_comparisons(on_built_data(), on_built_data())
    shown = {(line[0], line[1]): line for line in rows(compared)}
    return shown, {one.metric: one.p_value for one in compared}


def test_differences_are_paired_and_corrected(compared_models):
    lines, p_values = compared_models
    better = {metric: line[4] for (_, metric), line in lines.items()}
    # Of independent means the standard error would be 0.033, and none would differ from noise in 13
    # comparisons; it is 0.0095.
    assert (better["spearman"], better["mae"], better["pearson"]) == (TRAINED, RANDOM, RANDOM)
    assert {better[f"none {count}"] for count in range(6)} == {NOISE}
    # Alone it would be significant.
    assert 0.05 / 10 < p_values["weak"] < 0.05
    assert better["weak"] == NOISE


def test_a_row_has_both_numbers_and_the_controls(compared_models):
    lines, _ = compared_models
    assert lines["gb1", "spearman"][6] == "k-mers 0.300"
    assert lines["retrieval", "p2t"][4:] == [NOISE, "1.00", "chance 0.100, k-mers 0.100"]
    assert len(lines) == 10 + 3
