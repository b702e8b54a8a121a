"""The interface of a family of public benchmarks: its facts, and how it measures a model."""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float32
from matplotlib.figure import Figure
from ml_collections import ConfigDict

from data_pipelines.common.errors import UserError
from data_pipelines.common.settings import Kind
from data_pipelines.inputs.substitutions import Variant
from eval.data.base.benchmark import Benchmark
from eval.data.base.pretraining import PretrainingSet
from eval.data.base.published import DataSize, Published
from eval.data.base.task import Data
from eval.protocols.problem import Features, FittingProtocol


class VariantScorer(Protocol):
    """The part of `protclip_jax.inference.ProtCLIP` that scores variants."""

    def __call__(
        self, sequences: Sequence[str], variants: Sequence[Sequence[Variant]], *, method: str
    ) -> list[Float32[np.ndarray, " _"]]:
        """For each clean sequence, one score per variant."""


class Measured(NamedTuple):
    """A family's result on one benchmark.

    Attributes:
      result: everything for report.json; `controls` and `notes` in it are shown in report.md.
      headline: the numbers to compare: metric → `mean`, `std` over seeds, 95 % `interval`;
        undefined ones are None. Test proteins of the pretraining are left out.
      with_seen: the same with these proteins, if there are any; else empty.
    """

    result: dict
    headline: dict[str, dict]
    with_seen: Mapping[str, dict] = MappingProxyType({})


@dataclasses.dataclass(frozen=True)
class Setup:
    """A model as families see it, and how to measure it.

    Attributes:
      embed: sequences to the mean of the protein tower's residue vectors.
      project: sequences to unit-norm embeddings in the space shared with text.
      texts: texts to embeddings in that space.
      text_means: texts to the mean of the text tower's token vectors, without a projection.
      variants: proteins and their variants to scores of the masked language model.
      protocol: how heads are learnt.
      splits: the config's for it.
      controls: the protocols beside it.
      configs: hyper-parameters, by the names of the files in configs/eval.
      pretraining: what the model has learnt from, None where that is not known.
      shared: by family, the last data whose result serves several benchmarks, and that result.
    """

    embed: Features
    project: Features
    texts: Features
    text_means: Features
    variants: VariantScorer
    protocol: FittingProtocol
    splits: Mapping
    controls: Sequence[FittingProtocol]
    configs: Mapping[str, ConfigDict]
    pretraining: PretrainingSet | None = None
    shared: dict[str, tuple[Data, dict]] = dataclasses.field(default_factory=dict)


class BenchmarkFamily(abc.ABC):
    """A family of public benchmarks that are measured in the same way.

    Attributes:
      name: its name in results and of its file in configs/eval, if it has one.
      title: its heading in report.md.
      benchmarks: its benchmarks.
      protocol: how it measures, in words; "" if that is the setup's protocol.
      published: numbers reported by others, each with its protocol.
      sizes: of the published data sets; a missing benchmark's size is unknown.
      fields: every field of configs/eval/NAME.py and its allowed values; empty without such a file.
      following: changes of that config that make it cheap in training, such as `draws=3`.
      too_long: why it cannot be followed in training, as a verb; "" if it can.
      beyond_vectors: what it needs besides one vector per protein; "" if nothing.
      captions: of its own figures, by name.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    benchmarks: ClassVar[tuple[Benchmark, ...]]
    protocol: ClassVar[str] = ""
    published: ClassVar[tuple[Published, ...]] = ()
    sizes: ClassVar[tuple[DataSize, ...]] = ()
    fields: ClassVar[Mapping[str, Kind]] = {}
    following: ClassVar[tuple[str, ...]] = ()
    too_long: ClassVar[str] = ""
    beyond_vectors: ClassVar[str] = ""
    captions: ClassVar[Mapping[str, str]] = {}

    @abc.abstractmethod
    def measure(self, setup: Setup, name: str, data: Data) -> Measured:
        """Measures a benchmark on its data.

        Raises:
          MissingData: the data lack what the benchmark asks for.
          UserError: the data or the config do not fit.
        """

    @abc.abstractmethod
    def counts(self, data: Data) -> dict[str, int]:
        """The sizes of the data, in the terms of `sizes`."""

    @abc.abstractmethod
    def audit(self, data: Data) -> dict:
        """Counts what is odd about the data, as JSON values."""

    def accepted(self, benchmark: Benchmark, data: Data) -> Data:
        """Completes what an importer read with the facts about the benchmark.

        Raises:
          UserError: nothing is left to measure on.
        """
        del benchmark
        return data

    def proteins(self, data: Data) -> Sequence[str]:
        """The sequences to look up in pretraining; () if `measure` checks the test split."""
        del data
        return ()

    def parts(self, data: Data) -> tuple[Data, ...]:
        """The data sets in the data, each with its `sources`, `rejects` and `notes`."""
        return (data,)

    def joined(self, parts: Sequence[Data]) -> Data:
        """Puts `parts` back together."""
        (data,) = parts
        return data

    def limited(self, name: str, data: Data, limit: int) -> Data:
        """Keeps at most `limit` proteins in each split.

        Raises:
          UserError: the data have no splits of proteins.
        """
        raise UserError(
            f"{name} does not support limit, which is for benchmarks of single proteins; remove it."
        )

    def figures(self, measured: Sequence[Mapping]) -> dict[str, Figure]:
        """The family's own figures, by name, from the results of all measured benchmarks."""
        del measured
        return {}
