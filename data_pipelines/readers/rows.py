"""The cells of a row of a TSV file, by their columns."""

from data_pipelines.readers.entry import Malformed, RawEntry, decode


def cells(raw: RawEntry) -> dict[str, str]:
    """Column → cell without outer blanks.

    Raises:
      Malformed: the row has another number of cells than the header.
    """
    values = decode(raw.content).rstrip("\r\n").split("\t")
    if len(values) != len(raw.header):
        raise Malformed(f"its row has {len(values)} cells, the header has {len(raw.header)}")
    return dict(zip(raw.header, map(str.strip, values), strict=True))


def first_cell(raw: RawEntry, column: str) -> str:
    """The cell of a row that may be broken, '' where it has none."""
    values = raw.content.rstrip(b"\r\n").split(b"\t", len(raw.header))
    place = raw.header.index(column)
    return values[place].decode(errors="replace").strip()[:100] if place < len(values) else ""
