"""Reader for hits of a sequence search, as MMseqs2 writes them with these columns (`COLUMNS`):

    mmseqs easy-search held_out.fasta training.fasta hits.m8 tmp -s 7.5 \\
        --format-output query,target,fident,qcov,tcov,evalue,bits

The file is tab-separated, plain or gzip. With a header line (`--format-mode 4`) it may have further
columns and any column order.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from data_pipelines.common.errors import UserError
from data_pipelines.readers.streams.files import open_bytes
from data_pipelines.readers.streams.numbered_lines import decoded, numbered_lines

COLUMNS = ("query", "target", "fident", "qcov", "tcov", "evalue", "bits")
_FIX = f"rerun the search with --format-output {','.join(COLUMNS)}"


class Hit(NamedTuple):
    """One hit. Ids have no database prefix; `identity` and `coverage` are fractions from 0 to 1."""

    query: str
    target: str
    identity: float
    """Fraction of aligned positions with the same residue."""
    coverage: float
    """Fraction of the query's residues that are aligned."""
    evalue: float
    bits: float


def read_hits(path: Path) -> Iterator[Hit]:
    """Yields the hits of a file, in file order.

    Raises:
      UserError: the file cannot be read, or a line does not have the expected form.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "hits.m8"
        >>> _ = path.write_text("P1\\tP2\\t0.5\\t0.9\\t0.8\\t1e-9\\t60\\n")
        >>> [(hit.query, hit.target, hit.identity) for hit in read_hits(path)]
        [('P1', 'P2', 0.5)]
    """
    places: Sequence[int] = range(len(COLUMNS))
    width = len(COLUMNS)
    with open_bytes(path) as content:
        for number, line in numbered_lines(content, path):
            cells = decoded(line, number, path).rstrip("\r\n").split("\t")
            if number == 1 and cells[0] == "query":
                if missing := [name for name in COLUMNS if name not in cells]:
                    raise UserError(f"{path} has no column {missing[0]}; {_FIX}.")
                places, width = [cells.index(name) for name in COLUMNS], len(cells)
                continue
            if len(cells) != width:
                raise UserError(
                    f"{path}, line {number} has {len(cells)} columns, not {width}; {_FIX}."
                )
            yield _hit([cells[place] for place in places], number, path)


def _hit(cells: Sequence[str], number: int, path: Path) -> Hit:
    query, target, *numbers = cells
    try:
        identity, coverage, _, evalue, bits = map(float, numbers)
    except ValueError as error:
        raise UserError(f"{path}, line {number}: {error}; {_FIX}.") from error
    if not (0 <= identity <= 1 and 0 <= coverage <= 1):
        raise UserError(
            f"{path}, line {number}: fident {identity:g} and qcov {coverage:g} must be fractions "
            f"from 0 to 1, not percentages; {_FIX}."
        )
    return Hit(plain_accession(query), plain_accession(target), identity, coverage, evalue, bits)


def plain_accession(name: str) -> str:
    """Extracts `P12345` from `sp|P12345|NAME_SPECIES` or `tr|P12345`; keeps any other name."""
    database, _, rest = name.partition("|")
    return rest.partition("|")[0] if database in ("sp", "tr") and rest else name
