"""Reader for UniProt's TSV export, with columns in any order and headers from before or since 2022.

`Entry`, `Protein names` and `Sequence` are required. A row is converted thus:
- entry_name: `Entry Name`. source: `Reviewed` (formerly `Status`). Without that column, an entry
  name that begins with the accession means TrEMBL, another one Swiss-Prot. With neither column it
  is Swiss-Prot, because most such exports have reviewed entries.
- existence: `Protein existence`, 0 if missing.
- name, other_names: the recommended name, and the names in parentheses after it (see
  `split_names`); the column has no evidence tags.
- function, location, similarity: `Function [CC]`, `Subcellular location [CC]` and
  `Sequence similarities`, without the topic before each comment. If the last one is missing,
  `Protein families` gives the same text without evidence, other sections and capital letters.
- organism, taxon: `Organism` without the common name, and `Organism (ID)`. genes: `Gene Names`. go:
  `Gene Ontology IDs`, or the ids in the other GO columns.
- features: the exported feature columns, in column order.

Cells are not quoted; quotation marks are ordinary characters.
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
        """Returns the accession of a possibly broken row, '' if not found."""
        return raw.first_cell("entry")

    def parse(self, raw: RawEntry, omitted: Counter) -> Record:
        """Parses a row into a record.

        Raises:
          Malformed: the row is not valid.
        """
        row = raw.cells()
        sequence, length = row["sequence"], row.get("length", "")
        if length and length.replace(",", "") != str(len(sequence)):
            raise Malformed(
                f"its sequence has {len(sequence)} residues, but its Length column says "
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
                f"its status is {printable(status[:30])!r}; expected {', '.join(_STATUS)}"
            )
        return _STATUS[status.lower()]
    return "trembl" if row.get("entry name", "").startswith(row["entry"] + "_") else "swissprot"


def _taxon(row: dict[str, str]) -> int:
    return taxon_id(row.get("organism (id)") or row.get("organism id") or "")


def _genes(row: dict[str, str]) -> tuple[str, ...]:
    names = row.get("gene names") or row.get("gene names (primary)") or ""
    return tuple(names.replace(";", " ").split())


def _go(row: dict[str, str]) -> tuple[str, ...]:
    """The GO ids in order of appearance, each once; several columns may repeat an id."""
    cells = " ".join(cell for column, cell in row.items() if column.startswith("gene ontology"))
    return tuple(dict.fromkeys(GO_ID.findall(cells)))


def _properties(row: dict[str, str]) -> dict[str, str]:
    """Maps each property to its comments."""
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
    features = []
    for column, cell in row.items():
        if cell and column in OF_COLUMN:
            features += cell_features(OF_COLUMN[column], cell, length=length, omitted=omitted)
    return tuple(features)
