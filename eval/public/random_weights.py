"""Random weights on public benchmarks: what the same network computes without any training."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from eval.metrics.comparison import holm, paired_p_value
from eval.metrics.resamples import read_resamples
from eval.metrics.statistics import percentile_interval

FOLDER = "random_weights"
"""Below the report's folder: the results of random weights."""
ALPHA = 0.05
"""The probability that any verdict of a report is wrong is at most this."""
SMALLER_IS_BETTER = ("mae", "rmse")
TRAINED, NOISE, RANDOM, NOT_COMPARED = "trained", "within noise", "random weights", "not compared"
VERDICTS = (TRAINED, NOISE, RANDOM, NOT_COMPARED)


def compare(
    results: Mapping[str, Mapping], untrained: Mapping[str, Mapping], output: Path
) -> dict[str, dict]:
    """Adds `random_weights` to each of `Suite.results` that both models have.

    By metric: `mean`, `std` and `interval` of random weights; `difference`, the model's mean minus
    theirs, with the 95 % interval of the paired resamples; its p-value, as it is (`p_value`) and
    corrected for all comparisons of the report (`p_holm`); and which is `better`, one of
    `VERDICTS`.

    Args:
      results, untrained: of the model and of random weights.
      output: the report's folder, with both models' resamples.
    """
    compared = {name: dict(result) for name, result in results.items()}
    values = []
    for name, result in compared.items():
        if "headline" in result and "headline" in untrained[name]:
            result["random_weights"] = dict(_compared(name, result, untrained[name], output))
            values += result["random_weights"].items()
    corrected = holm([value["p_value"] for _, value in values])
    for (metric, value), p_value in zip(values, corrected, strict=True):
        value |= {"p_holm": p_value, "better": better(metric, value["difference"], p_value)}
    return compared


def _compared(
    name: str, result: Mapping, untrained: Mapping, output: Path
) -> Iterator[tuple[str, dict]]:
    first, second = (
        read_resamples(folder / "results" / f"{name}.npz") for folder in (output, output / FOLDER)
    )
    for metric, random in untrained["headline"].items():
        own, drawn = result["headline"][metric]["mean"], f"{metric}/interval"
        difference = math.nan if None in (own, random["mean"]) else own - random["mean"]
        between, p_value = (math.nan, math.nan), math.nan
        if drawn in first and drawn in second:
            between = tuple(percentile_interval(first[drawn].astype(np.float64) - second[drawn]))
            p_value = paired_p_value(difference, first[drawn], second[drawn])
        paired = {"difference": difference, "difference_interval": between, "p_value": p_value}
        yield metric, random | paired


def better(metric: str, difference: float, p_value: float) -> str:
    """Which model is better, one of `VERDICTS`.

    Args:
      difference: the trained model's number minus that of random weights.
      p_value: of the difference, corrected; NaN if there is nothing to compare.
    """
    if math.isnan(p_value):
        return NOT_COMPARED
    if p_value >= ALPHA:
        return NOISE
    return TRAINED if (difference > 0) != (metric in SMALLER_IS_BETTER) else RANDOM
