"""Figures of the annotation page."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from data_pipelines.common.figure_style import BLUE, GREEN, GREY, INK, VERMILION, tidy
from protclip_jax.annotate.rows import SURE
from protclip_jax.annotate.summary import Summary

MAX_NAMES = 12
MAX_NAME_LENGTH = 48
MARGIN = 0.02
"""Margin on both sides of a histogram of cosines, which may all be equal."""
MIN_BARS = 4
"""Minimum number of bars that a panel has room for, so that a single bar does not fill it."""
_COLOURS = {SURE[True]: GREEN, SURE[None]: BLUE, SURE[False]: GREY}
_WORDS = {SURE[True]: "sure", SURE[None]: "not known", SURE[False]: "not sure enough"}


def outcomes(summary: Summary) -> Figure:
    """Draws a bar for each aspect: numbers of proteins by confidence of the best hit."""
    aspects = list(summary.outcomes)[::-1]
    places = np.arange(len(aspects))
    figure = Figure(figsize=(7.5, 1.2 + 0.4 * len(aspects)), layout="constrained")
    axis = figure.subplots()
    start = np.zeros(len(aspects))
    for sure, colour in _COLOURS.items():
        counts = np.array([summary.outcomes[aspect][sure] for aspect in aspects])
        axis.barh(places, counts, left=start, color=colour, label=_WORDS[sure], height=0.6)
        start += counts
    axis.set_xlabel("proteins", fontsize=8)
    axis.set_yticks(places, list(map(_short, aspects)))
    figure.legend(loc="outside upper right", ncols=3, frameon=False, fontsize=8)
    tidy(axis)
    axis.grid(axis="y", visible=False)
    return figure


def confidences(summary: Summary) -> Figure:
    """Draws a histogram for each aspect: confidences of the best hits, or cosines without them."""
    aspects = list(summary.outcomes)
    figure, axes = _panels(len(aspects), height=2.2)
    for aspect, axis in zip(aspects, axes, strict=True):
        if measured := summary.confidences[aspect]:
            axis.hist(measured, bins=np.linspace(0, 1, 21), color=BLUE)
            axis.axvline(summary.least, color=VERMILION, linewidth=1.2)
            axis.set_xlabel("confidence of the best hit", fontsize=8)
        else:
            cosines = np.array(summary.cosines[aspect])
            span = (max(-1, cosines.min() - MARGIN), min(1, cosines.max() + MARGIN))
            axis.hist(cosines, bins=20, range=span, color=GREY)
            axis.set_xlabel("cosine of the best hit (confidence not measured)", fontsize=8)
        axis.set_ylabel("proteins", fontsize=8)
        _title(axis, aspect)
    return figure


def most_common(summary: Summary) -> Figure:
    """Draws bars for each aspect: the organisms and labels found for the most proteins."""
    aspects = [aspect for aspect, named in summary.named.items() if _listed(named)]
    figure, axes = _panels(len(aspects), height=2.6)
    for aspect, axis in zip(aspects, axes, strict=True):
        named = _listed(summary.named[aspect])[::-1]
        places = np.arange(len(named))
        axis.barh(places, [count for _, count in named], color=BLUE, height=0.7)
        axis.set_yticks(places, [_short(name) for name, _ in named])
        axis.set_xlabel("proteins", fontsize=8)
        axis.set_ylim(len(named) - 0.4 - max(len(named), MIN_BARS), len(named) - 0.4)
        _title(axis, aspect)
        axis.tick_params(axis="y", labelsize=7)
    return figure


def _listed(named) -> list[tuple[str, int]]:
    return [(name, count) for name, count in named.most_common(MAX_NAMES + 1) if name][:MAX_NAMES]


def _short(name: str) -> str:
    # Matplotlib would render text between dollar signs as a formula.
    name = name.replace("$", r"\$")
    return name if len(name) <= MAX_NAME_LENGTH else f"{name[:MAX_NAME_LENGTH].rstrip()} …"


def _panels(count: int, *, height: float) -> tuple[Figure, Sequence]:
    """Creates a column of panels."""
    figure = Figure(figsize=(7.5, height * max(count, 1)), layout="constrained")
    return figure, figure.subplots(max(count, 1), 1, squeeze=False)[:count, 0]


def _title(axis, aspect: str) -> None:
    axis.set_title(_short(aspect), fontsize=9, color=INK, loc="left")
    tidy(axis)
