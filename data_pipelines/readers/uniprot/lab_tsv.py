"""A lab's own table: tab-separated, UTF-8, its first line the header

    accession  sequence  name  function  location  similarity

in any order; `accession` and `sequence` must be there, the others need not. It is told from
UniProt's export by its header. One protein a line; cells are not quoted and hold neither tabs nor
line ends; an empty cell is an absent property. A row may have no text at all.

    accession  sequence   name        function                  location    similarity
    LAB1       MKVLAAGIV  Widgetase   Cleaves widgets in two.   Cytoplasm.  Belongs to the widgetase
    family.

The texts are taken as they stand, and a name is all that its cell says: there are no other names.
Optional further columns, each cell of which may be empty:

- `entry_name`.
- `source`: `swissprot`, `trembl` or `unknown`, the default.
- `existence`: 1 to 5 as UniProt's protein existence, or 0, unknown, the default.
- `organism`, `taxon` (an id of NCBI's taxonomy), `genes` and `go` (names or ids with a blank
  between them).
- `features`: as UniProt's export writes them, `ACT_SITE 57; /note="Proton acceptor"; DOMAIN
  20..130`.
"""

from collections import Counter

from data_pipelines.protanno.record import PROPERTIES, UNKNOWN_SOURCE, Record
from data_pipelines.readers.uniprot.entry import Malformed, RawEntry, printable
from data_pipelines.readers.uniprot.feature_table import mixed_features
from data_pipelines.readers.uniprot.organism import taxon_id
from data_pipelines.readers.uniprot.table_format import TableFormat

_REQUIRED = ("accession", "sequence")


class LabTsv(TableFormat):
    """A lab's own table."""

    name = "lab_tsv"
    description = f"a lab's own TSV with the columns {', '.join((*_REQUIRED, *PROPERTIES))}"
    required = _REQUIRED
    required_text = "accession and sequence"
    columns = (
        *_REQUIRED,
        *PROPERTIES,
        "entry_name",
        "source",
        "existence",
        "features",
        "organism",
        "taxon",
        "genes",
        "go",
    )
    nameless = True

    def accession(self, raw: RawEntry) -> str:
        """What a reject of the row is called, '' if that cannot be told."""
        return raw.first_cell("accession")

    def parse(self, raw: RawEntry, omitted: Counter) -> Record:
        """The record of a row.

        Raises:
          Malformed: there is none.
        """
        row = {"entry_name": "", "name": ""} | raw.cells()
        existence = row.pop("existence", "") or "0"
        if existence not in "012345" or len(existence) != 1:
            raise Malformed(
                f"its existence is {printable(existence[:20])!r}, not 1 to 5 (empty = unknown)"
            )
        source = row.pop("source", "") or UNKNOWN_SOURCE
        cell = row.pop("features", "")
        features = mixed_features(cell, length=len(row["sequence"]), omitted=omitted)
        lists = {name: tuple(row.pop(name, "").split()) for name in ("genes", "go")}
        taxon = taxon_id(row.pop("taxon", ""))
        return Record(
            **row, source=source, existence=int(existence), features=features, taxon=taxon, **lists
        )
