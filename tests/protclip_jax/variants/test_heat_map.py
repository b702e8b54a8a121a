import io

import numpy as np
import pytest
from matplotlib.image import imread

from data_pipelines.common.figure_style import DPI
from data_pipelines.inputs.substitutions import AMINO_ACIDS
from protclip_jax.variants import heat_map as module
from protclip_jax.variants.heat_map import (
    HEAD,
    LINE_HEIGHT,
    MOST_LINES,
    PER_LINE,
    ROWS,
    heat_map,
)


def lines_of(figure):
    """The axes of the lines, without the colour scale."""
    return figure.axes[:-1]


def test_every_score_stands_in_its_cell():
    sequence = (AMINO_ACIDS * 13)[:250]
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(250, 20)).astype(np.float32)
    scores[np.arange(250), [AMINO_ACIDS.index(letter) for letter in sequence]] = 0
    scores[7] = np.nan
    figure = heat_map("a $protein$", sequence, scores, first_position=24)
    lines = lines_of(figure)
    cells = np.ma.concatenate([axis.images[0].get_array() for axis in lines], axis=1)
    assert cells.shape == (21, 250)
    order = [AMINO_ACIDS.index(letter) for letter in ROWS]
    np.testing.assert_array_equal(np.ma.filled(cells[:20], np.nan), scores[:, order].T)
    expected = scores.sum(1) / 19
    np.testing.assert_allclose(np.ma.filled(cells[20], np.nan), expected, atol=1e-6)
    marked = []
    for i, axis in enumerate(lines):
        dots = axis.lines[0].get_xydata()
        marked += [(int(x) + PER_LINE * i, ROWS[int(y)]) for x, y in dots]
    assert sorted(marked) == list(enumerate(sequence))
    assert [label.get_text() for label in lines[0].get_xticklabels()][:2] == ["30", "40"]
    letters = []
    for axis in lines:
        letters += [label.get_text() for label in axis.child_axes[0].get_xticklabels()]
    assert "".join(letters) == sequence
    assert [sorted(ROWS), len({axis.images[0].get_clim() for axis in lines})] == [
        list(AMINO_ACIDS),
        1,
    ]


@pytest.mark.parametrize(("length", "lines"), [(1, 1), (100, 1), (101, 2), (1000, 3)])
def test_a_figure_of_any_length_can_be_written(monkeypatch, length, lines):
    monkeypatch.setattr(module, "MOST_LINES", 3)
    sequence = (AMINO_ACIDS * 50)[:length]
    figure = heat_map("p", sequence, np.zeros((length, 20), np.float32), first_position=1)
    assert len(lines_of(figure)) == lines
    numbered = lines_of(figure)[0].get_xticklabels()
    assert len(numbered) <= 10
    file = io.BytesIO()
    figure.savefig(file, dpi=30)
    file.seek(0)
    assert imread(file).shape[0] == int(30 * (HEAD + lines * LINE_HEIGHT))


def test_the_tallest_figure_is_not_too_tall():
    # Agg rejects images of 2¹⁶ pixels or more per side.
    assert (HEAD + MOST_LINES * LINE_HEIGHT) * DPI < 1 << 16
