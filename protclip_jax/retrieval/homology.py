"""Combines hits of a sequence search with the model's hits.

If a protein has an annotated relative, transferring its annotation is more accurate than the model;
without a relative, only the model can answer. Therefore scores are not added; homologs come first:

- **Proteins.** Hits of the sequence search with an E-value of at most `MAX_EVALUE` come first, by
  descending bit score. The model's other hits follow in their own order.
- **Labels** whose ids are GO ids or EC numbers. Each of the `MAX_HOMOLOGS` best homologs that
  carries labels of the library votes for them with its bit score. Labels with at least
  `LEAST_SHARE` of these bits come first, by descending share; the model's other hits follow. GO
  terms and EC numbers are not propagated to their ancestors.

`Hit.by` records the source of a hit: `HOMOLOGY`, `MODEL`, or `BOTH` if the item is also among the
model's hits. Confidence is measured for hits of the model; hits of homology alone have none.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from jaxtyping import Float32, Int64

from data_pipelines.common.errors import UserError
from data_pipelines.common.hashing import hash64
from data_pipelines.readers.hits import plain_accession, read_hits
from protclip_jax.retrieval import item_table
from protclip_jax.retrieval.answer import BOTH, HOMOLOGY, Alignment, Answer, Hit
from protclip_jax.retrieval.hit_items import hit_fields, shown_columns
from protclip_jax.retrieval.index_folder import Index

MAX_EVALUE = 1e-3
"""Default threshold of MMseqs2; BLAST also reports chance hits, up to an E-value of 10."""
MAX_HOMOLOGS = 50
"""Maximum number of homologs per protein; those with the highest bit scores are kept."""
LEAST_SHARE = 0.5
"""Minimum share of the bits for a label transferred from homologs."""
HITS_HELP = (
    "hits from a sequence search of the input's proteins against those of --index, by MMseqs2 or "
    "BLAST (-outfmt 6); homologs come first, then the model's hits; `by` names the source of each"
)
"""Help text of the option `--hits`."""
_PRUNE_AT = 4 * MAX_HOMOLOGS


class Homologs(NamedTuple):
    """The homologs of one protein in an index of proteins, by descending bit score."""

    rows: Int64[np.ndarray, " h"]
    alignments: Sequence[Alignment]


NONE = Homologs(np.zeros(0, np.int64), ())


class Homology:
    """The homologs of query proteins in an index of proteins, read from a file of hits."""

    def __init__(self, found: Mapping[str, Homologs], proteins: Index):
        self._found, self._proteins = found, proteins
        self._label_rows: dict[int, dict[str, int]] = {}

    def __len__(self) -> int:
        """Number of query proteins with homologs."""
        return len(self._found)

    @classmethod
    def read(cls, path: Path, proteins: Index) -> Self:
        """Reads hits to the proteins of an index, which are matched by id or accession.

        Raises:
          UserError: the format of the file is invalid (`readers.hits`), or it has no hit to the
            index.
        """
        rows_by_hash = _rows_by_hash(proteins)
        found: dict[str, dict[int, Alignment]] = defaultdict(dict)
        for hit in read_hits(path):
            row = rows_by_hash.get(hash64(hit.target))
            if row is None or not hit.evalue <= MAX_EVALUE:
                continue
            own = found[hit.query]
            known = own.get(row)
            # BLAST writes one line per aligned segment of a pair.
            if known is None or hit.bits > known.bits:
                own[row] = Alignment(hit.target, hit.identity, hit.evalue, hit.bits)
            if len(own) > _PRUNE_AT:
                found[hit.query] = dict(_best(own))
        if not found:
            raise UserError(
                f"{path} has no hit with an E-value of at most {MAX_EVALUE:g} to a protein of the "
                f"index {proteins.folder}; search the FASTA file that the index was made from."
            )
        return cls({query: _homologs(own) for query, own in found.items()}, proteins)

    def of(self, name: str) -> Homologs:
        """The homologs of the protein with this id; `NONE` if the search found none."""
        return self._found.get(plain_accession(name), NONE)

    def combined(
        self,
        answer: Answer,
        name: str,
        *,
        index: Index,
        vector: Float32[np.ndarray, " d"],
        top: int,
        among: Int64[np.ndarray, " m"] | None = None,
    ) -> Answer:
        """Combines the model's answer for a protein with homology, as the module describes.

        Args:
          answer: the model's answer.
          name: id of the query protein.
          index: the index that was searched.
          vector: embedding of the protein, of the width of the index, for cosines.
          top: maximum number of hits.
          among: rows that may be found, ascending; None allows all.
        """
        homologs = self.of(name)
        if not len(homologs.rows):
            return answer
        if index is self._proteins:
            first = list(zip(homologs.rows.tolist(), homologs.alignments, strict=True))
        else:
            first = list(self._labels(homologs, index))
        if among is not None:
            allowed = np.isin([row for row, _ in first], among)
            first = list(itertools.compress(first, allowed))
        return _put_first(answer, first[:top], index=index, vector=vector, top=top)

    def _labels(self, homologs: Homologs, library: Index) -> Iterator[tuple[int, Alignment]]:
        """Yields the rows of transferred labels, each with the alignment of its best homolog."""
        label_rows = self._rows_of_labels(library)
        votes: dict[int, float] = defaultdict(float)
        carrier: dict[int, Alignment] = {}
        total = 0.0
        terms = self._proteins.items.select(["go", "ec"])
        for row, alignment in zip(homologs.rows.tolist(), homologs.alignments, strict=True):
            item = item_table.item_at(terms, row)
            own = {label_rows[term] for term in (*item["go"], *item["ec"]) if term in label_rows}
            total += alignment.bits if own else 0
            for label in own:
                votes[label] += alignment.bits
                carrier.setdefault(label, alignment)
        for label, bits in sorted(votes.items(), key=lambda vote: (-vote[1], vote[0])):
            if bits >= LEAST_SHARE * total:
                yield label, carrier[label]

    def _rows_of_labels(self, library: Index) -> dict[str, int]:
        """Maps the ids of a library's labels to rows; EC numbers lose the prefix `EC:`."""
        if id(library) not in self._label_rows:
            ids = library.items["id"].to_pylist()
            self._label_rows[id(library)] = {id.removeprefix("EC:"): i for i, id in enumerate(ids)}
        return self._label_rows[id(library)]


def _rows_by_hash(proteins: Index) -> dict[int, int]:
    """Maps the hash of each id, without database prefix, to its first row."""
    rows: dict[int, int] = {}
    for row, value in enumerate(_id_hashes(proteins)):
        rows.setdefault(value, row)
    return rows


def _id_hashes(proteins: Index) -> Iterator[int]:
    for chunk in proteins.items["id"].chunks:
        yield from (hash64(plain_accession(id)) for id in chunk.to_pylist())


def _best(own: Mapping[int, Alignment]) -> list[tuple[int, Alignment]]:
    """The homologs with the highest bit scores; ties go to the lower row."""
    return sorted(own.items(), key=lambda found: (-found[1].bits, found[0]))[:MAX_HOMOLOGS]


def _homologs(own: Mapping[int, Alignment]) -> Homologs:
    best = _best(own)
    rows = np.array([row for row, _ in best], np.int64)
    return Homologs(rows, tuple(alignment for _, alignment in best))


def _put_first(
    answer: Answer,
    first: Sequence[tuple[int, Alignment]],
    *,
    index: Index,
    vector: Float32[np.ndarray, " d"],
    top: int,
) -> Answer:
    """Moves items to the front of an answer, and adds those that the model did not find."""
    found = {hit.row: hit for hit in answer.hits}
    missing = [row for row, _ in first if row not in found]
    known = found | _new_hits(missing, index=index, vector=vector, mean=answer.mean)
    homologs = [
        replace(known[row], by=BOTH if row in found else HOMOLOGY, alignment=alignment)
        for row, alignment in first
    ]
    leading = {hit.row for hit in homologs}
    hits = [*homologs, *(hit for hit in answer.hits if hit.row not in leading)][:top]
    ranked = [replace(hit, rank=rank) for rank, hit in enumerate(hits, 1)]
    return replace(answer, hits=ranked)


def _new_hits(
    rows: Sequence[int], *, index: Index, vector: Float32[np.ndarray, " d"], mean: float
) -> dict[int, Hit]:
    """Creates hits for items that the model did not find, by row."""
    if not rows:
        return {}
    shown = shown_columns(index.items)
    cosines = (index.vectors.take(np.array(rows, np.int64)) @ vector).tolist()
    return {
        row: Hit(0, row, cosine=cosine, margin=cosine - mean, **hit_fields(shown, row))
        for row, cosine in zip(rows, cosines, strict=True)
    }
