"""Which figures there are for which results, and that a radar does not join what is not next to
each other."""

import numpy as np

from eval.benchmarks import few_shot
from eval.data.base.published import FINE_TUNING
from eval.data.published import PUBLISHED, published
from eval.reporting.benchmark_figures import COLOURS, figures


def result(name, metric, mean, *, protocol="frozen probe", **more):
    headline = {
        metric: {
            "mean": mean,
            "std": 0.1,
            "interval": (mean - 0.1, mean + 0.1) if mean is not None else None,
        }
    }
    rows = [row._asdict() for row in published(name)]
    known = {"benchmark": name, "protocol": protocol, "headline": headline, "published": rows}
    return known | {"data": {"whole": None}, "result": more}


def lines(axis):
    return {line.get_label(): line.get_ydata() for line in axis.get_lines()}


def test_a_radar_has_an_axis_for_each_benchmark_with_a_published_number():
    names = {
        "ec": "fmax",
        "go_mf": "fmax",
        "membrane": "accuracy",
        "prot2bp": "mrr, reverse kept",
        "similarity_mf": "500_cosine",
    }
    made = figures({name: result(name, metric, 0.5) for name, metric in names.items()})
    assert set(made) == {"benchmarks", "radar"}
    (axis,) = made["radar"].axes
    assert [text.get_text() for text in axis.get_xticklabels()] == [
        "ec * †\nfmax",
        "go_mf * †\nfmax",
        "prot2bp * †\nmrr, reverse kept",
        "similarity_mf * †\n500_cosine",
    ]
    drawn = lines(axis)
    np.testing.assert_array_equal(drawn["ours"], [0.5] * 5)
    np.testing.assert_array_equal(
        drawn["BioBridge, published"], [np.nan, np.nan, 0.136, np.nan, np.nan]
    )
    tuned = {
        name: result(name, metric, 0.5, protocol=FINE_TUNING) for name, metric in names.items()
    }
    labels = [text.get_text() for text in figures(tuned)["radar"].axes[0].get_xticklabels()]
    assert labels[:3] == ["ec *\nfmax", "go_mf *\nfmax", "prot2bp * †\nmrr, reverse kept"]
    assert set(figures({"ec": result("ec", "fmax", 0.5)})) == {"benchmarks"}
    assert figures({"aav": {"missing": "data"}}) == {}


def test_every_published_model_is_in_the_bars_and_in_the_radar():
    first = {
        "ec": "fmax",
        "prot2bp": "mrr, reverse kept",
        "similarity_mf": "500_cosine",
        "proteingym": "spearman",
    }
    made = figures({name: result(name, metric, 0.5) for name, metric in first.items()})
    models = {f"{row.model}, published" for name in first for row in published(name)}
    assert len(models) == len({row.model for row in PUBLISHED}) == len(COLOURS)
    for name, ours in (("benchmarks", {"this model"}), ("radar", {"ours"})):
        _, labels = made[name].axes[0].get_legend_handles_labels()
        assert set(labels) == models | ours


def test_bars_stand_beside_their_best_control():
    measured = (("a", "fmax", 0.3), ("b", "fmax", 0.45), ("c", "aupr", 0.9))
    controls = [
        {"protocol": name, "metrics": {metric: {"mean": mean}}} for name, metric, mean in measured
    ]
    figure = figures({"ec": result("ec", "fmax", 0.5, controls=controls)})["benchmarks"]
    heights = sorted(bar.get_height() for bar in figure.axes[0].patches)
    assert heights == [0.45, 0.5]
    assert figure.axes[0].get_legend_handles_labels()[1].count("best control") == 1


def test_undefined_numbers_leave_a_gap_in_every_figure():
    point = {"fmax": {"mean": None, "interval": (None, None)}}
    curve = [
        {"cutoff": 0.3, "rows": 0, "metrics": None},
        {"cutoff": 0.95, "rows": 4, "metrics": point},
    ]
    of_ec = result("ec", "fmax", None, main="fmax", identity_curve=curve)
    made = figures({"ec": of_ec})
    assert np.isnan(lines(made["identity"].axes[0])["below the cut-off"]).all()


def test_few_shot_curves_stand_beside_composition_chance_and_prompts():
    value = {"mean": 0.4, "std": 0.1, "interval": (0.3, 0.5)}
    few = result(
        "few_shot_localisation",
        "x",
        0.4,
        shots=[1, 8],
        composition={"1": value, "8": value},
        chance=0.1,
    )
    few["headline"] = {few_shot.metric(k): value | {"mean": k / 10} for k in (1, 8)}
    zero = result("zero_shot_localisation", "accuracy, template", 0.25)
    drawn = lines(figures({"few": few, "zero": zero})["few_shot"].axes[0])
    assert {name: list(values) for name, values in drawn.items()} == {
        "embeddings": [0.1, 0.8],
        "composition": [0.4, 0.4],
        "chance": [0.1, 0.1],
        "prompts, no example": [0.25, 0.25],
    }
    few["random_weights"] = {few_shot.metric(k): value | {"mean": k / 20} for k in (1, 8)}
    drawn = lines(figures({"few": few})["few_shot"].axes[0])
    assert list(drawn["random weights"]) == [0.05, 0.4]
