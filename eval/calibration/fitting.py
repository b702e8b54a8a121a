"""Fits tables of confidences to hits, and measures how well they hold on others."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from eval.calibration.questions import Hits
from protclip_jax.retrieval.calibration import Table

BINS = 10
"""The number of bins of confidence for the calibration error."""
QUANTILES = (0.2, 0.4, 0.6, 0.7, 0.8, 0.87, 0.92, 0.96, 0.98)
"""Quantiles of the scores of all hits that bound a table's bins: finer at the high end."""
FEWEST_QUESTIONS = 20
"""The minimum number of questions for a table, and for each of its bins."""
STEPS, RIDGE = 50, 1e-3
NORMAL = 1.96
"""The normal quantile of a 95 % interval."""


class Reliability(NamedTuple):
    """How well confidences hold on hits that they were not fitted on.

    Attributes:
      hits, questions: their numbers.
      error: the expected calibration error: the mean distance between confidence and share of
        agreeing hits, over bins of confidence.
      brier: the mean squared distance between confidence and agreement.
      constant: the Brier score of a constant confidence, the share of agreeing hits in fitting.
      curve: for each bin of confidence with hits: the mean confidence, the share that agrees, and
        the number of hits.
    """

    hits: int
    questions: int
    error: float
    brier: float
    constant: float
    curve: list[tuple[float, float, int]]


class Checked(NamedTuple):
    """A table, and how well it holds on questions that it was not fitted on.

    Attributes:
      groups: the same for proteins grouped by similarity to training, and for the taxon that was
        left out of another fit.
    """

    table: Table
    meaning: str
    whole: Reliability | None
    groups: dict[str, Reliability]


def fit_table(question: str, trait: str, hits: Hits) -> Table | None:
    """Fits the table for a kind of question and a trait; None with too few questions or equal hits.

    A logistic regression on cosine and margin orders the hits. Bins between `QUANTILES` get their
    shares; neighbouring bins are joined until the shares rise by more than chance (`joined`), as
    in pooling adjacent violators.
    """
    if why_no_table(hits):
        return None
    weights = logistic_weights(np.stack([hits.cosines, hits.margins], axis=1), hits.agrees)
    scores = weights[0] * hits.cosines + weights[1] * hits.margins
    edges = np.unique(np.quantile(scores, QUANTILES))
    places = np.searchsorted(edges, scores, side="right")
    groups = joined([np.flatnonzero(places == place) for place in range(len(edges) + 1)], hits)
    shares = [float(hits.agrees[group].mean()) for group in groups]
    counts = [len(np.unique(hits.questions[group])) for group in groups]
    sizes = [effective_questions(hits.questions[group]) for group in groups]
    thresholds = tuple(float(scores[group].min()) for group in groups[1:])
    lower = tuple(lower_end(share, size) for share, size in zip(shares, sizes, strict=True))
    return Table(
        question,
        trait,
        (float(weights[0]), float(weights[1])),
        thresholds,
        tuple(shares),
        lower,
        tuple(counts),
        hits.base_rate,
    )


def why_no_table(hits: Hits) -> str:
    """The reason why no table can be fitted to hits; '' if one can."""
    if (questions := len(np.unique(hits.questions))) < FEWEST_QUESTIONS:
        return f"{questions} questions, but at least {FEWEST_QUESTIONS} are needed"
    return "all hits agree, or none does" if hits.agrees.min() == hits.agrees.max() else ""


def logistic_weights(
    features: Float[np.ndarray, "n 2"], agrees: Bool[np.ndarray, " n"]
) -> Float[np.ndarray, " 2"]:
    """Fits a logistic regression with an intercept by Newton's method.

    A small ridge keeps the weights finite.
    """
    spread = features.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    design = np.concatenate(
        [(features - features.mean(axis=0)) / scale, np.ones((len(features), 1))], axis=1
    )
    weights, ridge = np.zeros(3), RIDGE * len(features) * np.diag([1.0, 1.0, 0.0])
    for _ in range(STEPS):
        odds = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        gradient = design.T @ (odds - agrees) + ridge @ weights
        curvature = (design * (odds * (1 - odds))[:, None]).T @ design + ridge + 1e-9 * np.eye(3)
        step = np.linalg.solve(curvature, gradient)
        weights -= step
        if np.abs(step).max() < 1e-10:
            break
    return weights[:2] / scale


def joined(groups: list[Int[np.ndarray, " _"]], hits: Hits) -> list[Int[np.ndarray, " _"]]:
    """Joins neighbouring groups of hits until their shares rise by more than chance.

    Each group has enough questions, and the lower bound of its share is above the share of the
    group before. So chance alone rarely makes two groups.
    """
    kept: list[np.ndarray] = []
    for group in filter(len, groups):
        kept.append(group)
        while len(kept) > 1 and not _differ(*kept[-2:], hits):
            kept[-2:] = [np.concatenate(kept[-2:])]
    return kept


def _differ(first: np.ndarray, second: np.ndarray, hits: Hits) -> bool:
    counts = [len(np.unique(hits.questions[group])) for group in (first, second)]
    if min(counts) < FEWEST_QUESTIONS:
        return False
    size = effective_questions(hits.questions[second])
    return lower_end(float(hits.agrees[second].mean()), size) > hits.agrees[first].mean()


def effective_questions(questions: Int[np.ndarray, " n"]) -> float:
    """The effective number of questions (Kish 1965), weighted by their hits: (Σ n)² / Σ n²."""
    sizes = np.unique(questions, return_counts=True)[1]
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def lower_end(share: float, count: float) -> float:
    """The lower end of a share's 95 % interval (Wilson 1927) for `count` effective questions.

    Hits of one question are not independent.
    """
    centre = share + NORMAL**2 / (2 * count)
    spread = NORMAL * np.sqrt(share * (1 - share) / count + NORMAL**2 / (4 * count**2))
    return float(max(0.0, (centre - spread) / (1 + NORMAL**2 / count)))


def confidences(table: Table, hits: Hits) -> Float[np.ndarray, " n"]:
    """The confidence of each hit."""
    return np.array(table.shares)[table.bins(hits.cosines, hits.margins)]


def reliability(table: Table, hits: Hits, *, constant: float) -> Reliability | None:
    """How well a table holds on hits; None without hits.

    Args:
      constant: the share of agreeing hits in fitting.
    """
    if not len(hits.agrees):
        return None
    sure, agrees = confidences(table, hits), hits.agrees.astype(float)
    places = np.minimum((sure * BINS).astype(int), BINS - 1)
    members = [places == place for place in range(BINS)]
    curve = [
        (float(sure[some].mean()), float(agrees[some].mean()), int(some.sum()))
        for some in members
        if some.any()
    ]
    error = sum(count * abs(mean - share) for mean, share, count in curve) / len(agrees)
    return Reliability(
        len(agrees),
        len(np.unique(hits.questions)),
        float(error),
        float(np.mean((sure - agrees) ** 2)),
        float(np.mean((constant - agrees) ** 2)),
        curve,
    )
