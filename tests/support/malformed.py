"""More than 200 malformed inputs, invented, with what a command must tell of each: the name of
the fault, not a guess."""

import bz2
import gzip
import json
import lzma
from typing import NamedTuple

GOOD = (
    "MADEKRWLNAPQFTGIHSVYCADEKRWLNAPQFTG",
    "MSTNPKPQRKTKRNTNRRPQDVKFPGGGQIVGGVY",
    "MGLSDGEWQLVLNVWGKVEADIPGHGQEVLIRLFK",
)
GENE = "ATGGCTGACGAAAAACGTTGGCTGAACGCT"
CODES = "METALAASPGLULYSARGTRP"


class Malformed(NamedTuple):
    """An input.

    Attributes:
      surface: who reads it, a key of the test's `SURFACES`.
      message: a regular expression that the output must hold.
    """

    surface: str
    file: str
    content: bytes
    message: str


class Fault(NamedTuple):
    """A sequence or a text with something wrong, among good ones.

    Attributes:
      fate: what a survey does with it: `rejected`, `cleaned`, `doubtful` or `words`.
      said: of the kind of change or doubt, or the reason of the reject.
    """

    content: str
    fate: str
    said: str


PROTEIN_FAULTS = {
    "a digit": Fault("MKV7LLA", "rejected", "'7' at position 4"),
    "punctuation": Fault("MKV;LLA", "rejected", "';' at position 4"),
    "a sentence": Fault("not a sequence, sorry", "rejected", "',' at position"),
    "a link": Fault("https://example.org/x", "rejected", "':' at position 6"),
    "a zero-width space": Fault("MKV\u200bLLA", "rejected", "at position 4"),
    "Greek letters": Fault("MKΑLLA", "rejected", "at position 3"),
    "full-width letters": Fault("ＭＫＶ", "rejected", "at position 1"),
    "only gaps": Fault("----", "rejected", "it is empty"),
    "only a stop": Fault("*", "rejected", "it is empty"),
    "a wrong residue number": Fault("MKVLLA 60 MKV", "rejected", "'6' at position 8"),
    "a mutation": Fault("A24G", "rejected", "'2' at position 2"),
    "brackets": Fault("MK[UNIMOD]V", "rejected", "'.' at position 3"),
    "residue numbers": Fault("1 MKTAYIAKQR 11 QISFVKSHFS", "cleaned", "residue numbers"),
    "lower case": Fault("mkvllaRW", "cleaned", "lower case letters"),
    "gaps": Fault("MK--VL.A", "cleaned", "gaps"),
    "a stop at the end": Fault("MKVLLA*", "cleaned", r"\* at the end"),
    "stops inside": Fault("MKV*LL*A", "cleaned", r"\* inside"),
    "J": Fault("MKVJLA", "cleaned", "J, read as X"),
    "a gene": Fault(GENE, "doubtful", "nucleotides"),
    "RNA": Fault(GENE.replace("T", "U").lower(), "doubtful", "nucleotides"),
    "three-letter codes": Fault(CODES, "doubtful", "three-letter codes"),
}

CELL_FAULTS = {
    word: Fault(word, "rejected", "missing value")
    for word in ("nan", "NA", "None", "null", "N/A", "#N/A", "NaN", "NULL")
}

TEXT_FAULTS = {
    "no word known": Fault("βγδ εζη", "doubtful", "vocabulary"),
    "Chinese": Fault("激酶", "doubtful", "vocabulary"),
    "one unknown word": Fault("abc ∆∆", "words", "vocabulary"),
}

FOREIGN = "UTF-8|begins with|starts with '>'|no column|a table of proteins|line 1 is|OBO term"
NOT_TEXT = {
    "bzip2": (bz2.compress(b">a\nMKV\n"), "compressed with bzip2"),
    "xz": (lzma.compress(b">a\nMKV\n"), "compressed with xz"),
    "zstd": (b"\x28\xb5\x2f\xfd\x04\x00", "compressed with zstd"),
    "a spreadsheet": (b"PK\x03\x04\x14\x00", "ZIP archive or spreadsheet"),
    "UTF-16": (">a\nMKV\n".encode("utf-16"), "UTF-16"),
    "half a gzip": (gzip.compress(b">Cluster 0\n" * 50)[:-12], "gzip data end early"),
    "bytes of no encoding": (b"name,text,sequence\n\xff\xfe\xfa,\xff\xff,\xff\n", FOREIGN),
    "a web page": (b"<!DOCTYPE html>\n<html><body>503 Service Unavailable</body></html>\n", "HTML"),
    "nothing": (b"", "empty|no FASTA record|holds no|has no|lists no cluster"),
    "blank lines": (b"\n \n\n", "empty|no FASTA record|holds no|has no|line 1 is"),
    "a PDF": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "PDF"),
    "an answer in JSON": (b'{"messages": ["Not found"], "url": "http://x"}\n', f"JSON|{FOREIGN}"),
}


def rows(sequences, *, start="r"):
    """Pairs of a name and a sequence."""
    return [(f"{start}{number}", text) for number, text in enumerate(sequences)]


def written(kind, pairs, header=("id", "sequence")):
    """The bytes of a FASTA file, a table or lines."""
    if kind == "fasta":
        return "".join(f">{name}\n{text}\n" for name, text in pairs).encode()
    if kind == "txt":
        return "".join(f"{text}\n" for _, text in pairs).encode()
    mark = "," if kind == "csv" else "\t"

    def quoted(cell):
        return f'"{cell}"' if mark in cell else cell

    return "".join(mark.join(map(quoted, row)) + "\n" for row in [header, *pairs]).encode()


def of_proteins():
    """Proteins with a fault among good ones, in every form, at the commands that embed or
    search."""
    for surface in ("embed", "search"):
        for kind in ("fasta", "csv"):
            for name, fault in PROTEIN_FAULTS.items():
                content = written(kind, rows([*GOOD, fault.content]))
                yield (
                    f"{surface} {kind}: {name}",
                    Malformed(surface, f"x.{kind}", content, telling(surface, fault)),
                )
        for name, fault in CELL_FAULTS.items():
            content = written("tsv", rows([*GOOD, fault.content]))
            yield (
                f"{surface} tsv: {name}",
                Malformed(surface, "x.tsv", content, telling(surface, fault)),
            )


def telling(surface, fault):
    """What a command says of a fault in one of four items."""
    if surface == "search":
        return fault.said if fault.fate != "cleaned" else ""
    fates = {
        "rejected": "rejected: 1 of 4",
        "cleaned": f"cleaned: 1 with {fault.said}",
        "doubtful": f"doubtful: 1 .*{fault.said}",
        "words": f"words: 1 .*{fault.said}",
    }
    return fates[fault.fate]


def of_texts():
    """Texts with a fault, in every form."""
    for kind in ("txt", "csv", "tsv"):
        for name, fault in TEXT_FAULTS.items():
            content = written(kind, rows(["abc def", "fed", "cab", fault.content]), ("id", "text"))
            yield (
                f"texts {kind}: {name}",
                Malformed("texts", f"x.{kind}", content, telling("texts", fault)),
            )


def of_files():
    """Files that are no text, or of another kind than their names say, at every command that
    reads files."""
    readers = {
        "embed": ("fasta", "csv", "tsv"),
        "texts": ("txt",),
        "search": ("fasta", "txt"),
        "build": ("dat", "tsv", "json"),
        "exclude": ("fasta",),
        "clusters": ("clstr",),
        "labels": ("obo", "tsv"),
    }
    for surface, kinds in readers.items():
        for kind in kinds:
            for name, (content, message) in NOT_TEXT.items():
                if (name, kind) != ("an answer in JSON", "json"):
                    yield (
                        f"{surface} {kind}: {name}",
                        Malformed(surface, f"x.{kind}", content, message),
                    )


def of_structures():
    """Files whose lines do not belong together as they should."""
    good = written("fasta", rows(GOOD))
    table = written("csv", rows(GOOD))
    structures = {
        "a wrapped header": (
            "fasta",
            good + b">w a long\nname of a protein\nMKVLLA\n",
            "rejected: 1 of 4",
        ),
        "no header line": ("fasta", b"MKVLLA\n" + good, "starts with '>'"),
        "an empty record": ("fasta", good + b">e\n", "rejected: 1 of 4"),
        "an id twice": ("fasta", good + b">r0\nMKVLLA\n", "1 are duplicates"),
        "no id": ("fasta", good + b">\nMKVLLA\n", "1 are empty"),
        "DNA in PIR": ("fasta", good + b">DL;d\nThing\nACGT*\n", "rejected: 1 of 4"),
        "a short row": ("csv", table + b"r9\n", "rejected: 1 of 4"),
        "a long row": ("csv", table + b"r9,MKV,MKV\n", "rejected: 1 of 4"),
        "a quotation mark that stays open": ("csv", table + b'r9,"MKV\n', "quot"),
        "no such column": ("csv", table.replace(b"sequence", b"letters"), "no column"),
        "no column of ids": ("csv", table.replace(b"id,", b"gene,"), "rows are numbered"),
        "a header alone": ("csv", b"id,sequence\n", "no usable proteins"),
        "FASTA in a table": ("csv", good, "FASTA"),
        "a table in FASTA": ("fasta", table, "starts with '>'"),
        "a flat file in FASTA": ("fasta", b"ID   AB_TEST  Reviewed;  9 AA.\n", "flat file"),
        "GenBank": ("fasta", b"LOCUS       NC_1\n", "GenBank"),
        "XML": ("tsv", b"<?xml version='1.0'?>\n<uniprot/>\n", "XML"),
        "genes alone": ("fasta", written("fasta", rows([GENE, GENE + "ACG"])), "--accept_doubtful"),
        "codes alone": (
            "fasta",
            written("fasta", rows([CODES, CODES + "MET"])),
            "--accept_doubtful",
        ),
    }
    for name, (kind, content, message) in structures.items():
        yield f"embed: {name}", Malformed("embed", f"x.{kind}", content, message)


def of_entries():
    """Tables and JSON lines to build from, with an entry that is wrong among good ones."""
    columns = ("accession", "sequence", "name", "function", "existence")
    good = [
        (f"P{number}", text, f"Thing {number}", "Cuts.", "1") for number, text in enumerate(GOOD)
    ]
    wrong = {
        "no sequence": ("P9", "", "Thing", "Cuts.", "1"),
        "a digit": ("P9", "MK7V", "Thing", "Cuts.", "1"),
        "no accession": ("", "MKV", "Thing", "Cuts.", "1"),
        "an existence of 9": ("P9", "MKV", "Thing", "Cuts.", "9"),
        "an existence of words": ("P9", "MKV", "Thing", "Cuts.", "sure"),
        "a control character": ("P9", "MKV", "Thi\x07ng", "Cuts.", "1"),
        "too few cells": ("P9", "MKV"),
        "too many cells": ("P9", "MKV", "Thing", "Cuts.", "1", "x"),
        "a missing value": ("P9", "nan1", "Thing", "Cuts.", "1"),
    }
    for name, row in wrong.items():
        content = written("tsv", [*good, row], columns)
        yield (
            f"build tsv: {name}",
            Malformed("build", "x.tsv", content, "4 entries, 3 records, 1 rejected"),
        )
    nameless = written("tsv", [*good, ("P9", "MKV", "", "", "")], columns)
    yield (
        "build tsv: neither name nor text",
        Malformed("build", "x.tsv", nameless, "4 entries, 4 records, 0 rejected"),
    )
    gene = ("P9", GENE, "Thing", "Cuts.", "1")
    yield (
        "build tsv: a gene",
        Malformed(
            "build", "x.tsv", written("tsv", [*good, gene], columns), "1 of 4 .* nucleotides"
        ),
    )
    yield (
        "build tsv: genes",
        Malformed("build", "x.tsv", written("tsv", [gene], columns), "--accept_doubtful"),
    )
    same = written("tsv", [*good, ("P9", GOOD[0], "Thing", "Cuts.", "1")], columns)
    yield "build tsv: a sequence twice", Malformed("build", "x.tsv", same, "1 deduplicated")
    unknown = written("tsv", good, (*columns[:3], "functoin", "existence"))
    yield "build tsv: a column that nothing reads", Malformed("build", "x.tsv", unknown, "functoin")
    lines = [
        {"primaryAccession": "P1"},
        {"x": 1},
        [],
        {"accession": "P1"},
        {"accession": "P1", "sequence": 5},
    ]
    for line in lines:
        yield (
            f"build json: {line}",
            Malformed(
                "build", "x.json", json.dumps(line).encode(), "rejected|is no|holds no|has no"
            ),
        )


def of_joins():
    """Files that are joined to a dataset by name or sequence, and match little of it."""
    yield (
        "clusters of other names",
        Malformed("clusters", "x.tsv", b"c1\tQ1\nc1\tQ2\n", "x.tsv.*none of the 3 records"),
    )
    yield (
        "clusters of some",
        Malformed("clusters", "x.tsv", b"c1\tP0\nc1\tP1\n", "1 of 3 records are in no cluster"),
    )
    yield (
        "an accession in two clusters",
        Malformed("clusters", "x.tsv", b"c1\tP0\nc2\tP0\n", "keep one"),
    )
    yield "clusters with three columns", Malformed("clusters", "x.tsv", b"c1\tP0\tx\n", "line 1")
    cut = b">Cluster 0\n0\t35aa, >P... *\n"
    yield "clusters with names cut", Malformed("clusters", "x.clstr", cut, "x.clstr.*-d 0")
    yield (
        "excluded: none of them",
        Malformed("exclude", "x.fasta", b">a\nMKVLLA\n", "0 of its 1 sequences"),
    )
    yield (
        "excluded: no protein",
        Malformed("exclude", "x.fasta", b">a\nMK7\n", "x.fasta line 1: a .*'7' at position 3"),
    )
    yield (
        "excluded: a gene",
        Malformed("exclude", "x.fasta", f">a\n{GENE}\n".encode(), "match no proteins"),
    )
    yield (
        "excluded: all",
        Malformed("exclude", "x.fasta", written("fasta", rows(GOOD)), "no records remain"),
    )


def of_labels():
    """Libraries of labels."""
    term = b"[Term]\nid: GO:1\nname: abc\nnamespace: molecular_function\n\n"
    old = b"[Term]\nid: GO:2\nname: fed\nis_obsolete: true\nreplaced_by: GO:1\n\n"
    foreign = b"[Term]\nid: CHEBI:3\nname: zinc\nnamespace: gene_ontology\n\n"
    unnamed = b"[Term]\nid: GO:4\n\n"
    yield (
        "labels: an obsolete term",
        Malformed("labels", "x.obo", term + old, "obsolete, replaced by GO:1"),
    )
    yield (
        "labels: a foreign term",
        Malformed("labels", "x.obo", term + foreign, "another ontology, CHEBI"),
    )
    yield (
        "labels: a term without a name",
        Malformed("labels", "x.obo", term + unnamed, "no id or no name"),
    )
    yield (
        "labels: nothing but old terms",
        Malformed("labels", "x.obo", old, "no usable label"),
    )
    yield (
        "labels: no column of ids",
        Malformed("labels", "x.tsv", b"kind\tname\nk\tabc\n", "rows are numbered"),
    )
    yield (
        "labels: an empty text",
        Malformed("labels", "x.tsv", b"id\tname\nk\tabc\nl\t\n", "texts are empty|left out"),
    )
    yield "labels: a short row", Malformed("labels", "x.tsv", b"id\tname\nk\tabc\nl\n", "left out")
    yield (
        "labels: a missing value",
        Malformed("labels", "x.tsv", b"id\tname\nk\tabc\nl\tnan\n", "left out"),
    )
    yield (
        "labels: no column of texts",
        Malformed("labels", "x.tsv", b"id\tthing\nk\tabc\n", "no column"),
    )


def corpus():
    """Name → malformed input."""
    parts = (of_proteins, of_texts, of_files, of_structures, of_entries, of_joins, of_labels)
    found = {}
    for part in parts:
        for name, malformed in part():
            assert name not in found
            if malformed.message:
                found[name] = malformed
    return found
