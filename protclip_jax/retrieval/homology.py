"""Hits of a sequence search beside the model's, and how an answer combines the two.

Where a protein has a described relative, transferring what is said of that beats the model; where
a search finds none, only the model answers. So the two are not added up but put in order:

- **Proteins.** What the search found with an E-value of at most `MAX_EVALUE` leads, by falling
  bits. The model's hits that the search did not find follow in their own order.
- **Labels**, where their ids are GO ids or EC numbers. Of the `MAX_HOMOLOGS` best proteins that
  the search found, each that carries a label of the library votes for its labels with its bits.
  Labels with at least `LEAST_SHARE` of all such bits lead, by falling share; the model's follow. GO
  terms and EC numbers count as they are written, not with what lies above them.

`Hit.by` says which spoke: `HOMOLOGY`, the model, or `BOTH` where the model has the item among its
own hits. Confidence was measured for hits of the model: what homology alone found has none.
"""

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
"""MMseqs2's own limit; BLAST also writes hits by chance, up to an E-value of 10."""
MAX_HOMOLOGS = 50
"""Of a protein, those of the most bits."""
LEAST_SHARE = 0.5
"""Of the bits, for a label that the relatives lend."""
HITS_HELP = (
    "hits of a sequence search of the input's proteins in those of --index, by MMseqs2 or BLAST "
    "(-outfmt 6): relatives lead, the model's hits follow, and `by` says which spoke"
)
"""Of the option `--hits`."""
_PRUNE_AT = 4 * MAX_HOMOLOGS


class Homologs(NamedTuple):
    """The relatives of one protein in an index of proteins, by falling bits."""

    rows: Int64[np.ndarray, " h"]
    alignments: Sequence[Alignment]


NONE = Homologs(np.zeros(0, np.int64), ())


class Homology:
    """A file of hits: of each protein asked, the relatives in an index of proteins."""

    def __init__(self, found: Mapping[str, Homologs], proteins: Index):
        self._found, self._proteins = found, proteins
        self._label_rows: dict[int, dict[str, int]] = {}

    def __len__(self) -> int:
        """How many proteins have relatives."""
        return len(self._found)

    @classmethod
    def read(cls, path: Path, proteins: Index) -> Self:
        """The hits of a file to proteins of an index, by their ids or accessions.

        Raises:
          UserError: the file is not of its form (`readers.hits`), or has no hit to the index.
        """
        rows_by_hash = _rows_by_hash(proteins)
        found: dict[str, dict[int, Alignment]] = defaultdict(dict)
        for hit in read_hits(path):
            row = rows_by_hash.get(hash64(hit.target))
            if row is None or not hit.evalue <= MAX_EVALUE:
                continue
            own = found[hit.query]
            known = own.get(row)
            # BLAST writes a line for each aligned stretch of a pair.
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
        """The relatives of the protein of that id; `NONE` where the search found none."""
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
        """The model's answer to the protein of that id, with what homology says, by the rule
        above.

        Args:
          vector: the protein's, of the width of the index, for cosines.
          among: the rows that may be found, ascending; None allows all.
        """
        homologs = self.of(name)
        if not len(homologs.rows):
            return answer
        if index is self._proteins:
            lent = list(zip(homologs.rows.tolist(), homologs.alignments, strict=True))
        else:
            lent = list(self._labels(homologs, index))
        if among is not None:
            allowed = np.isin([row for row, _ in lent], among)
            lent = [own for own, is_allowed in zip(lent, allowed, strict=True) if is_allowed]
        return _led(answer, lent[:top], index=index, vector=vector, top=top)

    def _labels(self, homologs: Homologs, library: Index) -> Iterator[tuple[int, Alignment]]:
        """Rows of the labels that relatives lend, each with the alignment of its best carrier."""
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
        """Row by id of a library's labels."""
        if id(library) not in self._label_rows:
            ids = library.items["id"].to_pylist()
            self._label_rows[id(library)] = {id.removeprefix("EC:"): i for i, id in enumerate(ids)}
        return self._label_rows[id(library)]


def _rows_by_hash(proteins: Index) -> dict[int, int]:
    """Row by the hash of an item's id, without a database's prefix; the first of several."""
    rows: dict[int, int] = {}
    for row, value in enumerate(_id_hashes(proteins)):
        rows.setdefault(value, row)
    return rows


def _id_hashes(proteins: Index) -> Iterator[int]:
    for chunk in proteins.items["id"].chunks:
        yield from (hash64(plain_accession(id)) for id in chunk.to_pylist())


def _best(own: Mapping[int, Alignment]) -> list[tuple[int, Alignment]]:
    """The relatives of the most bits, the lower row first among equals."""
    return sorted(own.items(), key=lambda found: (-found[1].bits, found[0]))[:MAX_HOMOLOGS]


def _homologs(own: Mapping[int, Alignment]) -> Homologs:
    best = _best(own)
    rows = np.array([row for row, _ in best], np.int64)
    return Homologs(rows, tuple(alignment for _, alignment in best))


def _led(
    answer: Answer,
    lent: Sequence[tuple[int, Alignment]],
    *,
    index: Index,
    vector: Float32[np.ndarray, " d"],
    top: int,
) -> Answer:
    """The answer with some items in front, whether the model has found them or not."""
    spoken = {hit.row: hit for hit in answer.hits}
    missing = [row for row, _ in lent if row not in spoken]
    spoken |= _unspoken(missing, index=index, vector=vector, mean=answer.mean)
    found = {hit.row for hit in answer.hits}
    led = [
        replace(spoken[row], by=BOTH if row in found else HOMOLOGY, alignment=alignment)
        for row, alignment in lent
    ]
    leading = {hit.row for hit in led}
    hits = [*led, *(hit for hit in answer.hits if hit.row not in leading)][:top]
    ranked = [replace(hit, rank=rank) for rank, hit in enumerate(hits, 1)]
    return replace(answer, hits=ranked)


def _unspoken(
    rows: Sequence[int], *, index: Index, vector: Float32[np.ndarray, " d"], mean: float
) -> dict[int, Hit]:
    """Hits of items that the model did not find, by row."""
    if not rows:
        return {}
    shown = shown_columns(index.items)
    cosines = (index.vectors.take(np.array(rows, np.int64)) @ vector).tolist()
    return {
        row: Hit(0, row, cosine=cosine, margin=cosine - mean, **hit_fields(shown, row))
        for row, cosine in zip(rows, cosines, strict=True)
    }
