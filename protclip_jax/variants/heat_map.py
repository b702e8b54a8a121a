"""Draws the scores of all single substitutions of a protein, readable for long proteins too."""

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from data_pipelines.common.figure_style import GREY, INK
from data_pipelines.inputs.substitutions import AMINO_ACIDS

ROWS = "GAVLIMCPFWYSTNQHKRDE"
"""From top to bottom: small and aliphatic, aromatic, polar, positive, negative."""
PER_LINE, MOST_LINES = 100, 150
"""Residues per line; proteins longer than the product, 15,000, get longer lines."""
WIDTH, MARGIN, LINE_HEIGHT, HEAD = 14.0, 0.55, 2.1, 0.75
"""All in inches."""
PERCENTILE = 2
"""Percentile of scores at the ends of the colour scale, so that outliers do not fade the rest."""


def heat_map(
    title: str,
    sequence: str,
    scores: Float[np.ndarray, "L 20"],
    *,
    first_position: int,
) -> Figure:
    """Draws lines of 100 residues below each other, with one colour scale centred on 0.

    A dot marks the wild type. The lowest row of a line is the mean over a position's substitutions.

    Args:
      title: name of the protein and method.
      sequence: its residues.
      scores: columns are `AMINO_ACIDS`; NaN (not scored) is grey.
      first_position: number of the first residue.
    """
    per_line = max(PER_LINE, -(-len(sequence) // MOST_LINES))
    starts = range(0, len(sequence), per_line)
    height = HEAD + LINE_HEIGHT * len(starts)
    figure = Figure(figsize=(WIDTH, height))
    limit = _limit(scores)
    for line, start in enumerate(starts):
        shown = min(per_line, len(sequence) - start)
        bottom = height - HEAD - LINE_HEIGHT * (line + 1) + 0.3
        share = shown / per_line * (WIDTH - 2 * MARGIN) / WIDTH
        place = (MARGIN / WIDTH, bottom / height, share, (LINE_HEIGHT - MARGIN) / height)
        axis = figure.add_axes(place)
        stop = start + shown
        image = _draw_line(axis, sequence[start:stop], scores[start:stop], limit)
        _number(axis, shown, first_position + start)
    colours = figure.add_axes((1 - 3.6 / WIDTH, 1 - 0.5 / height, 3.0 / WIDTH, 0.14 / height))
    bar = figure.colorbar(image, cax=colours, orientation="horizontal", extend="both")
    bar.set_label("score: log odds against the wild type", fontsize=8, color=INK)
    bar.ax.tick_params(labelsize=7, color=GREY)
    place = (MARGIN / WIDTH, 1 - 0.45 / height)
    # Dollar signs in a name are not math.
    figure.text(*place, title[:90], fontsize=11, color=INK, parse_math=False)
    return figure


def _limit(scores: Float[np.ndarray, "L 20"]) -> float:
    """The score at the ends of the colour scale; 1 if nothing is scored."""
    known = scores[np.isfinite(scores) & (scores != 0)]
    if not known.size:
        return 1.0
    return float(np.abs(np.percentile(known, [PERCENTILE, 100 - PERCENTILE])).max()) or 1.0


def _draw_line(axis: Axes, sequence: str, scores: np.ndarray, limit: float):
    """Draws the cells of one line, with letters above; returns the image."""
    ordered = scores[:, [AMINO_ACIDS.index(letter) for letter in ROWS]].T
    is_wild_type = np.array(list(sequence)) == np.array(list(ROWS))[:, None]
    counted = np.where(is_wild_type | np.isnan(ordered), 0, ordered).sum(0)
    numbers = (~is_wild_type & ~np.isnan(ordered)).sum(0)
    means = np.divide(counted, numbers, out=np.full(len(sequence), np.nan), where=numbers > 0)
    cells = np.vstack([ordered, means])
    colours = colormaps["RdBu"].with_extremes(bad="#D9D9D9")
    image = axis.imshow(cells, aspect="auto", cmap=colours, vmin=-limit, vmax=limit)
    rows, columns = np.nonzero(is_wild_type)
    axis.plot(columns, rows, ".", color=INK, markersize=2.5)
    axis.axhline(len(ROWS) - 0.5, color="white", linewidth=1.5)
    axis.set_yticks(range(len(ROWS) + 1), [*ROWS, "mean"], fontsize=5)
    if len(sequence) <= PER_LINE:
        letters = axis.secondary_xaxis("top")
        letters.set_xticks(range(len(sequence)), list(sequence), fontsize=6, family="monospace")
        letters.tick_params(length=0, pad=1)
        letters.spines[:].set_visible(False)
    axis.tick_params(length=2, color=GREY)
    axis.spines[:].set_visible(False)
    return image


def _number(axis: Axes, residues: int, first: int) -> None:
    """Labels every tenth position below the line, or fewer if the line is long."""
    step = 10 * -(-residues // PER_LINE)
    numbered = [i for i in range(residues) if (first + i) % step == 0]
    axis.set_xticks(numbered, [str(first + i) for i in numbered], fontsize=7)
