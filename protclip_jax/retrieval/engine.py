"""`SearchEngine`: a model with an index of proteins and libraries of labels, which answers
questions in either modality."""

import functools
import itertools
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow
from jaxtyping import Float32, Int64

from data_pipelines.common.errors import UserError
from data_pipelines.common.hashing import hash64
from data_pipelines.common.progress import progress
from data_pipelines.common.unique_ids import UniqueIds
from data_pipelines.inputs.labels import LabelSource
from protclip_jax.checkpoints import best
from protclip_jax.convert.hub_folder import open_checkpoint
from protclip_jax.inference.prefixes import first_dimensions
from protclip_jax.inference.protclip import ProtCLIP
from protclip_jax.inference.windows import DEFAULT_WINDOWS, Windows
from protclip_jax.retrieval import item_table
from protclip_jax.retrieval.answer import Answer, Hit
from protclip_jax.retrieval.calibration import FILE, Calibration, read_calibration, stale_sentence
from protclip_jax.retrieval.hit_items import hit_fields, shown_columns
from protclip_jax.retrieval.homology import Homology
from protclip_jax.retrieval.index_folder import Index, open_index, refuse_other_model
from protclip_jax.retrieval.judgement import judged
from protclip_jax.retrieval.lookup import look_up
from protclip_jax.retrieval.nearest import unit_rows
from protclip_jax.retrieval.query import Query, protein_query
from protclip_jax.retrieval.scores import background_rows, cosines_with
from protclip_jax.retrieval.vector_parts import VectorParts

TOP = 10
QUERIES_AT_ONCE = 256
PROTEINS = "proteins"
"""What an index of proteins is called among the aspects of an answer; libraries have names of
their own."""


class SearchEngine:
    """A model and what it searches; `SearchEngine.load` opens all of it.

    Attributes:
      model: a `ProtCLIP`.
      proteins: the index of proteins, None without one.
      libraries: name → index of labels.
      calibration: of the checkpoint; without one, that of an index serves its own answers.
      homology: hits of a sequence search to the proteins, which answers of proteins by their id
        combine with the model's (`retrieval.homology` says how); None without.
      batch_tokens: of one call of the model, as `ProtCLIP` takes it.
    """

    def __init__(
        self,
        model: ProtCLIP,
        proteins: Index | None,
        libraries: Mapping[str, Index],
        calibration: Calibration | None = None,
    ):
        self.model, self.proteins, self.libraries = model, proteins, dict(libraries)
        self.calibration = calibration
        self.homology: Homology | None = None
        self.batch_tokens: int | None = None

    @classmethod
    def load(
        cls,
        checkpoint: str | Path,
        *,
        index: str | Path | None = None,
        labels: Sequence[str | Path] = (),
        step: str | int | None = None,
        dtype: str = "float32",
        hits: str | Path | None = None,
    ) -> Self:
        """Opens a checkpoint, an index of proteins, and libraries of labels: index folders, or
        files, which are embedded now.

        Args:
          hits: a file of MMseqs2 or BLAST (`readers.hits`), of hits to the index's proteins.

        Raises:
          UserError: one of them cannot be read, or an index was made with other parameters than
            the checkpoint's.
        """
        checkpoint = open_checkpoint(checkpoint, step)
        step = best.resolve_step(checkpoint, step)
        # What is wrong with an index is told before the model takes its time to load.
        proteins = _opened(Path(index), "protein") if index else None
        homology = _homology(Path(hits), proteins) if hits else None
        folders = {_library_name(path): Path(path) for path in labels}
        if len(folders) < len(labels):
            names = [_library_name(path) for path in labels]
            twice = next(name for name in names if names.count(name) > 1)
            raise UserError(f"two --labels have the same name '{twice}'; rename one of them.")
        if proteins is not None and PROTEINS in folders:
            raise UserError(f"a library of labels cannot be called {PROTEINS}; rename it.")
        libraries = {
            name: _opened(path, "label") for name, path in folders.items() if path.is_dir()
        }
        model = ProtCLIP.load(checkpoint, step=step, dtype=dtype)
        for opened in [*([proteins] if proteins else []), *libraries.values()]:
            refuse_other_model(opened.manifest, model, folder=opened.folder, step=step)
        read = {
            name: libraries.get(name) or embed_labels(model, path) for name, path in folders.items()
        }
        engine = cls(model, proteins, read, own_calibration(Path(checkpoint), model))
        engine.homology = homology
        return engine

    @property
    def aspects(self) -> dict[str, Index]:
        """What a question is asked of, each ranked by itself: the proteins, then each library."""
        proteins = {} if self.proteins is None else {PROTEINS: self.proteins}
        return proteins | self.libraries

    @property
    def windows(self) -> Windows:
        """How long proteins are read: as those of the index were."""
        if self.proteins is None:
            return DEFAULT_WINDOWS
        return windows_of(self.proteins.manifest["encoding"])

    def cut(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is longer than the model reads."""
        if self.model.text_tokenizer is None:
            return [False] * len(texts)
        limit = self.model.config["tokenizer"]["max_text_tokens"]
        return [
            self.model.text_tokenizer.encode(text, max_tokens=limit + 1).size > limit
            for text in texts
        ]

    def unknown_words(self, texts: Sequence[str]) -> list[str]:
        """The words of texts that the model's vocabulary lacks.

        Raises:
          UserError: it lacks every word of one of the texts.
        """
        tokenizer = self.model.text_tokenizer
        if tokenizer is None:
            return []
        for text in texts:
            if tokenizer.is_unknown(text):
                raise UserError(
                    f"the model's vocabulary has no word of {text[:100]!r}; ask in other words."
                )
        return list(
            dict.fromkeys(itertools.chain.from_iterable(map(tokenizer.unknown_words, texts)))
        )

    def embed(self, queries: Sequence[Query]) -> Float32[np.ndarray, "q d"]:
        """Unit-norm embeddings of queries; prompts of a text are averaged and normalised, as
        `ProtCLIP.zero_shot` does."""
        vectors = np.zeros((len(queries), self.model.config["model"]["projection_dim"]), np.float32)
        of_kind = {
            kind: [i for i, query in enumerate(queries) if query.kind == kind]
            for kind in ("protein", "text")
        }
        if chosen := of_kind["protein"]:
            sequences = [queries[i].contents[0] for i in chosen]
            vectors[chosen] = self.model.encode_proteins(
                sequences, windows=self.windows, batch_tokens=self.batch_tokens
            )
        if chosen := of_kind["text"]:
            texts = [text for i in chosen for text in queries[i].contents]
            prompts = self.model.encode_texts(texts, batch_tokens=self.batch_tokens)
            ends = np.cumsum([len(queries[i].contents) for i in chosen])
            vectors[chosen] = [_averaged(some) for some in np.split(prompts, ends[:-1])]
        return vectors

    def find(
        self,
        index: Index,
        vectors: Float32[np.ndarray, "q d"],
        top: int = TOP,
        *,
        among: Int64[np.ndarray, " m"] | None = None,
    ) -> list[Answer]:
        """The best items of an index for each embedded query, which is cut to the dimensions that
        the index keeps.

        Args:
          among: the rows that may be found (`rows_of_taxa`); None allows all.
        """
        vectors = first_dimensions(vectors, index.vectors.width)
        found = index.search(vectors, top, among=among)
        means = cosines_with(vectors, index.background).mean(1)
        shown, is_calibrated = (
            shown_columns(index.items),
            bool(self.calibration or index.calibration),
        )
        answers = []
        for scores, rows, mean in zip(found.scores, found.rows, means.tolist(), strict=True):
            # One by one: Arrow's `take` would put all the parts of an index together first.
            fields = [hit_fields(shown, row) for row in rows.tolist() if row >= 0]
            hits = [
                Hit(rank, int(row), cosine=float(score), margin=float(score) - mean, **known)
                for rank, (row, score, known) in enumerate(
                    zip(rows, scores, fields, strict=False), 1
                )
            ]
            answers.append(Answer(hits, mean, len(index.background), is_calibrated=is_calibrated))
        return answers

    def answers(
        self,
        index: Index,
        queries: Sequence[Query],
        vectors: Float32[np.ndarray, "q d"],
        top: int = TOP,
        *,
        among: Int64[np.ndarray, " m"] | None = None,
    ) -> list[Answer]:
        """As `find`, with how sure each hit is, and what homology says of proteins by their
        name."""
        found = self.find(index, vectors, top, among=among)
        kept = first_dimensions(vectors, index.vectors.width)
        # A table was measured with whole embeddings.
        is_whole = index.vectors.width == vectors.shape[1]
        calibration = (self.calibration or index.calibration) if is_whole else None
        items = len(index) if among is None else len(among)
        answered = [
            judged(answer, query, vector, index=index, items=items, calibration=calibration)
            for answer, query, vector in zip(found, queries, kept, strict=True)
        ]
        if self.homology is None:
            return answered
        combine = functools.partial(self.homology.combined, index=index, top=top, among=among)
        return [
            combine(answer, query.name, vector=vector) if query.kind == "protein" else answer
            for answer, query, vector in zip(answered, queries, kept, strict=True)
        ]

    def matches(
        self,
        index: Index,
        query: Query,
        top: int = TOP,
        *,
        among: Int64[np.ndarray, " m"] | None = None,
    ) -> list[Hit]:
        """The items that a query's text names (`look_up`); none for a query in which nothing is
        to be looked up."""
        found = look_up(index.items, query.typed, top=top, among=among)
        shown = shown_columns(index.items)
        return [
            Hit(rank, match.row, by=match.by, **hit_fields(shown, match.row))
            for rank, match in enumerate(found, 1)
        ]

    def ask_texts(self, prompts: Sequence[str], *, top: int = TOP) -> list[Hit]:
        """The proteins nearest to a text, or to the mean of several prompts for the same
        question."""
        return self._ask(Query("text", "text", tuple(prompts)), self._protein_index(), top)

    def ask_protein(self, sequence: str, *, top: int = TOP) -> list[Hit]:
        """The proteins nearest to a protein; itself included where the index has it."""
        return self._ask(_checked(sequence), self._protein_index(), top)

    def ask_proteins(
        self, proteins: Mapping[str, str], *, top: int = TOP
    ) -> Iterator[tuple[str, Answer]]:
        """Each protein's id with its answer from the index, in their order, with progress on
        stderr; answers come while others are still embedded.

        Args:
          proteins: sequence by id.

        Raises:
          UserError: a sequence is no protein, or there is no index; before anything is embedded.
        """
        index = self._protein_index()
        queries = [_checked(sequence, name=name) for name, sequence in proteins.items()]
        return self._answered(queries, index, top)

    def _answered(
        self, queries: Sequence[Query], index: Index, top: int
    ) -> Iterator[tuple[str, Answer]]:
        with progress(description="search", unit="proteins", total=len(queries)) as bar:
            for start in range(0, len(queries), QUERIES_AT_ONCE):
                some = queries[start : start + QUERIES_AT_ONCE]
                found = self.answers(index, some, self.embed(some), top)
                bar.update(len(some))
                yield from zip((query.name for query in some), found, strict=True)

    def describe(self, sequence: str, *, library: str | None = None, top: int = TOP) -> list[Hit]:
        """The labels nearest to a protein, of the library of that name or the only one."""
        if library is None and len(self.libraries) == 1:
            library = next(iter(self.libraries))
        if library not in self.libraries:
            raise UserError(
                f"there is no library of labels {library or ''}; there are: "
                f"{', '.join(self.libraries) or 'none'}."
            )
        return self._ask(_checked(sequence), self.libraries[library], top)

    def _ask(self, query: Query, index: Index, top: int) -> list[Hit]:
        return self.answers(index, [query], self.embed([query]), top)[0].hits

    def _protein_index(self) -> Index:
        if self.proteins is None:
            raise UserError(
                "there is no index of proteins to search; give one, made with `python -m "
                "protclip_jax.index`."
            )
        return self.proteins


def windows_of(encoding: Mapping) -> Windows:
    """How long proteins were read, by the `encoding` of an index's manifest."""
    return Windows(encoding["long_proteins"], encoding["max_residues"], encoding["overlap"])


def own_calibration(checkpoint: Path, model: ProtCLIP) -> Calibration | None:
    """The calibration in a checkpoint's folder; None, with a warning where there is one, unless
    it is of these parameters."""
    calibration = read_calibration(checkpoint / FILE)
    if calibration is not None and not model.is_named_by(calibration.checkpoint):
        warnings.warn(stale_sentence(checkpoint / FILE), stacklevel=2)
        return None
    return calibration


def embed_labels(model: ProtCLIP, path: Path) -> Index:
    """An index of a file of labels in memory; warns of those that cannot be used."""
    source = LabelSource(path=path)
    found = list(source.labels())
    labels = [label for label in found if label.prompts]
    if not labels:
        raise UserError(f"{path} holds no label that can be used.")
    for note in source.notes():
        warnings.warn(f"{path}: {note}", stacklevel=2)
    if faults := Counter(label.fault for label in found if not label.prompts):
        message = ", ".join(f"{count} × {fault}" for fault, count in faults.items())
        warnings.warn(
            f"{faults.total()} of {len(found)} labels in {path} are left out: {message}.",
            stacklevel=2,
        )
    prompts = model.encode_texts([prompt for label in labels for prompt in label.prompts])
    ends = np.cumsum([len(label.prompts) for label in labels])
    vectors = VectorParts([np.stack([_averaged(some) for some in np.split(prompts, ends[:-1])])])
    # As an index of the file names them.
    ids = UniqueIds(np.array([hash64(label.id) for label in labels], np.uint64))
    rows = [
        item_table.label_item(
            ids.unique(label.id), name=label.name, source=path.name, prompts=label.prompts
        )
        for label in labels
    ]
    items = pyarrow.Table.from_batches([item_table.record_batch(rows, item_table.SCHEMAS["label"])])
    manifest = {
        "modality": "label",
        "checkpoint": model.fingerprint,
        "count": len(labels),
        "step": None,
    }
    return Index(
        path,
        manifest,
        vectors,
        items,
        vectors.take(background_rows(item_table.id_hashes(items))),
        None,
    )


def _averaged(prompts: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, " d"]:
    """The normalised mean; a single prompt as it is, to the last bit."""
    return prompts[0] if len(prompts) == 1 else unit_rows([prompts.mean(0)])[0]


def _homology(hits: Path, proteins: Index | None) -> Homology:
    if proteins is None:
        raise UserError(f"{hits} has hits to proteins; give the index of these proteins too.")
    return Homology.read(hits, proteins)


def _opened(folder: Path, modality: str) -> Index:
    index = open_index(folder)
    if index.manifest["modality"] != modality:
        option = "--index" if index.manifest["modality"] == "protein" else "--labels"
        raise UserError(
            f"{folder} is an index of {index.manifest['modality']}s; give it as {option}."
        )
    return index


def _library_name(path: str | Path) -> str:
    """`enzyme` for `data/enzyme.dat.gz` and for the index folder `enzyme.labels`."""
    name = Path(path).absolute().name.removesuffix(".gz")
    return name.rpartition(".")[0] or name


def _checked(sequence: str, *, name: str = "") -> Query:
    try:
        return protein_query(name, sequence)[0]
    except ValueError as error:
        which = f"the sequence {name}" if name else "the sequence"
        raise UserError(f"{which} is no protein: {error}.") from error
