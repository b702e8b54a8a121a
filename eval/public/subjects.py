"""What benchmarks measure: a checkpoint's model, or a file with one vector per protein."""

import functools
import pathlib
from collections.abc import Sequence
from typing import NamedTuple, NoReturn, Protocol

from data_pipelines.common.errors import UserError
from eval.benchmarks.base.family import BenchmarkFamily, VariantScorer
from eval.data.base.proteins import proteins_of
from eval.data.base.task import Data
from eval.protocols.embedding_cache import CachedEmbedder
from eval.protocols.problem import Features
from eval.public.vector_file import VectorFile
from protclip_jax.inference.protclip import ProtCLIP


class View(NamedTuple):
    """A subject as families see it; the fields are those of `Setup`."""

    embed: Features
    project: Features
    texts: Features
    text_means: Features
    variants: VariantScorer


class Subject(Protocol):
    """What is measured.

    Attributes:
      origin: the checkpoint or file that it came from.
      step: of the checkpoint; 0 of a file.
      fingerprint: changes with any of its numbers.
    """

    origin: pathlib.Path
    step: int
    fingerprint: str

    @property
    def reading(self) -> list:
        """What changes results while the fingerprint stays; fit for JSON."""

    def lacks(self, family: BenchmarkFamily) -> str:
        """What the family asks for and the subject does not have, "" if it has all."""

    def view(self, family: BenchmarkFamily, data: Data) -> View:
        """The subject for a benchmark's data.

        Raises:
          UserError: it does not know a protein of the data.
        """

    def notes(self, family: BenchmarkFamily, data: Data) -> list[str]:
        """What a report must say of how the data's proteins were found."""


class CheckpointModel:
    """The model of a checkpoint, with its embeddings kept in a folder."""

    def __init__(self, model: ProtCLIP, checkpoint: pathlib.Path, step: int, cache: pathlib.Path):
        self.origin, self.step, self.fingerprint = checkpoint, step, model.fingerprint
        self._model, self._cache = model, cache

    @property
    def reading(self) -> list:
        """The same parameters read other numbers from texts that are tokenized otherwise."""
        tokenizer = self._model.text_tokenizer
        reads = [self._model.config["model"], self._model.config["tokenizer"]["max_text_tokens"]]
        return reads + ([tokenizer.vocabulary, tokenizer.normalization] if tokenizer else [])

    def lacks(self, family: BenchmarkFamily) -> str:
        """Nothing."""
        del family
        return ""

    def view(self, family: BenchmarkFamily, data: Data) -> View:
        """The same for all data."""
        del family, data
        return self._view

    @functools.cached_property
    def _view(self) -> View:
        embed, project = (
            CachedEmbedder(self._model, self._cache, kind=kind) for kind in ("mean", "projected")
        )
        model = self._model
        return View(
            embed, project, model.encode_texts, model.mean_text_embeddings, model.variant_scores
        )

    def notes(self, family: BenchmarkFamily, data: Data) -> list[str]:
        """None."""
        del family, data
        return []


class ProteinVectors:
    """Vectors of proteins that any program made."""

    step = 0
    reading: Sequence = ()

    def __init__(self, file: VectorFile):
        self.origin, self.fingerprint = file.path, file.fingerprint
        self._file = file

    def lacks(self, family: BenchmarkFamily) -> str:
        """What the family needs beyond one vector per protein."""
        return family.beyond_vectors

    def view(self, family: BenchmarkFamily, data: Data) -> View:
        """The vectors of the data's proteins, all of which the file must have."""
        embed = self._file.embedder(proteins_of(family.parts(data)))
        return View(embed, embed, _absent, _absent, _absent)

    def notes(self, family: BenchmarkFamily, data: Data) -> list[str]:
        """States how many vectors were found by name, so their sequences may differ."""
        proteins = proteins_of(family.parts(data))
        by_name = self._file.find(proteins).by_name
        if not by_name:
            return []
        return [
            f"{by_name:,} of {len(proteins):,} vectors were found by id or accession; their "
            "sequences were not compared."
        ]


def _absent(*_, **__) -> NoReturn:
    raise UserError(
        "a file of protein vectors holds neither texts nor variants; give --checkpoint "
        "instead of --embeddings."
    )
