"""What an evaluation is, and what it may ask of a model."""

import abc
from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.figure import Figure


class Model(Protocol):
    """The part of `protclip_jax.inference.ProtCLIP` that evaluations use."""

    config: Mapping

    def encode_proteins(self, sequences: Sequence[str]) -> Float[np.ndarray, "N D"]:
        """Unit-norm float32 embeddings of sequences."""

    def mean_embeddings(self, sequences: Sequence[str]) -> Float[np.ndarray, "N W"]:
        """The mean over residues of the protein tower's vectors."""

    def encode_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "N D"]:
        """Unit-norm float32 embeddings of biotexts."""

    def segments_batch(self, sequences: Sequence[str], texts: Sequence[Mapping[str, str]]) -> list[Float[np.ndarray, "K L"]]:
        """Per protein, the PDA weights of its K property texts (in dict order) over its L residues; rows sum to 1."""

    def recover(self, sequences: Sequence[str], masks: Sequence[Bool[np.ndarray, " L"]], texts: Sequence[str]) -> list[str]:
        """Per protein, the residues that the BSR head predicts at the masked positions beside the biotext, in order."""


class Evaluation(abc.ABC):
    """One evaluation with its data read and its random choices made, ready for any number of models.

    The constructor takes a `ProtAnno` and keyword options, which are what `config.evals` may set.
    """

    key: ClassVar[str]
    """The object in report.json, and what stands before the slash of metric names."""

    @abc.abstractmethod
    def metrics(self, model: Model) -> dict[str, float]:
        """The few numbers worth following during training, by name without the key."""

    @abc.abstractmethod
    def report(self, model: Model, *, control: Model | None) -> dict:
        """Everything for report.json: numbers, intervals, baselines and controls; what is undefined is NaN or None.

        `control` is a model trained without property alignment (loss.pda = 0), if there is one.
        """

    @staticmethod
    @abc.abstractmethod
    def markdown(result: dict) -> str:
        """The section of report.md on what `report` returned: a heading, tables, and definitions."""

    def figures(self, model: Model) -> dict[str, Figure]:
        """Figures of this evaluation by file name without suffix."""
        return {}
