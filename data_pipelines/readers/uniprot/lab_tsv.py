"""A lab's own table: tab-separated, UTF-8, with a header line

    accession  sequence  name  function  location  similarity

in any order. `accession` and `sequence` are required, the others optional. The header distinguishes
it from UniProt's export. Each line is one protein. Cells are not quoted and contain no tabs or line
breaks; an empty cell is a missing property. A row may have no text at all.

    accession  sequence   name       function           location    similarity
    LAB1       MKVLAAGIV  Widgetase  Cleaves widgets.   Cytoplasm.  Belongs to the widget family.

Texts are used unchanged. A name is the whole cell: other names are not split off. Optional
further columns, whose cells may be empty:

- `entry_name`.
- `source`: `swissprot`, `trembl` or `unknown` (the default).
- `existence`: UniProt's protein existence from 1 to 5, or 0 for unknown (the default).
- `organism`, `taxon` (an NCBI taxonomy id), `genes` and `go` (names or ids separated by spaces).
- `features`: as in UniProt's export: `ACT_SITE 57; /note="Proton acceptor"; DOMAIN 20..130`.
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
        """Returns the accession of a possibly broken row, '' if not found."""
        return raw.first_cell("accession")

    def parse(self, raw: RawEntry, omitted: Counter) -> Record:
        """Parses a row into a record.

        Raises:
          Malformed: the row is not valid.
        """
        row = {"entry_name": "", "name": ""} | raw.cells()
        existence = row.pop("existence", "") or "0"
        if existence not in "012345" or len(existence) != 1:
            raise Malformed(
                f"its existence is {printable(existence[:20])!r}; expected 1 to 5 (empty = unknown)"
            )
        source = row.pop("source", "") or UNKNOWN_SOURCE
        cell = row.pop("features", "")
        features = mixed_features(cell, length=len(row["sequence"]), omitted=omitted)
        lists = {name: tuple(row.pop(name, "").split()) for name in ("genes", "go")}
        taxon = taxon_id(row.pop("taxon", ""))
        return Record(
            **row, source=source, existence=int(existence), features=features, taxon=taxon, **lists
        )
