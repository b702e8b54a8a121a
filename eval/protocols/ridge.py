"""Ridge regression on k-mers: what a benchmark yields without any learnt representation."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Float32

from eval.protocols.heads import Scale
from eval.protocols.problem import Features, Fitted, Problem
from eval.protocols.sequence_features import kmer_frequencies

PENALTIES = tuple(10.0**exponent for exponent in range(-4, 4))
ROWS_AT_ONCE = 4096


class Ridge:
    """The protocol: a linear map from features to targets, its penalty chosen on validation.

    A class is a target of 0 and 1, so the outputs rank classes and proteins as logits do.
    """

    name = "k-mer ridge"

    def __init__(self, features: Features = kmer_frequencies):
        self._features = features

    def __call__(self, problem: Problem) -> Fitted:
        """Fits train once for each of `PENALTIES`; predicts valid and test with the best."""
        x = {
            split: self._features(problem.sequences(split)) for split in ("train", "valid", "test")
        }
        targets, valid_targets = problem.targets("train"), problem.targets("valid")
        scale = Scale.of(targets)
        y = (
            np.eye(problem.classes)[targets]
            if problem.kind == "multiclass"
            else scale.standardise(targets)
        )
        maps = ridge_maps(x["train"], y.reshape(len(y), -1), PENALTIES)
        judged = [
            problem.score(scale.restore(_apply(fitted, x["valid"])), valid_targets)
            for fitted in maps
        ]
        best = int(np.argmax(np.where(np.isnan(judged), -np.inf, judged)))
        outputs = {
            split: scale.restore(_apply(maps[best], x[split]))[None] for split in ("valid", "test")
        }
        return Fitted(
            outputs,
            {
                "penalty": PENALTIES[best],
                "best_valid": [judged[best]],
                "features": x["train"].shape[1],
            },
        )


def ridge_maps(
    x: Float32[np.ndarray, "n D"],
    y: Float[np.ndarray, "n C"] | Bool[np.ndarray, "n C"],
    penalties: Sequence[float],
) -> list[tuple[Float[np.ndarray, "D C"], Float[np.ndarray, " C"]]]:
    """For each penalty λ, the weights B and offset b that minimise ‖x·B + b − y‖² + λ‖B‖².

    b is not penalised. With centred x and y, B = (xᵀx + λ)⁻¹ xᵀy = xᵀ (xxᵀ + λ)⁻¹ y; one
    eigendecomposition of the smaller of the two products serves all penalties. float64 throughout.
    """
    x_mean, y_mean = x.mean(0, dtype=np.float64), y.mean(0, dtype=np.float64)
    if len(x) < x.shape[1]:
        centred = x - x_mean
        eigenvalues, basis = np.linalg.eigh(centred @ centred.T)
        left, rotated = centred.T @ basis, basis.T @ (y - y_mean)
    else:
        gram, moments = np.zeros((x.shape[1],) * 2), np.zeros((x.shape[1], y.shape[1]))
        for start in range(0, len(x), ROWS_AT_ONCE):
            part = x[start : start + ROWS_AT_ONCE] - x_mean
            gram += part.T @ part
            moments += part.T @ (y[start : start + ROWS_AT_ONCE] - y_mean)
        eigenvalues, left = np.linalg.eigh(gram)
        rotated = left.T @ moments
    weights = [
        left @ (rotated / (np.maximum(eigenvalues, 0) + penalty)[:, None]) for penalty in penalties
    ]
    return [(of_penalty, y_mean - x_mean @ of_penalty) for of_penalty in weights]


def _apply(
    fitted: tuple[np.ndarray, np.ndarray], x: Float32[np.ndarray, "n D"]
) -> Float32[np.ndarray, "n C"]:
    weights, offset = fitted
    return (x @ weights.astype(np.float32) + offset).astype(np.float32)
