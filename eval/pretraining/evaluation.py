"""The interface of an evaluation, and of the model that it measures."""

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, NamedTuple, Protocol, Self

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.figure import Figure

from data_pipelines.inputs.substitutions import Variant
from data_pipelines.protanno.record import Record
from eval.pretraining.trained_baselines import TrainedBaselines


class Encoder(Protocol):
    """Embeds proteins and texts in a shared space."""

    def encode_proteins(self, sequences: Sequence[str]) -> Float[np.ndarray, "N D"]:
        """Unit-norm float32 embeddings of sequences."""

    def encode_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "N D"]:
        """Unit-norm float32 embeddings of biotexts."""


class Model(Encoder, Protocol):
    """The part of `protclip_jax.inference.ProtCLIP` that evaluations use."""

    config: Mapping

    def mean_embeddings(self, sequences: Sequence[str]) -> Float[np.ndarray, "N W"]:
        """The mean over residues of the protein tower's vectors."""

    def mean_text_embeddings(self, texts: Sequence[str]) -> Float[np.ndarray, "N T"]:
        """The mean over tokens of the text tower's vectors."""

    def variant_scores(
        self, sequences: Sequence[str], variants: Sequence[Sequence[Variant]], *, method: str
    ) -> list[Float[np.ndarray, " _"]]:
        """Per protein, a masked language model score for each of its variants."""

    def segments_batch(
        self, sequences: Sequence[str], texts: Sequence[Mapping[str, str]]
    ) -> list[Float[np.ndarray, "_ _"]]:
        """Per protein, the PDA weights of its K property texts over its L residues.

        Texts are in dict order; rows sum to 1.
        """

    def losses(self, records: Sequence[Record]) -> dict[str, float]:
        """The training objectives on one global batch, and `total`, their weighted sum."""

    def recover(
        self,
        sequences: Sequence[str],
        masks: Sequence[Bool[np.ndarray, " _"]],
        texts: Sequence[str],
    ) -> list[str]:
        """Per protein, the BSR head's residues at the masked positions, given the biotext."""


class Control(NamedTuple):
    """A second checkpoint to compare with, given on the command line.

    Attributes:
      option: of `python -m eval`, without dashes.
      help: one line about it.
      check: takes its name and config; raises a UserError if the checkpoint is not such a control.
      shared: sections of the checkpoint's config that replace its own.
    """

    option: str
    help: str
    check: Callable[[str, Mapping], None]
    shared: tuple[str, ...] = ()


class Evaluation(abc.ABC):
    """An evaluation whose data are read and random choices made, ready for any number of models.

    The constructor takes a `ProtAnno` and keyword options, which `config.evals` may set. The
    command line passes `split`, `pool` and `max_existence` to the evaluations that take them.

    Attributes:
      name: on the command line and in `config.evals`.
      key: its object in report.json and the prefix of its metric names; by default the name.
      control: a second checkpoint that `report` compares with, None if it takes none.
      compares_transfers: whether `report` reads the `hits` and `untrained` of its baselines.
      captions: of all its figures, by name.
    """

    name: ClassVar[str]
    key: ClassVar[str]
    control: ClassVar[Control | None] = None
    compares_transfers: ClassVar[bool] = False
    captions: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, **arguments) -> None:
        super().__init_subclass__(**arguments)
        if "name" in vars(cls) and "key" not in vars(cls):
            cls.key = cls.name

    @classmethod
    def reads_control(cls, option: str) -> bool:
        """Whether `report` compares with the checkpoint of that option."""
        return cls.control is not None and cls.control.option == option

    @abc.abstractmethod
    def metrics(self, model: Model) -> dict[str, float]:
        """The few numbers worth following during training, by name without the key."""

    @abc.abstractmethod
    def report(
        self, model: Model, *, control: Model | None, baselines: TrainedBaselines | None = None
    ) -> dict:
        """The contents for report.json: numbers, intervals, baselines and controls.

        Undefined values are NaN or None.

        Args:
          control: the model of the checkpoint that the class attribute `control` asks for, or None.
          baselines: those trained on the dataset; None leaves them out.
        """

    @staticmethod
    @abc.abstractmethod
    def markdown(result: dict) -> str:
        """The section of report.md about `report`'s result: a heading, tables, definitions."""

    def figures(self, model: Model) -> dict[str, Figure]:
        """Figures of this evaluation by file name without suffix."""
        return {}

    @classmethod
    def training_figures(
        cls,
        logged: Sequence[Mapping],
        followed: Callable[[], Self | None],
        baselines: TrainedBaselines | None = None,
    ) -> dict[str, Figure | None]:
        """Figures of what a training run logged for this evaluation; None if numbers are missing.

        Args:
          logged: the lines of metrics.jsonl; this evaluation's numbers are `eval/KEY/…`.
          followed: makes the evaluation as the run followed it; None if its data are not available.
          baselines: those trained on the dataset; None leaves them out.
        """
        del logged, followed, baselines
        return {}
