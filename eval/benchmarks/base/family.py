"""What a family of public benchmarks is: all its facts, and how it measures a model."""

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
        """For each clean sequence a score for each of its variants."""


class Measured(NamedTuple):
    """What a family says of a benchmark.

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
    """A model as families see it, and how it is to be measured.

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
    """A family of public benchmarks, measured in one way.

    Attributes:
      name: in results and of its file in configs/eval, if it has one.
      title: its heading in report.md.
      benchmarks: those that belong to it.
      protocol: how it measures, in words; "" where that is the setup's protocol.
      published: numbers that others reported of them, each with its protocol.
      sizes: of the published data sets; of a benchmark that is not here the size is not known.
      fields: every field of configs/eval/NAME.py and what it may be; empty if it has no such file.
      following: changes of that config that make it cheap in training, such as `draws=3`.
      too_long: why it cannot be followed in training, as a verb; "" if it can.
      beyond_vectors: what it needs beside one vector for each protein; "" if that is enough.
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
        """The result of a benchmark on its data.

        Raises:
          MissingData: the data lack what the benchmark asks for.
          UserError: the data or the config do not fit.
        """

    @abc.abstractmethod
    def counts(self, data: Data) -> dict[str, int]:
        """The size of the data in the terms of `sizes`."""

    @abc.abstractmethod
    def audit(self, data: Data) -> dict:
        """What is odd about the data, counted and fit for JSON."""

    def accepted(self, benchmark: Benchmark, data: Data) -> Data:
        """What an importer gave, completed by what is known of the benchmark.

        Raises:
          UserError: there is nothing in it to measure on.
        """
        del benchmark
        return data

    def proteins(self, data: Data) -> Sequence[str]:
        """The sequences that are counted as seen in pretraining or not; () where `measure`
        counts those of the test split."""
        del data
        return ()

    def parts(self, data: Data) -> tuple[Data, ...]:
        """The data sets in the data, each with its `sources`, `rejects` and `notes`."""
        return (data,)

    def joined(self, parts: Sequence[Data]) -> Data:
        """The reverse of `parts`."""
        (data,) = parts
        return data

    def limited(self, name: str, data: Data, limit: int) -> Data:
        """The data of a benchmark with at most so many proteins in each split.

        Raises:
          UserError: the data have no splits of proteins.
        """
        raise UserError(f"limit means nothing for {name}; it is for benchmarks of single proteins.")

    def figures(self, measured: Sequence[Mapping]) -> dict[str, Figure]:
        """Figures of its own, by name, from the results of all benchmarks that were measured."""
        del measured
        return {}
