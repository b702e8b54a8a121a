"""A lab's own table: tab-separated, UTF-8, its first line the header

    accession  sequence  name  function  location  similarity

in any order; `accession`, `sequence` and `name` must be there, the others need not. It is told from UniProt's export by its
header. One protein a line; cells are not quoted and hold neither tabs nor line ends; an empty cell is an absent property.

    accession  sequence   name        function                  location    similarity
    LAB1       MKVLAAGIV  Widgetase   Cleaves widgets in two.   Cytoplasm.  Belongs to the widgetase family.

The texts are taken as they stand, and a name is all that its cell says: there are no other names. Optional further columns:
`entry_name`, `source` (`swissprot` or `trembl`) and `existence` (1 to 5 as UniProt's protein existence). Without them there
is no entry name, the source is Swiss-Prot, the one that sampling takes whole, and the existence is 0, unknown. There are no
features.
"""

from collections import Counter

from data_pipelines.protanno.record import PROPERTIES, Record
from data_pipelines.readers.uniprot.entry import Malformed, RawEntry, printable
from data_pipelines.readers.uniprot.table_format import TableFormat

_REQUIRED = ("accession", "sequence", "name")


class LabTsv(TableFormat):
    """A lab's own table."""

    name = "lab_tsv"
    description = f"a lab's own TSV with the columns {', '.join((*_REQUIRED, *PROPERTIES[1:]))}"
    required = _REQUIRED
    required_text = "accession, sequence and name"
    columns = (*_REQUIRED, *PROPERTIES[1:], "entry_name", "source", "existence")

    def accession(self, raw: RawEntry) -> str:
        """What a reject of the row is called, '' if that cannot be told."""
        return raw.first_cell("accession")

    def parse(self, raw: RawEntry, omitted: Counter) -> Record:
        """The record of a row.

        Raises:
          Malformed: there is none.
        """
        row = raw.cells()
        existence = row.pop("existence", "") or "0"
        if existence not in "012345" or len(existence) != 1:
            raise Malformed(f"its existence is {printable(existence[:20])!r}, not 1 to 5 (empty = unknown)")
        source = row.pop("source", "") or "swissprot"
        return Record(**({"entry_name": ""} | row), source=source, existence=int(existence))
