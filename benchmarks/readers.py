"""Our flat-file reader against Biopython's: what each makes of real UniProt files, and how fast.

    python benchmarks/readers.py --input FILES --output readers.json

Both read the same decompressed bytes in one process. Faithfulness: entries that Biopython does not reach because it stops
at an earlier one; entries whose name, function, location or similarity it joins differently from UniProt's wrapping rules.
"""

import argparse
import gzip
import json
import tempfile
import time
from collections import Counter
from pathlib import Path

from Bio import SwissProt

from data_pipelines.readers import Reject, read_entries
from data_pipelines.record import Record

TOPICS = {"function": "FUNCTION: ", "location": "SUBCELLULAR LOCATION: ", "similarity": "SIMILARITY: "}


def ours(path: Path) -> tuple[list, str]:
    """All entries, and why the reader stopped early ('' = it did not)."""
    return list(read_entries(path)), ""


def biopythons(path: Path) -> tuple[list, str]:
    """The same from Biopython."""
    entries = []
    try:
        with open(path, encoding="utf-8") as file:
            for entry in SwissProt.parse(file):
                entries.append(entry)
    except (ValueError, KeyError, IndexError, AssertionError) as error:
        return entries, f"{type(error).__name__}: {error}"
    return entries, ""


def timed(reader, path: Path, *, repeats: int) -> tuple[list, str, float]:
    """Entries, error and the least CPU seconds of `repeats` runs."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        entries, error = reader(path)
        seconds.append(time.process_time() - start)
    return entries, error, min(seconds)


def differences(record: Record, other: SwissProt.Record) -> list[str]:
    """The properties that Biopython's comments, joined by blanks, do not give letter by letter."""
    texts = {
        name: " ".join(text.removeprefix(topic) for text in other.comments if text.startswith(topic))
        for name, topic in TOPICS.items()
    }
    return [name for name, text in texts.items() if text != getattr(record, name)]


def compare(path: Path, *, repeats: int) -> dict:
    """The figures of one file."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.dat"
        content = path.read_bytes()
        plain.write_bytes(gzip.decompress(content) if path.suffix == ".gz" else content)
        entries, _, seconds = timed(ours, plain, repeats=repeats)
        others, error, other_seconds = timed(biopythons, plain, repeats=repeats)
    different = Counter()
    for entry, other in zip(entries, others, strict=False):
        if isinstance(entry, Record):
            different.update(differences(entry, other))
    return {
        "file": path.name,
        "entries": len(entries),
        "rejects": sum(isinstance(entry, Reject) for entry in entries),
        "seconds": seconds,
        "biopython_entries": len(others),
        "biopython_error": error,
        "biopython_seconds": other_seconds,
        "biopython_different": dict(different),
    }


def main() -> None:
    """Prints a table and writes the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--input", type=Path, nargs="+", required=True, help="UniProt flat files, plain or gzip")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    parser.add_argument("--repeats", type=int, default=3, help="runs, of which the fastest counts (default %(default)s)")
    options = parser.parse_args()
    rows = [compare(path, repeats=options.repeats) for path in options.input]
    print(f"{'file':<28}{'entries':>8}{'rejects':>8}{'/s':>8}{'Biopython':>12}{'/s':>8}   differing texts, error")
    for row in rows:
        speed, other_speed = row["entries"] / row["seconds"], row["biopython_entries"] / row["biopython_seconds"]
        print(
            f"{row['file']:<28}{row['entries']:>8}{row['rejects']:>8}{speed:>8.0f}{row['biopython_entries']:>12}"
            f"{other_speed:>8.0f}   {sum(row['biopython_different'].values())}, {row['biopython_error'] or 'none'}"
        )
    if options.output:
        options.output.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
