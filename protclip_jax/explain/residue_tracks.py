"""Draws property weights along a protein, next to the residues that UniProt's features mark."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from data_pipelines.common.figure_style import GREY, INK, PROPERTY_COLOURS, tidy
from data_pipelines.protanno.features import feature_property
from data_pipelines.protanno.record import Feature
from protclip_jax.inference.segment_contrast import Contrast

LETTERS_UP_TO = 120
LINE_LETTERS, TITLE_LINES = 120, 3
UNIT = "PDA weight (sums to 1)"
"""A text's weights sum to 1 over the protein."""


class Track(NamedTuple):
    """What is drawn for one property of a protein.

    The weights of its text over the residues, the residues that its features mark, and the contrast
    with other texts.
    """

    name: str
    weights: Float[np.ndarray, " L"]
    marked: Bool[np.ndarray, " L"]
    contrast: Contrast | None = None


def segment_tracks(proteins: Mapping[str, tuple[str, Sequence[Track]]]) -> Figure:
    """Draws a row of bars per property for each protein, with the marked residues shaded.

    `proteins` maps title → (sequence, tracks). Positions are 1-based; proteins of up to
    `LETTERS_UP_TO` residues are also labelled with their letters.
    """
    heights = [0.75 + 0.95 * len(tracks) for _, tracks in proteins.values()]
    figure = Figure(figsize=(12, sum(heights) + 0.5), layout="constrained")
    parts = np.atleast_1d(figure.subfigures(len(proteins), 1, height_ratios=heights))
    for part, (title, (sequence, tracks)) in zip(parts, proteins.items(), strict=True):
        axes = part.subplots(len(tracks), 1, sharex=True, squeeze=False).ravel()
        for axis, track in zip(axes, tracks, strict=True):
            _draw_track(axis, track)
        axes[0].set_title(_wrapped(title), fontsize=10, color=INK, loc="left", parse_math=False)
        _label_residues(axes[-1], sequence)
    figure.supylabel(UNIT, fontsize=10, color=INK)
    figure.supxlabel("residue; shaded: annotated for the property", fontsize=10, color=INK)
    return figure


def _wrapped(title: str) -> str:
    """Wraps a title into at most `TITLE_LINES` lines; the last ends in … if text was cut."""
    return "\n".join(textwrap.wrap(title, LINE_LETTERS, max_lines=TITLE_LINES, placeholder=" …"))


def _draw_track(axis, track: Track) -> None:
    colour = PROPERTY_COLOURS.get(track.name, INK)
    weights = np.nan_to_num(track.weights)
    edges = np.flatnonzero(np.diff(track.marked, prepend=False, append=False))
    for start, end in edges.reshape(-1, 2) + 0.5:
        # The bars stay below the top, so that the shading remains visible.
        axis.axvspan(start, end, color=colour, alpha=0.25, linewidth=0)
    axis.stairs(weights, np.arange(weights.size + 1) + 0.5, fill=True, color=colour)
    axis.set(xlim=(0.5, weights.size + 0.5), ylim=(0, max(float(weights.max()), 1e-9) * 1.3))
    axis.set_ylabel(
        track.name, fontsize=9, rotation=0, ha="right", va="center", color=colour, fontweight="bold"
    )
    axis.yaxis.set_major_locator(MaxNLocator(2))
    tidy(axis)
    axis.grid(visible=False)


def _draw_contrast(axis, track: Track) -> None:
    """Draws the difference to other texts over its band, filled where it is above the band."""
    colour, found = PROPERTY_COLOURS.get(track.name, INK), track.contrast
    places = np.arange(found.difference.size) + 1
    within = {"step": "mid", "linewidth": 0}
    axis.fill_between(places, found.low, found.high, color=GREY, alpha=0.3, **within)
    above = np.maximum(found.difference, found.high)
    axis.fill_between(places, found.high, above, color=colour, alpha=0.6, **within)
    axis.step(places, found.difference, where="mid", color=colour, linewidth=0.8)
    axis.set_ylabel(
        f"minus {found.others} others",
        fontsize=8,
        rotation=0,
        ha="right",
        va="center",
        color=colour,
    )
    # The bands at the ends of a protein can be so wide that they would hide all others.
    lowest = min(found.difference.min(), np.quantile(found.low, 0.02))
    highest = max(found.difference.max(), np.quantile(found.high, 0.98))
    room = 0.1 * max(highest - lowest, 1e-9)
    axis.set(xlim=(0.5, found.difference.size + 0.5), ylim=(lowest - room, highest + room))
    axis.yaxis.set_major_locator(MaxNLocator(2))
    tidy(axis)
    axis.grid(visible=False)


def _label_residues(axis, sequence: str) -> None:
    axis.set_xticks([1, *range(10, len(sequence) + 1, 10 * (1 + len(sequence) // 250))])
    if len(sequence) > LETTERS_UP_TO:
        return
    axis.tick_params(axis="x", length=0, pad=12)
    style = {"textcoords": "offset points", "ha": "center", "va": "top", "fontsize": 7}
    for position, letter in enumerate(sequence, 1):
        # Relative to the bottom of the axis: 0 for weights, the last lane for features.
        below = axis.annotate(
            letter, (position, 0), xycoords=axis.get_xaxis_transform(), xytext=(0, -3), **style
        )
        # The padding of the tick labels reserves the space; measuring every letter for the layout
        # takes seconds.
        below.set_in_layout(False)


def explanation(
    title: str,
    sequence: str,
    tracks: Sequence[Track],
    features: Sequence[Feature],
    *,
    note: str = "",
) -> Figure:
    """Draws the tracks of one protein, each above its contrast if any, and its features below.

    Each `FT` type has a lane; features are coloured by the property that they explain. `note` is
    printed below the figure.
    """
    ordered = sorted(features, key=lambda feature: feature.start)
    types = list(dict.fromkeys(feature.type for feature in ordered))
    drawn = [
        (draw, track)
        for track in tracks
        for draw in (_draw_track, _draw_contrast)
        if draw is _draw_track or track.contrast is not None
    ]
    heights = [0.95] * len(drawn) + ([0.35 + 0.22 * len(types)] if types else [])
    figure = Figure(figsize=(12, sum(heights) + 0.9 + 0.2 * bool(note)), layout="constrained")
    axes = figure.subplots(
        len(heights), 1, sharex=True, squeeze=False, height_ratios=heights
    ).ravel()
    for axis, (draw, track) in zip(axes, drawn, strict=False):
        draw(axis, track)
    if types:
        _draw_features(axes[-1], types, features)
    # A dollar sign in a name does not start a formula.
    axes[0].set_title(_wrapped(title), fontsize=10, color=INK, loc="left", parse_math=False)
    _label_residues(axes[-1], sequence)
    axes[-1].set_xlabel(_legend(tracks, note), fontsize=9, color=INK, parse_math=False)
    figure.supylabel(UNIT, fontsize=10, color=INK)
    return figure


def _legend(tracks: Sequence[Track], note: str) -> str:
    """The text below a figure."""
    legend = "residue; shaded: annotated for the property"
    if any(track.contrast is not None for track in tracks):
        legend += "; grey: range of 90 % of other texts, filled: above it"
    return "\n".join([legend, *textwrap.wrap(note, LINE_LETTERS + 15)])


def _draw_features(axis, types: Sequence[str], features: Sequence[Feature]) -> None:
    for feature in features:
        lane = types.index(feature.type)
        colour = PROPERTY_COLOURS.get(feature_property(feature), GREY)
        axis.barh(
            lane,
            feature.end - feature.start + 1,
            left=feature.start - 0.5,
            height=0.6,
            color=colour,
        )
    axis.set_yticks(range(len(types)), types, fontsize=8)
    axis.set_ylim(len(types) - 0.5, -0.5)
    tidy(axis)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="y", visible=False)
