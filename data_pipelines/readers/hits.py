"""Reader for hits of a sequence search, as MMseqs2 writes them with these columns (`COLUMNS`):

    mmseqs easy-search held_out.fasta training.fasta hits.m8 tmp -s 7.5 \\
        --format-output query,target,fident,qcov,tcov,evalue,bits

Tab-separated, plain or gzip. With a header line (`--format-mode 4`) the file may have further
columns and any column order. The twelve columns of BLAST (`-outfmt 6`, or 7 with comments), DIAMOND
and MMseqs2's default output (`M8`) work too; they lack the share of the query that is aligned.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from data_pipelines.common.errors import UserError
from data_pipelines.readers.streams.files import open_bytes
from data_pipelines.readers.streams.numbered_lines import decoded, numbered_lines

COLUMNS = ("query", "target", "fident", "qcov", "tcov", "evalue", "bits")
M8 = (
    *("query", "target", "fident", "alnlen", "mismatch", "gapopen"),
    *("qstart", "qend", "tstart", "tend", "evalue", "bits"),
)
"""BLAST writes the identity in percent, MMseqs2 as a fraction."""
_BY_WIDTH = {len(COLUMNS): COLUMNS, len(M8): M8}
_READ = ("query", "target", "fident", "qcov", "evalue", "bits")
_OPTIONAL = ("qcov",)
FIX = f"rerun the search with --format-output {','.join(COLUMNS)}"
_EITHER = f"{FIX}, or with the {len(M8)} columns of BLAST's -outfmt 6"


class Hit(NamedTuple):
    """One hit. Ids have no database prefix; `identity` and `coverage` are fractions from 0 to 1."""

    query: str
    target: str
    identity: float
    """Fraction of aligned positions with the same residue."""
    coverage: float | None
    """Fraction of the query's residues that are aligned; None if the file does not give it."""
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
    names: Sequence[str] = ()
    with open_bytes(path) as content:
        for number, line in numbered_lines(content, path):
            if line.startswith(b"#") or not line.strip():
                continue
            cells = decoded(line, number, path).rstrip("\r\n").split("\t")
            if not names:
                names = _names(cells, number, path)
                if cells[0] == "query":
                    continue
            if len(cells) != len(names):
                raise UserError(
                    f"{path}, line {number} has {len(cells)} columns, not {len(names)}; {_EITHER}."
                )
            yield _hit(dict(zip(names, cells, strict=True)), number, path, names is M8)


def _names(cells: Sequence[str], number: int, path: Path) -> Sequence[str]:
    """The columns of a file, by its first line."""
    if cells[0] != "query":
        if len(cells) in _BY_WIDTH:
            return _BY_WIDTH[len(cells)]
        raise UserError(
            f"{path}, line {number} has {len(cells)} columns, not {len(COLUMNS)}; {_EITHER}."
        )
    if missing := [name for name in _READ if name not in cells and name not in _OPTIONAL]:
        raise UserError(f"{path} has no column {missing[0]}; {FIX}.")
    return cells


def _hit(cells: dict[str, str], number: int, path: Path, may_be_percent: bool) -> Hit:
    try:
        identity, evalue, bits = (float(cells[name]) for name in ("fident", "evalue", "bits"))
        coverage = float(cells["qcov"]) if "qcov" in cells else None
    except ValueError as error:
        raise UserError(f"{path}, line {number}: {error}; {_EITHER}.") from error
    # No search reports hits of 1 % identity, so that no percentage is taken for a fraction.
    if may_be_percent and 1 < identity <= 100:
        identity /= 100
    if not (0 <= identity <= 1 and (coverage is None or 0 <= coverage <= 1)):
        also = "" if coverage is None else f" and qcov {coverage:g}"
        raise UserError(
            f"{path}, line {number}: fident {identity:g}{also} must be fractions from 0 to 1, not "
            f"percentages; {FIX}."
        )
    query, target = plain_accession(cells["query"]), plain_accession(cells["target"])
    return Hit(query, target, identity, coverage, evalue, bits)


def plain_accession(name: str) -> str:
    """Extracts `P12345` from `sp|P12345|NAME_SPECIES` or `tr|P12345`; keeps any other name."""
    database, _, rest = name.partition("|")
    return rest.partition("|")[0] if database in ("sp", "tr") and rest else name
