import io

import numpy as np
import pytest
from matplotlib.image import imread

from data_pipelines.common.figure_style import PROPERTY_COLOURS
from data_pipelines.protanno.record import Feature
from protclip_jax.explain.residue_tracks import Track, explanation, segment_tracks
from protclip_jax.inference.segment_contrast import contrast


def coloured(figure, path):
    """How many distinct colours the saved picture has."""
    figure.savefig(path, dpi=40)
    return len(np.unique((imread(path)[..., :3] * 255).astype(int).reshape(-1, 3), axis=0))


@pytest.mark.parametrize("length", [7, 300])
def test_tracks_show_weights_and_marked_residues(tmp_path, length):
    weights, marked = np.linspace(0, 1, length), np.zeros(length, bool)
    marked[[0, 1, length - 1]] = True
    sequence = "MKV" * length
    figure = segment_tracks({"P1": (sequence[:length], [Track("function", weights, marked)])})
    (axis,) = [axis for part in figure.subfigs for axis in part.axes]
    *spans, steps = axis.patches
    np.testing.assert_array_equal(steps.get_data().values, weights)
    np.testing.assert_array_equal(steps.get_data().edges[[0, -1]], [0.5, length + 0.5])
    found = [(span.get_x(), span.get_x() + span.get_width()) for span in spans]
    assert found == [pytest.approx((0.5, 2.5)), pytest.approx((length - 0.5, length + 0.5))]
    letters = "".join(text.get_text() for text in axis.texts)
    assert letters == (sequence[:length] if length <= 120 else "")
    assert coloured(figure, tmp_path / "d.png") > 5


def test_tracks_of_undefined_weights_are_drawn(tmp_path):
    track = Track("location", np.full(5, np.nan), np.ones(5, bool))
    assert (
        coloured(
            segment_tracks({"a": ("MKVLW", [track]), "b": ("MKVLW", [track])}), tmp_path / "e.png"
        )
        > 2
    )


def test_an_explanation_shows_every_feature_in_its_lane(tmp_path):
    features = [
        Feature("CHAIN", 1, 50, "Whole"),
        Feature("ACT_SITE", 7, 7),
        Feature("ACT_SITE", 30, 31),
        Feature("SIGNAL", 1, 9),
    ]
    track = Track("function", np.linspace(0, 1, 50), np.zeros(50, bool))
    figure = explanation("P1", "M" * 50, [track, track], features)
    lanes = figure.axes[-1]
    assert [label.get_text() for label in lanes.get_yticklabels()] == [
        "CHAIN",
        "SIGNAL",
        "ACT_SITE",
    ]
    bars = [(bar.get_x() + 0.5, bar.get_width(), round(bar.get_y() + 0.3)) for bar in lanes.patches]
    assert bars == [(1, 50, 0), (7, 1, 2), (30, 2, 2), (1, 9, 1)]
    assert len(figure.axes) == 3
    assert coloured(figure, tmp_path / "a.png") > 5
    assert len(lanes.texts) == 50
    assert (
        max(letter.get_window_extent().y1 for letter in lanes.texts) < lanes.get_window_extent().y0
    )
    assert (
        len(
            explanation(
                "P1", "MKV", [track._replace(weights=np.ones(3), marked=np.zeros(3, bool))], []
            ).axes
        )
        == 1
    )
    assert PROPERTY_COLOURS["function"] != PROPERTY_COLOURS["location"]


def test_a_contrast_is_drawn_below_its_weights_with_its_band(tmp_path):
    rng = np.random.default_rng(0)
    found = contrast(rng.random(60), rng.random((25, 60)))
    tracks = [Track("function", rng.random(60), np.zeros(60, bool), found)]
    tracks += [Track("location", rng.random(60), np.zeros(60, bool))]
    figure = explanation("P1", "M" * 60, tracks, [], note="Other texts: $25.")
    weights, lane, other = figure.axes
    assert [axis.get_ylabel() for axis in (weights, lane, other)] == [
        "function",
        "minus 25 others",
        "location",
    ]
    (line,) = lane.lines
    np.testing.assert_array_equal(line.get_ydata(), found.difference)
    band = lane.collections[0].get_datalim(lane.transData)
    assert (band.y0, band.y1) == pytest.approx((found.low.min(), found.high.max()))
    assert "filled: above it\nOther texts: $25." in other.get_xlabel()
    assert coloured(figure, tmp_path / "c.png") > 5


def test_dollar_signs_in_a_title_are_no_formula():
    figure = explanation(
        "P1 · a$\\foo$b", "MKT", [Track("name", np.ones(3) / 3, np.zeros(3, bool))], []
    )
    figure.savefig(io.BytesIO(), format="png")
