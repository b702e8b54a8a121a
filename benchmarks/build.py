"""Measures the speed of `data_pipelines.build` and its peak memory, on generated entries.

    python -m benchmarks.build --entries 200000 --workers 1 2 --folder DIR --output build.json

The entries have the size and the lines of TrEMBL's: about 3 KB each, with log-normal lengths of
median 300 residues. A tenth repeats an earlier sequence, a fifth is a close relative of an earlier
one, and one in a thousand is broken.
"""

import argparse
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ACIDS = np.frombuffer(b"ACDEFGHIKLMNPQRSTVWY", np.uint8)
POLL_SECONDS = 0.2
REMEMBERED = 10_000
"""How many earlier sequences later ones may repeat or resemble."""

EXISTENCE = (
    "Evidence at protein level",
    "Evidence at transcript level",
    "Inferred from homology",
    "Predicted",
)
TEXT = (
    "binds catalyzes the hydrolysis of ATP in response to membrane "
    "stress signalling and transports ions across"
)


def sequences(count: int, *, seed: int) -> Iterator[str]:
    """Yields random sequences, some of them equal or similar to earlier ones."""
    rng, earlier = np.random.default_rng(seed), []
    for _ in range(count):
        kind = rng.random()
        if earlier and kind < 0.3:
            sequence = earlier[rng.integers(len(earlier))].copy()
            if kind < 0.2:
                positions = rng.random(len(sequence)) < 0.1
                sequence[positions] = ACIDS[rng.integers(0, 20, positions.sum())]
        else:
            length = int(np.clip(rng.lognormal(np.log(300), 0.6), 30, 20_000))
            sequence = ACIDS[rng.integers(0, 20, length)]
        if len(earlier) < REMEMBERED:
            earlier.append(sequence)
        else:
            earlier[rng.integers(REMEMBERED)] = sequence
        yield sequence.tobytes().decode()


def entry(index: int, sequence: str, rng: np.random.Generator) -> str:
    """Formats one entry."""
    level = int(rng.choice(4, p=(0.01, 0.04, 0.35, 0.6)))
    length = len(sequence) + (index % 1000 == 999)
    words = TEXT.split()
    text = " ".join(words[i] for i in rng.integers(0, len(words), 60))
    tag = "{ECO:0000256|ARBA:ARBA00023136}"
    lines = [
        f"ID   A{index:09}_9BACT        "
        f"{'Reviewed' if index % 50 == 0 else 'Unreviewed'};{length:12} AA."
    ]
    lines += [
        f"AC   A{index:09};",
        "DT   03-JUL-2019, integrated into UniProtKB/TrEMBL.",
        "DT   27-NOV-2024, entry version 20.",
    ]
    lines += [
        f"DE   SubName: Full=Protein {text[:40]} {{ECO:0000313|EMBL:AAA{index:06}.1}};",
        "GN   ORFNames=E4U01_12345;",
    ]
    lines += [
        "OS   Uncultured bacterium.",
        "OC   Bacteria; Pseudomonadota; environmental samples.",
        "OX   NCBI_TaxID=77133;",
    ]
    lines += [
        "RN   [1]",
        "RP   NUCLEOTIDE SEQUENCE.",
        "RX   PubMed=12345678; DOI=10.1000/xyz;",
        "RA   Doe J., Roe R.;",
    ]
    topics = ("FUNCTION", "SUBCELLULAR LOCATION", "SIMILARITY", "CATALYTIC ACTIVITY")
    for topic, start in zip(topics[: int(rng.integers(0, 5))], (0, 60, 120, 180), strict=False):
        lines += [
            f"CC   -!- {topic}: {text[start : start + 55]}",
            f"CC       {text[start + 55 : start + 100]} {tag}.",
        ]
    lines += [
        f"DR   InterPro; IPR{number:06}; Some_domain_name." for number in rng.integers(0, 10**6, 14)
    ]
    lines += [
        f"PE   {level + 1}: {EXISTENCE[level]};",
        "KW   Membrane; Transmembrane; Transmembrane helix.",
    ]
    for start in sorted(rng.integers(1, max(2, len(sequence) - 25), 6).tolist()):
        lines += [
            f"FT   TRANSMEM        {start}..{min(start + 20, len(sequence))}",
            f'FT{"":19}/note="Helical"',
        ]
        lines += [f'FT{"":19}/evidence="ECO:0000256|SAM:Phobius"']
    lines += [f"SQ   SEQUENCE   {length} AA;  {110 * length} MW;  0123456789ABCDEF CRC64;"]
    for start in range(0, len(sequence), 60):
        row = sequence[start : start + 60]
        lines.append("     " + " ".join(row[at : at + 10] for at in range(0, len(row), 10)))
    return "\n".join(lines) + "\n//\n"


def generate(path: Path, *, entries: int, seed: int = 0) -> int:
    """Writes a gzip flat file; returns the size of its text in bytes."""
    rng, size = np.random.default_rng(seed + 1), 0
    with gzip.open(path, "wb", compresslevel=1) as file:
        for index, sequence in enumerate(sequences(entries, seed=seed)):
            size += file.write(entry(index, sequence, rng).encode())
    return size


def processes(session: int) -> dict[int, tuple[int, float]]:
    """Maps the processes of a session to their peak resident MiB and CPU seconds so far."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # The name in parentheses may contain anything. The session is the fourth field after
            # it, the times are the 12th and 13th.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                lines = (folder / "status").read_text().splitlines()
                status = dict(line.split(":", 1) for line in lines)
                seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
                found[int(folder.name)] = int(status["VmHWM"].split()[0]) >> 10, seconds
        except (OSError, KeyError):
            continue
    return found


def measure(source: Path, output: Path, *, workers: int, arguments: list[str]) -> dict:
    """Builds once; returns seconds, and peak memory (MiB) and CPU seconds of each process.

    CPU time in the last 0.2 s may be missing.
    """
    command = [
        sys.executable,
        "-m",
        "data_pipelines.build",
        "--input",
        source,
        "--output",
        output,
        "--workers",
        workers,
    ]
    start, found = time.monotonic(), {}
    process = subprocess.Popen(
        [*map(str, command), *arguments], start_new_session=True, stdout=subprocess.DEVNULL
    )
    while process.poll() is None:
        found |= processes(process.pid)
        time.sleep(POLL_SECONDS)
    row = {"workers": workers, "seconds": time.monotonic() - start}
    if process.returncode:
        raise SystemExit(process.returncode)
    # The main process comes first, then its workers.
    peaks, seconds = zip(*(found[number] for number in sorted(found)), strict=True)
    return row | {"peak_mib": peaks, "cpu_seconds": seconds}


def contents_digest(folder: Path) -> str:
    """A digest of all files of a dataset."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(folder)} {content}\n".encode())
    return digest.hexdigest()


def run(folder: Path, *, entries: int, workers: list[int], arguments: list[str]) -> dict:
    """Generates entries in a folder and builds them with each number of workers."""
    source = folder / "generated.dat.gz"
    size = generate(source, entries=entries)
    result = {
        "entries": entries,
        "text_bytes": size,
        "cores": len(os.sched_getaffinity(0)),
        "arguments": arguments,
        "runs": [],
    }
    for count in workers:
        output = folder / f"built_{count}"
        row = measure(source, output, workers=count, arguments=arguments)
        row |= {"entries_per_second": entries / row["seconds"], "digest": contents_digest(output)}
        result["statistics"] = json.loads((output / "statistics.json").read_text(encoding="utf-8"))
        shutil.rmtree(output)
        result["runs"].append(row)
        print(row, file=sys.stderr)
    return result


def main() -> None:
    """Runs the benchmark; passes unknown options to the build."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument(
        "--entries", type=int, default=200_000, help="entries to generate (default: %(default)s)"
    )
    parser.add_argument(
        "--workers",
        type=int,
        nargs="+",
        default=[1, 2],
        help="numbers of workers to measure (default: %(default)s)",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        required=True,
        help="existing folder for the files, about 8 KB per entry",
    )
    parser.add_argument("--output", type=Path, required=True, help="JSON file for the figures")
    options, arguments = parser.parse_known_args()
    result = run(
        options.folder, entries=options.entries, workers=options.workers, arguments=arguments
    )
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
