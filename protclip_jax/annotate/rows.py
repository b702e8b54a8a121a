"""Lines of an annotation: the hits of each protein, or one line without a confident hit."""

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
    confidence_cells,
    is_confident,
    is_sure,
)
from protclip_jax.retrieval.engine import PROTEINS, SearchEngine
from protclip_jax.retrieval.query import Query

NAMED = ("by", "rank", "id", "name", "gene", "organism", "existence", "evidence")
"""Columns that identify a hit; empty if none is confident enough."""
COLUMNS = (
    *("protein", "length", "aspect", "sure", *NAMED),
    *("cosine", "confidence", "low", "base_rate", "trait", "q", "homolog", "identity", "evalue"),
)
SURE = {True: "yes", False: "no", None: "not known"}


def described_rows(items: pyarrow.Table, *, folder: Path) -> Int64[np.ndarray, " m"] | None:
    """The rows of proteins with a name or a function, ascending; None if all proteins have one.

    Args:
      folder: the folder of the index, for messages.

    Raises:
      UserError: no protein has a name or a function.
    """
    has = [pyarrow.compute.not_equal(items[name], "").to_numpy() for name in ("name", "function")]
    rows = np.flatnonzero(has[0] | has[1])
    if not len(rows):
        raise UserError(
            f"the index {folder} has no protein with a name or a function; rebuild it from "
            "UniProt entries, or pass --labels alone."
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
    """Yields the lines of the proteins in a part, in order; each aspect has its own ranking.

    Hits below the minimum confidence are omitted; hits of unknown confidence are kept. If the best
    hit is below the minimum, the aspect gets one line without a hit.

    Args:
      top: maximum number of hits per aspect.
      least: minimum confidence (`is_sure`).
      described: rows of the index of proteins to search; None searches all.
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
    """Maps each aspect to the answers for all proteins."""
    queries = [Query(id, "protein", ()) for id in ids]
    among = {PROTEINS: described}
    return {
        aspect: engine.answers(index, queries, vectors, top, among=among.get(aspect))
        for aspect, index in engine.aspects.items()
    }


def lines(
    protein: Sequence[str], answer: Answer, *, engine: SearchEngine, least: float
) -> Iterator[tuple[str, ...]]:
    """Yields the lines of one aspect of a protein."""
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
    return (*named, f"{hit.cosine:.6f}", *confidence_cells(hit), *alignment_cells(hit))
