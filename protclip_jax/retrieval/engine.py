"""`SearchEngine`: searches proteins and labels with text or protein queries."""

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
from protclip_jax.retrieval.judgement import with_confidence
from protclip_jax.retrieval.lookup import look_up
from protclip_jax.retrieval.nearest import unit_rows
from protclip_jax.retrieval.query import Query, protein_query
from protclip_jax.retrieval.scores import background_rows, cosines_with
from protclip_jax.retrieval.vector_parts import VectorParts

TOP = 10
QUERIES_AT_ONCE = 256
PROTEINS = "proteins"
"""The aspect name of the index of proteins; libraries of labels have their own names."""


class SearchEngine:
    """A model with the indexes it searches; `SearchEngine.load` opens them.

    Attributes:
      model: a `ProtCLIP`.
      proteins: the index of proteins, or None.
      libraries: maps names to indexes of labels.
      calibration: the checkpoint's calibration; if None, each index uses its own copy.
      homology: sequence search hits to the proteins of the index, or None. Answers for proteins
        with a known id combine them with the model's hits (see `retrieval.homology`).
      batch_tokens: number of tokens per call of the model, as in `ProtCLIP`.
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
        """Opens a checkpoint, an index of proteins and libraries of labels.

        Args:
          labels: index folders, or files of labels, which are embedded on load.
          hits: MMseqs2 or BLAST output (`readers.hits`) with hits to the proteins of the index.

        Raises:
          UserError: one of them cannot be read, or an index was made with parameters other than
            the checkpoint's.
        """
        checkpoint = open_checkpoint(checkpoint, step)
        step = best.resolve_step(checkpoint, step)
        # Report a faulty index before the slow loading of the model.
        proteins = _opened(Path(index), "protein") if index else None
        homology = _homology(Path(hits), proteins) if hits else None
        folders = {_library_name(path): Path(path) for path in labels}
        if len(folders) < len(labels):
            names = [_library_name(path) for path in labels]
            twice = next(name for name in names if names.count(name) > 1)
            raise UserError(f"two --labels have the same name '{twice}'; rename one of them.")
        if proteins is not None and PROTEINS in folders:
            raise UserError(f"a library of labels cannot be named {PROTEINS}; rename it.")
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
        """The indexes by name: proteins, then libraries. Each has its own ranking of hits."""
        proteins = {} if self.proteins is None else {PROTEINS: self.proteins}
        return proteins | self.libraries

    @property
    def windows(self) -> Windows:
        """The windows for long proteins: those of the index of proteins, or the default."""
        if self.proteins is None:
            return DEFAULT_WINDOWS
        return windows_of(self.proteins.manifest["encoding"])

    def cut(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is longer than the model's maximum, so that its end is cut off."""
        if self.model.text_tokenizer is None:
            return [False] * len(texts)
        limit = self.model.config["tokenizer"]["max_text_tokens"]
        return [
            self.model.text_tokenizer.encode(text, max_tokens=limit + 1).size > limit
            for text in texts
        ]

    def unknown_words(self, texts: Sequence[str]) -> list[str]:
        """The words of the texts that are not in the model's vocabulary.

        Raises:
          UserError: the vocabulary has none of the words of a text.
        """
        tokenizer = self.model.text_tokenizer
        if tokenizer is None:
            return []
        for text in texts:
            if tokenizer.is_unknown(text):
                raise UserError(
                    f"the model's vocabulary has none of the words in {text[:100]!r}; rephrase it."
                )
        return list(
            dict.fromkeys(itertools.chain.from_iterable(map(tokenizer.unknown_words, texts)))
        )

    def embed(self, queries: Sequence[Query]) -> Float32[np.ndarray, "q d"]:
        """Computes unit-norm embeddings of queries.

        The prompts of a text query are averaged and normalised, as in `ProtCLIP.zero_shot`.
        """
        vectors = np.zeros((len(queries), self.model.config["model"]["projection_dim"]), np.float32)
        if chosen := [i for i, query in enumerate(queries) if query.kind == "protein"]:
            sequences = [queries[i].contents[0] for i in chosen]
            vectors[chosen] = self.model.encode_proteins(
                sequences, windows=self.windows, batch_tokens=self.batch_tokens
            )
        if chosen := [i for i, query in enumerate(queries) if query.kind == "text"]:
            texts = [text for i in chosen for text in queries[i].contents]
            prompts = self.model.encode_texts(texts, batch_tokens=self.batch_tokens)
            counts = [len(queries[i].contents) for i in chosen]
            vectors[chosen] = _means(prompts, counts)
        return vectors

    def find(
        self,
        index: Index,
        vectors: Float32[np.ndarray, "q d"],
        top: int = TOP,
        *,
        among: Int64[np.ndarray, " m"] | None = None,
    ) -> list[Answer]:
        """Finds the nearest items of an index for each query embedding.

        Args:
          vectors: query embeddings; truncated to the dimensions of the index.
          among: rows to search (`rows_of_taxa`); None searches all.
        """
        vectors = first_dimensions(vectors, index.vectors.width)
        found = index.search(vectors, top, among=among)
        means = cosines_with(vectors, index.background).mean(1)
        shown = shown_columns(index.items)
        is_calibrated = bool(self.calibration or index.calibration)
        answers = []
        for scores, rows, mean in zip(found.scores, found.rows, means.tolist(), strict=True):
            # One row at a time: Arrow's `take` would first concatenate all parts of the index.
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
        """Finds hits as `find` does, adds their confidence, and combines them with homology."""
        found = self.find(index, vectors, top, among=among)
        kept = first_dimensions(vectors, index.vectors.width)
        # Calibration tables are measured with full-width embeddings.
        is_whole = index.vectors.width == vectors.shape[1]
        calibration = (self.calibration or index.calibration) if is_whole else None
        items = len(index) if among is None else len(among)
        answered = [
            with_confidence(
                answer, query, vector, index=index, items=items, calibration=calibration
            )
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
        """The items whose names match the query's text (`look_up`); [] if its `typed` is empty."""
        found = look_up(index.items, query.typed, top=top, among=among)
        shown = shown_columns(index.items)
        return [
            Hit(rank, match.row, by=match.by, **hit_fields(shown, match.row))
            for rank, match in enumerate(found, 1)
        ]

    def ask_texts(self, prompts: Sequence[str], *, top: int = TOP) -> list[Hit]:
        """Finds the proteins nearest to a text, or to the mean of several prompts for one query."""
        return self._ask(Query("text", "text", tuple(prompts)), self._protein_index(), top)

    def ask_protein(self, sequence: str, *, top: int = TOP) -> list[Hit]:
        """Finds the proteins nearest to a protein, including itself if it is in the index."""
        return self._ask(_checked(sequence), self._protein_index(), top)

    def ask_proteins(
        self, proteins: Mapping[str, str], *, top: int = TOP
    ) -> Iterator[tuple[str, Answer]]:
        """Yields each protein's id and answer in input order, with progress on stderr.

        Answers are yielded batch by batch, while later proteins are not yet embedded.

        Args:
          proteins: maps ids to sequences.

        Raises:
          UserError: a sequence is not a protein, or there is no index. Raised before any protein is
            embedded.
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
        """Finds the labels nearest to a protein in a library; None selects the only library."""
        if library is None and len(self.libraries) == 1:
            library = next(iter(self.libraries))
        if library not in self.libraries:
            raise UserError(
                f"unknown library of labels {library!r}; available: "
                f"{', '.join(self.libraries) or 'none'}."
            )
        return self._ask(_checked(sequence), self.libraries[library], top)

    def _ask(self, query: Query, index: Index, top: int) -> list[Hit]:
        return self.answers(index, [query], self.embed([query]), top)[0].hits

    def _protein_index(self) -> Index:
        if self.proteins is None:
            raise UserError(
                "no index of proteins is loaded; create one with `python -m protclip_jax.index` "
                "and load it."
            )
        return self.proteins


def windows_of(encoding: Mapping) -> Windows:
    """The windows for long proteins, from the `encoding` in an index manifest."""
    return Windows(encoding["long_proteins"], encoding["max_residues"], encoding["overlap"])


def own_calibration(checkpoint: Path, model: ProtCLIP) -> Calibration | None:
    """The calibration in a checkpoint's folder.

    Returns None if there is none; warns and returns None if it was measured for other parameters.
    """
    calibration = read_calibration(checkpoint / FILE)
    if calibration is not None and not model.is_named_by(calibration.checkpoint):
        warnings.warn(stale_sentence(checkpoint / FILE), stacklevel=2)
        return None
    return calibration


def embed_labels(model: ProtCLIP, path: Path) -> Index:
    """Builds an in-memory index of a file of labels; warns about unusable labels."""
    source = LabelSource(path=path)
    found = list(source.labels())
    labels = [label for label in found if label.prompts]
    if not labels:
        raise UserError(f"{path} has no usable labels; give another file.")
    for note in source.notes():
        warnings.warn(f"{path}: {note}", stacklevel=2)
    if faults := Counter(label.fault for label in found if not label.prompts):
        message = ", ".join(f"{count} × {fault}" for fault, count in faults.items())
        warnings.warn(
            f"{faults.total()} of {len(found)} labels in {path} are left out: {message}.",
            stacklevel=2,
        )
    prompts = model.encode_texts([prompt for label in labels for prompt in label.prompts])
    vectors = VectorParts([np.stack(_means(prompts, [len(label.prompts) for label in labels]))])
    # The same ids as in an index made from this file.
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


def _means(
    prompts: Float32[np.ndarray, "n d"], counts: Sequence[int]
) -> list[Float32[np.ndarray, " d"]]:
    """The mean of each group of consecutive prompts; `counts` are the sizes of the groups."""
    return list(map(_averaged, np.split(prompts, np.cumsum(counts)[:-1])))


def _averaged(prompts: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, " d"]:
    """The normalised mean of prompts; a single prompt is returned unchanged, bit for bit."""
    return prompts[0] if len(prompts) == 1 else unit_rows([prompts.mean(0)])[0]


def _homology(hits: Path, proteins: Index | None) -> Homology:
    if proteins is None:
        raise UserError(f"{hits} contains hits to proteins; also give the index of those proteins.")
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
    """Name of a library: `enzyme` for `data/enzyme.dat.gz` and the index folder `enzyme.labels`."""
    name = Path(path).absolute().name.removesuffix(".gz")
    return name.rpartition(".")[0] or name


def _checked(sequence: str, *, name: str = "") -> Query:
    try:
        return protein_query(name, sequence)[0]
    except ValueError as error:
        which = f"the sequence {name}" if name else "the sequence"
        raise UserError(f"{which} is not a valid protein: {error}.") from error
