"""The lines of an annotation: what is found for some proteins, and where nothing is sure enough."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.compute
from jaxtyping import Float32, Int64

from data_pipelines.common.errors import UserError
from protclip_jax.embed.embedding_files import Part
from protclip_jax.retrieval.answer import (
    Answer,
    Hit,
    alignment_cells,
    is_confident,
    is_sure,
    sureness_cells,
)
from protclip_jax.retrieval.engine import PROTEINS, SearchEngine
from protclip_jax.retrieval.query import Query

NAMED = ("by", "rank", "id", "name", "gene", "organism", "existence", "evidence")
"""Columns that name a hit; empty where none is sure enough."""
COLUMNS = (
    *("protein", "length", "aspect", "sure", *NAMED),
    *("cosine", "confidence", "low", "base_rate", "trait", "q", "homolog", "identity", "evalue"),
)
SURE = {True: "yes", False: "no", None: "not known"}


def described_rows(items: pyarrow.Table, *, folder: Path) -> Int64[np.ndarray, " m"] | None:
    """The rows of proteins with a name or a function, ascending; None where all have one.

    Raises:
      UserError: none has one; `folder` names the index.
    """
    has = [pyarrow.compute.not_equal(items[name], "").to_numpy() for name in ("name", "function")]
    rows = np.flatnonzero(has[0] | has[1])
    if not len(rows):
        raise UserError(
            f"the index {folder} holds no protein with a name or a function; make it from "
            "UniProt entries, "
            "or pass --labels alone."
        )
    return None if len(rows) == len(items) else rows


def annotated(
    engine: SearchEngine,
    part: Part,
    *,
    top: int,
    least: float,
    described: Int64[np.ndarray, " m"] | None,
) -> Iterator[tuple[str, ...]]:
    """The lines of a part's proteins in their order, each aspect ranked by itself.

    Only hits that are sure, or of which that is not known, are written. An answer whose best hit is
    not sure gives one line without a hit.

    Args:
      top: hits of each aspect.
      least: confidence that a hit must reach (`is_sure`).
      described: rows of the index of proteins that may be found.
    """
    vectors = np.asarray(part.vectors, np.float32)
    found = found_aspects(engine, part.ids, vectors, top=top, described=described)
    for row, (id, length) in enumerate(zip(part.ids, part.lengths.tolist(), strict=True)):
        for aspect, answers in found.items():
            yield from lines((id, str(length), aspect), answers[row], engine=engine, least=least)


def found_aspects(
    engine: SearchEngine,
    ids: Sequence[str],
    vectors: Float32[np.ndarray, "n d"],
    *,
    top: int,
    described: Int64[np.ndarray, " m"] | None,
) -> dict[str, list[Answer]]:
    """Aspect → the answer for each protein."""
    queries = [Query(id, "protein", ()) for id in ids]
    among = {PROTEINS: described}
    return {
        aspect: engine.answers(index, queries, vectors, top, among=among.get(aspect))
        for aspect, index in engine.aspects.items()
    }


def lines(
    protein: Sequence[str], answer: Answer, *, engine: SearchEngine, least: float
) -> Iterator[tuple[str, ...]]:
    """The lines of one aspect of a protein."""
    if is_confident(answer, least) is False:
        best = _cells(answer.hits[0], engine)
        yield (*protein, SURE[False], *("",) * len(NAMED), *best[len(NAMED) :])
        return
    for hit in answer.hits:
        if (sure := is_sure(hit, least)) is not False:
            yield (*protein, SURE[sure], *_cells(hit, engine))


def _cells(hit: Hit, engine: SearchEngine) -> tuple[str, ...]:
    is_protein = hit.length is not None
    existence = engine.proteins.items["existence"][hit.row].as_py() if is_protein else ""
    about = (hit.id, hit.name, hit.gene, hit.organism, existence, "; ".join(hit.evidence or ()))
    named = ("" if cell is None else str(cell) for cell in (hit.by, hit.rank, *about))
    return (*named, f"{hit.cosine:.6f}", *sureness_cells(hit), *alignment_cells(hit))
