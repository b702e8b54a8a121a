"""UniProt's TSV export with any of its columns in any order, headers of the REST site or of the one
before (until 2022).

`Entry`, `Protein names` and `Sequence` must be there. What becomes of a row:
- entry_name: `Entry Name`. source: `Reviewed` (formerly `Status`); without it, entry names that
  begin with the accession are TrEMBL's, others Swiss-Prot's; without either, Swiss-Prot is taken,
  as these exports mostly are of reviewed entries.
- existence: `Protein existence`, 0 without it.
- name, other_names: the recommended name, and what the column appends in parentheses (see
  `split_names`). It has no evidence tags.
- function, location, similarity: `Function [CC]`, `Subcellular location [CC]`, `Sequence
  similarities`, without the topic before each comment. Without the last, `Protein families` says
  the same without its evidence, other sections and capitals.
- organism, taxon: `Organism` without the common name, `Organism (ID)`; genes: `Gene Names`; go:
  `Gene Ontology IDs`, or the ids in the other columns of GO terms.
- features: those of the exported feature columns, in the order of the columns.

Cells are not quoted; quotation marks are letters like any other.
"""

from collections import Counter

from data_pipelines.protanno.record import PREFIXES, Feature, Record
from data_pipelines.readers.uniprot.entry import Malformed, RawEntry, printable
from data_pipelines.readers.uniprot.feature_table import cell_features
from data_pipelines.readers.uniprot.feature_types import OF_COLUMN
from data_pipelines.readers.uniprot.flat_style import comments, existence_level
from data_pipelines.readers.uniprot.names import split_names
from data_pipelines.readers.uniprot.organism import GO_ID, scientific_name, taxon_id
from data_pipelines.readers.uniprot.table_format import TableFormat

_COLUMNS = {
    "function": "function [cc]",
    "location": "subcellular location [cc]",
    "similarity": "sequence similarities",
}
_STATUS = {"reviewed": "swissprot", "unreviewed": "trembl"}


class UniprotTsv(TableFormat):
    """UniProt's TSV export."""

    name = "uniprot_tsv"
    description = "UniProt's TSV export with at least the columns Entry, Protein names, Sequence"
    required = ("entry", "protein names", "sequence")
    required_text = (
        "UniProt's columns Entry, Protein names and Sequence (choose them for the export)"
    )

    def accession(self, raw: RawEntry) -> str:
        """What a reject of the row is called, '' if that cannot be told."""
        return raw.first_cell("entry")

    def parse(self, raw: RawEntry, omitted: Counter) -> Record:
        """The record of a row.

        Raises:
          Malformed: there is none.
        """
        row = raw.cells()
        sequence, length = row["sequence"], row.get("length", "")
        if length and length.replace(",", "") != str(len(sequence)):
            raise Malformed(
                f"its sequence has {len(sequence)} residues, its column Length says "
                f"{printable(length[:20])}"
            )
        names = split_names(row["protein names"])
        return Record(
            accession=row["entry"],
            entry_name=row.get("entry name", ""),
            source=_source(row),
            sequence=sequence,
            existence=existence_level(row.get("protein existence", "")),
            name=names.name,
            other_names=names.others,
            organism=scientific_name(row.get("organism", "")),
            taxon=_taxon(row),
            genes=_genes(row),
            go=_go(row),
            features=_features(row, length=len(sequence), omitted=omitted),
            **_properties(row),
        )


def _source(row: dict[str, str]) -> str:
    if status := row.get("reviewed") or row.get("status"):
        if status.lower() not in _STATUS:
            raise Malformed(
                f"its status is {printable(status[:30])!r}, neither of {', '.join(_STATUS)}"
            )
        return _STATUS[status.lower()]
    return "trembl" if row.get("entry name", "").startswith(row["entry"] + "_") else "swissprot"


def _taxon(row: dict[str, str]) -> int:
    return taxon_id(row.get("organism (id)") or row.get("organism id") or "")


def _genes(row: dict[str, str]) -> tuple[str, ...]:
    names = row.get("gene names") or row.get("gene names (primary)") or ""
    return tuple(names.replace(";", " ").split())


def _go(row: dict[str, str]) -> tuple[str, ...]:
    """The ids in their first order; several columns may tell the same."""
    cells = " ".join(cell for column, cell in row.items() if column.startswith("gene ontology"))
    return tuple(dict.fromkeys(GO_ID.findall(cells)))


def _properties(row: dict[str, str]) -> dict[str, str]:
    """Property → its comments."""
    properties = {}
    for name, column in _COLUMNS.items():
        heading = PREFIXES[name]
        properties[name] = comments(row.get(column, "").removeprefix(f"{heading}: "), heading)
    if _COLUMNS["similarity"] not in row and (families := row.get("protein families")):
        sentences = [
            f"Belongs to the {family.replace('family, ', 'family. ')}."
            for family in families.split("; ")
        ]
        properties["similarity"] = " ".join(sentences)
    return properties


def _features(row: dict[str, str], *, length: int, omitted: Counter) -> tuple[Feature, ...]:
    return tuple(
        feature
        for column, cell in row.items()
        if cell and column in OF_COLUMN
        for feature in cell_features(OF_COLUMN[column], cell, length=length, omitted=omitted)
    )
