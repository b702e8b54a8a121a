"""Compares the readers with other libraries: on generated entries, and on real flat files.

    python -m benchmarks.readers --entries 2000 --input FILES --output readers.json

Generated entries take about 5 kB in a flat file, with references and cross-references that no
reader keeps, as in UniProt (Swiss-Prot's mean is somewhat higher, TrEMBL's lower). Each reader is
compared with libraries on the same file: complete readers, and the bare parsers of XML, JSON and
CSV, which make no records. lxml and orjson are included if installed. Needs Biopython.

On real files, both flat-file readers get the same decompressed bytes in one process. The figures
show the entries that Biopython misses because it stops at an earlier one, and those whose name,
function, location or similarity it joins differently from UniProt's wrapping.
"""

import argparse
import csv
import gzip
import importlib
import importlib.util
import io
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from xml.etree import ElementTree

from Bio import SeqIO, SwissProt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data_pipelines.protanno.record import Record
from data_pipelines.readers import Reject, read_entries
from tests.support import uniprot_writers as writers
from tests.support.uniprot_writers import Name, Part, Place, Protein

TOPICS = {
    "function": "FUNCTION: ",
    "location": "SUBCELLULAR LOCATION: ",
    "similarity": "SIMILARITY: ",
}


def ours(path: Path) -> tuple[list, str]:
    """Reads all entries with our reader; '' means that it did not stop early."""
    return list(read_entries(path)), ""


def biopythons(path: Path) -> tuple[list, str]:
    """Reads all entries with Biopython; also returns why it stopped early."""
    entries = []
    try:
        with open(path, encoding="utf-8") as file:
            for entry in SwissProt.parse(file):
                entries.append(entry)
    except (ValueError, KeyError, IndexError, AssertionError) as error:
        return entries, f"{type(error).__name__}: {error}"
    return entries, ""


def timed(reader, path: Path, *, repeats: int) -> tuple[list, str, float]:
    """Entries, error, and the minimum CPU seconds of `repeats` runs."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        entries, error = reader(path)
        seconds.append(time.process_time() - start)
    return entries, error, min(seconds)


def differences(record: Record, other: SwissProt.Record) -> list[str]:
    """The properties that differ from Biopython's comments joined by spaces."""
    different = []
    for name, topic in TOPICS.items():
        texts = [text.removeprefix(topic) for text in other.comments if text.startswith(topic)]
        if " ".join(texts) != getattr(record, name):
            different.append(name)
    return different


def compare(path: Path, *, repeats: int) -> dict:
    """Compares both readers on one file."""
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


AUTHORS = "Ahmed S., Bertrand C., Chen L., Dimitrov P., Eriksen K., Fujita M., Garcia R., Hansen T."
WORDS = (
    "catalyzes",
    "the",
    "transfer",
    "of",
    "a",
    "phosphate",
    "group",
    "from",
    "ATP",
    "to",
    "its",
    "substrate",
    "first",
)


def protein(number: int) -> Protein:
    """Generates a protein of about 360 residues, Swiss-Prot's median, with all four properties."""
    draw = random.Random(number)
    tag = f"ECO:0000269|PubMed:{draw.randrange(10**8)}"
    sentences = tuple((" ".join(draw.choices(WORDS, k=40)).capitalize(), (tag,)) for _ in range(2))
    length = draw.randrange(200, 520)
    parts = [
        Part("SIGNAL", "1", "20"),
        Part("CHAIN", "21", str(length), "Putative kinase of the test"),
    ]
    parts += [Part("HELIX", str(at), str(at + 9)) for at in range(30, 120, 15)]
    parts += [
        Part("BINDING", str(at), str(at + 2), ligand=("ATP", "", "")) for at in range(125, 150, 8)
    ]
    parts += [Part("MUTAGEN", "160", "160", "Loss of activity in the assay.", ("K", ("A",)))]
    parts += [Part("VARIANT", "170", "170", "in dbSNP:rs1", ("K", ("R",)))]
    return Protein(
        accession=f"P{number:05}",
        entry_name=f"K{number}_TEST",
        source="swissprot",
        existence=draw.randrange(1, 6),
        name=("Serine/threonine-protein kinase of the test", (tag,)),
        sequence="".join(draw.choices("ACDEFGHIKLMNPQRSTVWY", k=length)),
        functions=(("", sentences),),
        locations=(
            (
                "",
                (Place(("Cell membrane", (tag,)), ("Peripheral membrane protein", (tag,))),),
                sentences[:1],
            ),
        ),
        similarities=(
            (
                "Belongs to the protein kinase superfamily. Ser/Thr protein kinase family",
                ("ECO:0000305",),
            ),
        ),
        parts=tuple(parts),
        synonyms=(Name("Kinase of the test", ("KT",)),),
    )


def padded_flat(entry: str) -> str:
    """Adds 3 references and 24 cross-references to a flat-file entry."""
    references = "".join(
        f"RN   [{number}]\n"
        "RP   NUCLEOTIDE SEQUENCE [LARGE SCALE GENOMIC DNA].\n"
        "RX   PubMed=9384377; DOI=10.1038/36786;\n"
        f"RA   {AUTHORS}\n"
        'RT   "The complete genome sequence of the test.";\n'
        "RL   Nature 390:249-256(1997).\n"
        for number in range(3)
    )
    databases = "".join(
        f"DR   EMBL; AL0091{number}; CAB15236.1; -; Genomic_DNA.\n" for number in range(24)
    )
    return entry.replace("CC   -!- FUNC", references + "CC   -!- FUNC", 1).replace(
        "DR   PDB", databases + "DR   PDB", 1
    )


def padded_xml(entry: str) -> str:
    """Adds the same to an XML entry."""
    person = "".join(f'<person name="{name}"/>' for name in AUTHORS.split(", "))
    reference = (
        '<reference key="1"><citation type="journal '
        f'article"><authorList>{person}</authorList></citation></reference>\n'
    )
    database = (
        '<dbReference type="EMBL" id="AL009126"><property type="molecule type" '
        'value="Genomic_DNA"/></dbReference>\n'
    )
    return entry.replace("<reference", reference * 3 + "<reference", 1).replace(
        "<dbRef", database * 24 + "<dbRef", 1
    )


def padded_json(entry: dict) -> dict:
    """Adds the same to a JSON entry."""
    citation = {
        "citationType": "journal article",
        "authors": AUTHORS.split(", "),
        "title": "The complete genome sequence.",
    }
    database = {
        "database": "EMBL",
        "id": "AL009126",
        "properties": [{"key": "MoleculeType", "value": "Genomic_DNA"}],
    }
    return entry | {
        "references": [{"citation": citation}] * 3,
        "uniProtKBCrossReferences": [database] * 24,
    }


def write_generated(folder: Path, entries: int) -> dict[str, Path]:
    """Writes the same entries in each format; maps file names to paths."""
    proteins = [protein(number) for number in range(entries)]
    flat = [padded_flat(writers.flat(protein)) for protein in proteins]
    xml = [padded_xml(writers.xml(protein)) for protein in proteins]
    objects = [padded_json(writers.as_json(protein)) for protein in proteins]
    prolog = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<uniprot xmlns="https://uniprot.org/uniprot">\n'
    )
    contents = {
        "generated.dat": "".join(flat),
        "generated.xml": f"{prolog}{''.join(xml)}</uniprot>\n",
        "generated.json": json.dumps({"results": objects}),
        "generated.jsonl": "".join(f"{json.dumps(each)}\n" for each in objects),
        "generated.tsv": writers.tsv_file(proteins),
    }
    for name, content in contents.items():
        (folder / name).write_text(content, encoding="utf-8")
    return {name: folder / name for name in contents}


def entries_of_xml(path: Path) -> list[bytes]:
    """The entries as our splitter passes them to a parser."""
    return [
        b"<entry " + part
        for part in path.read_bytes().removesuffix(b"</uniprot>\n").split(b"<entry ")[1:]
    ]


def count(entries: Iterable) -> int:
    """Counts items without keeping them, as a build reads."""
    return sum(1 for _ in entries)


def others(path: Path) -> dict[str, Callable[[], object]]:
    """Maps names of libraries to functions that read a generated file."""
    found: dict[str, Callable[[], object]] = {}
    installed = {
        name: importlib.import_module(name)
        for name in ("lxml.etree", "orjson")
        if importlib.util.find_spec(name.split(".")[0])
    }
    if path.suffix == ".dat":
        found["Biopython SwissProt"] = lambda: count(
            SwissProt.parse(io.StringIO(path.read_text("utf-8")))
        )
    if path.suffix == ".xml":
        old = Path(f"{path}.http")
        # Biopython knows only one of UniProt's two namespaces.
        old.write_bytes(path.read_bytes().replace(b"https://uniprot.org", b"http://uniprot.org", 1))
        found["Biopython uniprot-xml"] = lambda: count(SeqIO.parse(old, "uniprot-xml"))
        texts = entries_of_xml(path)
        found["xml.etree, parse only"] = lambda: count(map(ElementTree.fromstring, texts))
        if etree := installed.get("lxml.etree"):
            found["lxml, parse only"] = lambda: count(map(etree.fromstring, texts))
    if path.suffix == ".jsonl":
        lines = path.read_bytes().splitlines()
        found["json, parse only"] = lambda: count(map(json.loads, lines))
        if orjson := installed.get("orjson"):
            found["orjson, parse only"] = lambda: count(map(orjson.loads, lines))
    if path.suffix == ".tsv":
        lines = path.read_text("utf-8").splitlines()
        found["csv, parse only"] = lambda: count(
            csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        )
    return found


def measure_generated(entries: int, *, repeats: int) -> list[dict]:
    """Measures the CPU seconds of each reader and library."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, path in write_generated(Path(folder), entries).items():
            readers = {"read_entries": lambda path=path: count(read_entries(path))} | others(path)
            for reader, run in readers.items():
                seconds = least(run, repeats=repeats)
                size = path.stat().st_size
                rows.append(
                    {
                        "file": name,
                        "reader": reader,
                        "entries": entries,
                        "bytes": size,
                        "seconds": seconds,
                    }
                )
    return rows


def least(run: Callable[[], object], *, repeats: int) -> float:
    """The minimum CPU seconds of several runs."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return min(seconds)


def main() -> None:
    """Prints tables and writes the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument(
        "--entries", type=int, default=0, help="generated entries per format (default: none)"
    )
    parser.add_argument(
        "--input", type=Path, nargs="*", default=[], help="UniProt flat files, plain or gzip"
    )
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    parser.add_argument(
        "--repeats",
        type=int,
        default=3,
        help="number of runs, of which the fastest counts (default: %(default)s)",
    )
    options = parser.parse_args()
    generated = (
        measure_generated(options.entries, repeats=options.repeats) if options.entries else []
    )
    if generated:
        print(f"{'generated file':<18}{'kB/entry':>9}  {'reader':<24}{'entries/s':>10}{'MB/s':>8}")
    for row in generated:
        size, seconds = row["bytes"], row["seconds"]
        speeds = f"{row['entries'] / seconds:>10.0f}{size / seconds / 1e6:>8.1f}"
        print(f"{row['file']:<18}{size / row['entries'] / 1e3:>9.1f}  {row['reader']:<24}{speeds}")
    rows = [compare(path, repeats=options.repeats) for path in options.input]
    if rows:
        columns = f"{'file':<28}{'entries':>8}{'rejects':>8}{'/s':>8}{'Biopython':>12}{'/s':>8}"
        print(f"{columns}   differing texts, error")
    for row in rows:
        speed = row["entries"] / row["seconds"]
        other_speed = row["biopython_entries"] / row["biopython_seconds"]
        ours_cells = f"{row['file']:<28}{row['entries']:>8}{row['rejects']:>8}{speed:>8.0f}"
        other_cells = f"{row['biopython_entries']:>12}{other_speed:>8.0f}"
        different = sum(row["biopython_different"].values())
        error = row["biopython_error"] or "none"
        print(f"{ours_cells}{other_cells}   {different}, {error}")
    if options.output:
        figures = {"generated": generated, "real": rows}
        options.output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
