"""A table of a data folder's benchmarks: have or missing, size, licence, and source."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from eval.benchmarks.families import BENCHMARKS
from eval.data.base.benchmark import Benchmark
from eval.data.base.missing import MissingData
from eval.data.base.source import Source

HEADER = ("benchmark", "state", "size", "licence", "where")
UNITS = ("B", "kB", "MB", "GB", "TB")


def source_of(benchmark: Benchmark) -> Source:
    """Its own source, or that of the benchmark whose proteins it uses."""
    return (
        benchmark.source
        if benchmark.source.where or not benchmark.proteins_of
        else BENCHMARKS[benchmark.proteins_of].source
    )


def overview(surveyed: Mapping[str, Sequence[Path] | MissingData]) -> str:
    """The table of `manifest.survey`'s findings, and how to get what is missing."""
    rows = [_row(BENCHMARKS[name], found) for name, found in surveyed.items()]
    have = sum(row[1] == "have" for row in rows)
    return "\n".join([*aligned([HEADER, *rows]), "", f"{have} of {len(rows)} are here. {ADVICE}"])


ADVICE = (
    "`python -m eval.data.download NAME… --output DIR` fetches files of the others and lists what "
    "to get by hand; docs/benchmarks.md describes them all."
)


def _row(benchmark: Benchmark, found: Sequence[Path] | MissingData) -> tuple[str, ...]:
    source = source_of(benchmark)
    missing = isinstance(found, MissingData)
    state = (
        (f"missing: {found.lacking}", "") if missing else ("have", size_text(_bytes(set(found))))
    )
    return benchmark.name, *state, source.licence, source.where or "your own"


def _bytes(paths: Iterable[Path]) -> int:
    """The size of files, and of all files below folders."""
    return sum(file.stat().st_size for path in paths for file in _files(path))


def _files(path: Path) -> Iterator[Path]:
    yield from (file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def size_text(count: int) -> str:
    """Formats bytes with two or three digits: `22 B`, `936 kB`, `1.2 GB`."""
    power = min(len(UNITS) - 1, (len(str(count)) - 1) // 3)
    size = count / 1000**power
    return (
        f"{size:.0f} {UNITS[power]}" if size >= 100 or not power else f"{size:.1f} {UNITS[power]}"
    )


def aligned(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Pads lines so that columns have equal widths."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [_padded(row, widths) for row in rows]


def _padded(row: Iterable[str], widths: Iterable[int]) -> str:
    cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
    return "  ".join(cells).rstrip()
