import numpy as np
import pytest
from matplotlib.image import imread

from eval.pretraining.retrieval import chance
from eval.pretraining.retrieval_figure import RETRIEVAL, retrieval_over_steps
from eval.reporting.base.curves import series
from eval.reporting.figures import cluster_mixture, losses_over_steps

BASELINE = {"p2t_r1": 0.05, "t2p_r1": 0.04, "mrr": 0.1}


def make_metrics(lines):
    retrieval = {f"{RETRIEVAL}{name}": 0.1 for name in ("p2t_r1", "t2p_r1", "mrr")}
    return [
        {
            "step": 10 * line,
            "loss": 5.0 / line,
            "loss/gc": 4.0 / line,
            "loss/pda": None if line % 2 else 0.1,
            **retrieval,
        }
        for line in range(1, lines + 1)
    ]


def coloured(figure, path):
    """How many distinct colours the saved picture has."""
    figure.savefig(path, dpi=40)
    return len(np.unique((imread(path)[..., :3] * 255).astype(int).reshape(-1, 3), axis=0))


@pytest.mark.parametrize("lines", [1, 12])
def test_figures_of_training_are_drawn(tmp_path, lines):
    metrics = make_metrics(lines)
    losses = losses_over_steps(metrics)
    titles = [axis.get_title(loc="left") for axis in losses.axes]
    assert (
        titles
        == ["total", "global contrastive (GC)", "segment alignment (PDA)"][: 2 if lines == 1 else 3]
    )
    assert coloured(losses, tmp_path / "a.png") > 5
    everything = dict.fromkeys(("linear model", "k-mer baseline", "ceiling (judge)"), BASELINE) | {
        "chance": chance(40)
    }
    for beside in (everything, {"chance": chance(40)}):
        figure = retrieval_over_steps(metrics, beside)
        assert coloured(figure, tmp_path / "b.png") > 5
        labels = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
        assert labels == ["mean of both directions", *beside]


def test_what_was_not_logged_is_not_drawn():
    assert losses_over_steps([{"step": 1}]) is None
    assert retrieval_over_steps([{"step": 1, "loss": 2.0}], {"chance": chance(40)}) is None
    assert cluster_mixture({"clusters": {}, "total": 0}) is None


def test_series_skips_what_is_no_number():
    lines = [
        {"step": 1, "x": 2.0},
        {"step": 2, "x": None},
        {"step": 3},
        {"step": 4, "x": float("nan")},
        {"step": 5, "x": 3},
    ]
    steps, values = series(lines, "x")
    np.testing.assert_array_equal(steps, [1, 5])
    np.testing.assert_array_equal(values, [2, 3])


def test_mixture_shows_shares_of_the_draws(tmp_path):
    clusters = {
        "swissprot/C1/R4": {"configured": 0.75, "drawn": 80},
        "trembl/C3/R3": {"configured": 0.25, "drawn": 20},
    }
    clusters["trembl/C5/R1"] = {"configured": 0.0, "drawn": 0}
    figure = cluster_mixture({"clusters": clusters, "total": 100})
    (axis,) = figure.axes
    assert [bar.get_width() for bar in axis.patches] == pytest.approx([80, 20])
    assert [label.get_text() for label in axis.get_yticklabels()] == [
        "swissprot/C1/R4",
        "trembl/C3/R3",
    ]
    assert coloured(figure, tmp_path / "c.png") > 5
