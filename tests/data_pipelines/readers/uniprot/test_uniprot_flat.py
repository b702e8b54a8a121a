import csv
import gzip
import re
import tracemalloc
from collections import Counter

import pytest
from Bio import SwissProt

from data_pipelines.common.errors import UserError
from data_pipelines.protanno.record import Feature, Record
from data_pipelines.readers import Reject, read_entries

MODERN = """\
ID   AMY_TEST                Reviewed;          70 AA.
AC   P11111; Q22222;
AC   Q33333;
DT   01-JAN-2020, integrated into UniProtKB/Swiss-Prot.
DE   RecName: Full=Alpha-amylase; beta-like {ECO:0000255|HAMAP-Rule:MF_1};
DE            Short=AMY;
DE            EC=3.2.1.1;
DE   AltName: Full=Other name;
DE   Contains:
DE     RecName: Full=Part name;
DE   Flags: Precursor; Fragment;
GN   Name=amy;
CC   -!- FUNCTION: Cleaves 1,4-alpha-
CC       glucosidic bonds in beta-
CC       and gamma-type sugars with E-cadherin/
CC       catenin, A -
CC       B. {ECO:0000255|HAMAP-
CC       Rule:MF_1}.
CC   -!- SUBUNIT: Monomer.
CC   -!- FUNCTION: [Isoform 2]: Inactive (PubMed:1,
CC       PubMed:2).
CC   -!- SUBCELLULAR LOCATION: [Isoform 1]: Nucleus {ECO:0000305}. Note=Moves:
CC       fast.
CC   -!- INTERACTION:
CC       P1:x; NbExp=2;
CC   -!- SIMILARITY: Belongs to the X family.
CC   ---------------------------------------------------------------------------
CC   Copyrighted by the UniProt Consortium, see https://www.uniprot.org/terms
CC   ---------------------------------------------------------------------------
PE   2: Evidence at transcript level;
FT   SIGNAL          <1..20
FT                   /evidence="ECO:0000255"
FT   CHAIN           ?21..>70
FT                   /note="Alpha-
FT                   amylase with a ""quoted"" word/
FT                   end"
FT                   /evidence="ECO:0000269|PubMed:1,
FT                   ECO:0000269|PubMed:2"
FT                   /id="PRO_0000000001"
FT   BINDING         33
FT                   /ligand="Zn(2+)"
FT                   /ligand_id="ChEBI:CHEBI:29105"
FT                   /ligand_label="1"
FT                   /ligand_note="catalytic"
FT                   /note="in the dimer"
FT   BINDING         34..35
FT                   /ligand="heme b"
FT                   /ligand_part="Fe"
FT   VAR_SEQ         40..60
FT                   /note="MKVLAAGIVG
FT                   LLAQ -> GA
FT                   TK (in isoform 2)"
FT   VARIANT         61
FT                   /note="A -> R (in HCC AND
FT                   MSI cells)"
FT   HELIX           61..70
FT   CHAIN           30..?
FT   DISULFID        P11111-2:61..117
FT   MOD_RES         71
FT   CROSSLNK        a^b
SQ   SEQUENCE   70 AA;  7000 MW;  0000000000000000 CRC64;
     ACDEFGHIKL MNPQRSTVWY ACDEFGHIKL MNPQRSTVWY ACDEFGHIKL MNPQRSTVWY
     ACDEFGHIKU
//
"""

OLD = """\
ID   Q99999     PRELIMINARY;      PRT;    10 AA.
AC   Q99999;
DE   Probable aconitate hydratase, mitochondrial precursor (EC 4.2.1.3)
DE   (Citrate hydro-
DE   lyase) (Fragment).
CC   -!- SUBCELLULAR LOCATION: MITOCHONDRIAL (BY SIMILARITY).
CC   --------------------------------------------------------------------------
CC   This SWISS-PROT entry is copyright.
CC   --------------------------------------------------------------------------
FT   INIT_MET      0      0
FT   TRANSIT       1      ?       Mitochondrion (Potential).
FT   CHAIN        <2    >10       Phosphothreonine (by CaMK4) (By
FT                                similarity).
FT                                /FTId=PRO_0000000530.
FT   HELIX         6      8
SQ   SEQUENCE   10 AA;  1000 MW;  0000000000000000 CRC64;
     ACDEFGHIKL
//
"""


def read(path, content: bytes | str, **options) -> list:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_entries(path, **options))


def test_modern_entry(tmp_path):
    omitted = Counter()
    assert read(tmp_path / "a.dat", MODERN, omitted=omitted) == [
        Record(
            accession="P11111",
            entry_name="AMY_TEST",
            source="swissprot",
            sequence="ACDEFGHIKLMNPQRSTVWY" * 3 + "ACDEFGHIKU",
            existence=2,
            name="Alpha-amylase; beta-like {ECO:0000255|HAMAP-Rule:MF_1}",
            function=(
                "Cleaves 1,4-alpha-glucosidic bonds in beta- and gamma-type sugars with "
                "E-cadherin/catenin, A - B. "
                "{ECO:0000255|HAMAP-Rule:MF_1}. [Isoform 2]: Inactive (PubMed:1, PubMed:2)."
            ),
            location="[Isoform 1]: Nucleus {ECO:0000305}. Note=Moves: fast.",
            similarity="Belongs to the X family.",
            features=(
                Feature("SIGNAL", 1, 20),
                Feature("CHAIN", 21, 70, 'Alpha-amylase with a "quoted" word/end'),
                Feature("BINDING", 33, 33, "Zn(2+) 1; catalytic; in the dimer"),
                Feature("BINDING", 34, 35, "heme b; Fe"),
                Feature("VAR_SEQ", 40, 60, "MKVLAAGIVGLLAQ -> GATK (in isoform 2)"),
                Feature("VARIANT", 61, 61, "A -> R (in HCC AND MSI cells)"),
                Feature("HELIX", 61, 70),
            ),
            other_names=("AMY", "EC 3.2.1.1", "Other name"),
            genes=("amy",),
        )
    ]
    assert omitted == {
        "position unknown": 1,
        "on another sequence": 1,
        "outside of the sequence": 1,
        "location not understood": 1,
    }


def test_old_entry(tmp_path):
    omitted = Counter()
    assert read(tmp_path / "a.txt", OLD, omitted=omitted) == [
        Record(
            accession="Q99999",
            entry_name="Q99999",
            source="trembl",
            sequence="ACDEFGHIKL",
            existence=0,
            name="Probable aconitate hydratase, mitochondrial precursor",
            location="MITOCHONDRIAL (BY SIMILARITY).",
            features=(
                Feature("CHAIN", 2, 10, "Phosphothreonine (by CaMK4) (By similarity)"),
                Feature("HELIX", 6, 8),
            ),
            other_names=("EC 4.2.1.3", "Citrate hydro-lyase"),
        )
    ]
    assert omitted == {"outside of the sequence": 1, "position unknown": 1}


def test_numbers_of_thousands_of_digits_are_no_residues(tmp_path):
    omitted = Counter()
    number = "1" * 5000
    (record,) = read(
        tmp_path / "a.dat",
        MODERN.replace("<1..20", number).replace("61..70", f"1..{number}"),
        omitted=omitted,
    )
    assert [feature.type for feature in record.features][0] == "CHAIN"
    assert omitted["location not understood"] == 3
    (reject,) = read(tmp_path / "a.dat", MODERN.replace("70 AA", f"{number} AA"))
    assert reject.reason.startswith("its ID line")


def test_the_order_of_lines_does_not_matter(tmp_path):
    """Nor do blank and internal ones, nor codes that come again."""
    head, *lines, sequence, end = OLD.replace("     ACDE", "SEQ  ACDE").splitlines(keepends=True)
    (record,) = read(tmp_path / "a.dat", OLD)
    mixed = sorted(lines, key=lambda line: (line[:2] != "FT", line[:2] != "CC"))
    assert mixed != lines
    content = (
        head
        + "XX\n\n"
        + "".join(mixed)
        + "AC   P00000;\n**   internal\n"
        + sequence.replace("SEQ", "   ")
        + end
    )
    assert read(tmp_path / "a.dat", content) == [record]


@pytest.mark.parametrize(
    ("lines", "name", "others"),
    [
        ("DE   SubName: Full=Sub one {ECO:1};\nDE   SubName: Full=Sub two {ECO:1};", "Sub one {ECO:1}", ("Sub two",)),
        ("DE   SubName: Full=Sub;\nDE   RecName: Full=Rec;", "Rec", ("Sub",)),
        ("DE   RecName: Full=Rec; Short=R;", "Rec", ("R",)),
        ("DE   SubName: Full=Sub;\nDE   Contains:\nDE     RecName: Full=Part; Short=P;", "Sub", ()),
        ("DE   RecName: Full=Long\nDE     wrapped name-\nDE     like;\nDE   Flags: Precursor;", "Long wrapped name-like", ()),
        ("DE   RecName: Full=A=B; c;\nDE            EC=1.1.1.1;\nDE   AltName: INN=D;", "A=B; c", ("EC 1.1.1.1", "D")),
        ("DE   Calmodulin (CaM).", "Calmodulin", ("CaM",)),
        ("DE   Ubiquitin [Contains: Part (P)] (Fragment).", "Ubiquitin", ()),
    ],
)  # fmt: skip
def test_names(tmp_path, lines, name, others):
    entry = OLD.replace(OLD[OLD.index("DE ") : OLD.index("\nCC ")], lines)
    assert [(record.name, record.other_names) for record in read(tmp_path / "a.dat", entry)] == [
        (name, others)
    ]


def test_line_ends_and_compression_do_not_matter(tmp_path):
    plain = read(tmp_path / "a.dat", MODERN + OLD)
    assert len(plain) == 2
    crlf = (MODERN + OLD).replace("\n", "\r\n").encode()
    assert read(tmp_path / "b.dat", crlf) == plain
    assert (
        read(tmp_path / "c.dat.gz", gzip.compress(crlf[:999]) + gzip.compress(crlf[999:])) == plain
    )
    assert read(tmp_path / "d.txt", gzip.compress(crlf)) == plain
    assert read(tmp_path / "e.dat", "\n" + MODERN + "\n\n" + OLD.removesuffix("\n")) == plain


FIRST_LINE = MODERN.count("\n") + 1
"""Of an entry after MODERN."""


def replaced(old: str, new: str) -> str:
    assert old in OLD
    return OLD.replace(old, new)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (replaced("    10 AA.", "    11 AA."), "its sequence .*10 .*ID line .*11"),
        (replaced("    10 AA.", "     0 AA.").replace("ACDEFGHIKL", ""), "its sequence is empty"),
        (replaced("ACDEFGHIKL", "ACDEFG-I*L"), r"its sequence .*'\*', '-'"),
        (replaced("PRELIMINARY", "IPI"), "its status is 'IPI'"),
        (replaced(OLD[OLD.index("DE ") : OLD.index("CC ")], ""), "it has no protein name"),
        (replaced("DE   Probable", "DE   AltName: Full=Probable"), "it has no protein name"),
        (replaced("PRT;    10 AA.", "PRT;"), "its ID line"),
        (replaced("AC   Q99999;\n", ""), "it has no accession"),
        (
            replaced("FT   INIT_MET", "PE   7: Unheard of;\nFT   INIT_MET"),
            "its PE line",
        ),
        (
            replaced("AC   Q99999;\n", "AC   Q99999;\n<html>\n"),
            f"line {FIRST_LINE + 2} .*'<html>'",
        ),
        (replaced("MITOCHONDRIAL", "MITO\x07CHONDRIAL"), "its location .*control characters"),
        (replaced(OLD[: OLD.index("AC ")], ""), "it does not begin with an ID line"),
        (replaced("//\n", ""), f"it has no // before the ID line {FIRST_LINE + 17}"),
    ],
)
def test_a_broken_entry_is_a_reject_and_its_neighbours_are_read(tmp_path, entry, reason):
    path = tmp_path / "a.dat"
    before, reject, after = read(path, MODERN + entry + MODERN)
    assert isinstance(reject, Reject)
    assert re.match(reason, reject.reason)
    assert (reject.file, reject.line) == ("a.dat", FIRST_LINE)
    assert reject.accession in {"Q99999", ""}
    assert before == after
    assert before.accession == "P11111"


def test_other_bytes_and_an_unfinished_entry_are_rejects(tmp_path):
    garbage = (
        MODERN.encode().replace(b"Monomer", b"Mono\xffmer").replace(b"X family", b"\xff\xfe family")
    )
    reject, cut = read(tmp_path / "a.dat", garbage + OLD[:-3].encode())
    assert "UTF-8" in reject.reason
    assert cut == Reject("Q99999", "a.dat", MODERN.count("\n") + 1, "the file ends before its //")
    bytes_between = bytes(range(256)) * 40
    first, middle, last = read(
        tmp_path / "b.dat", MODERN.encode() + bytes_between + b"\n" + OLD.encode()
    )
    assert isinstance(middle, Reject)
    assert "does not begin with an ID line" in middle.reason
    assert (first.accession, last.accession) == ("P11111", "Q99999")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        (
            "a.dat.gz",
            gzip.compress((MODERN * 2000).encode(), mtime=0)[:-2000],
            "a.dat.gz .*gzip data end early",
        ),
        (
            "a.dat.gz",
            gzip.compress(MODERN.encode(), mtime=0)[:-8] + bytes(8),
            "a.dat.gz .*gzip file",
        ),
        ("a.dat.gz", MODERN.encode(), "a.dat.gz .*Not a gzipped file"),
        ("a.dat", b"<!DOCTYPE html>\n<p>Not found</p>\n", "is a web page"),
        ("a.dat", bytes(range(256)) * 9000, "a.dat .*UniProt flat file"),
        ("a.dat", b"", "a.dat .*empty"),
        ("a.dat", b"\n\n", "a.dat .*empty"),
        ("a.fasta", b">x\nMK\n", r"a.fasta .*\*\.dat"),
    ],
)
def test_a_broken_file_is_one_sentence(tmp_path, name, content, sentence):
    with pytest.raises(UserError, match=sentence):
        read(tmp_path / name, content)


def test_a_missing_file_and_a_folder_are_one_sentence(tmp_path):
    (tmp_path / "folder.dat").mkdir()
    for name in ("missing.dat", "folder.dat"):
        with pytest.raises(UserError, match=f"{name} cannot be read"):
            list(read_entries(tmp_path / name))


def test_memory_does_not_grow_with_the_file(tmp_path):
    path = tmp_path / "a.dat.gz"
    entry = MODERN.replace("GN   Name=amy;\n", "GN   Name=amy;\n" * 1000)
    path.write_bytes(gzip.compress(entry.encode() * 200, 1))
    tracemalloc.start()
    assert sum(1 for _ in read_entries(path)) == 200
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(entry) * 200 > 3e6
    assert peak < 1.6e6


def test_real_entries_agree_with_the_answer_key(real_data):
    folder = real_data / "uniprot" / "flat"
    with open(folder / "index.tsv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    properties = {
        "function": "n_function",
        "location": "n_subcellular_location",
        "similarity": "n_similarity",
    }
    for file in sorted({row["file"] for row in rows}):
        keys = [row for row in rows if row["file"] == file]
        entries = list(read_entries(folder.parent / file))
        assert len(entries) == len(keys)
        for entry, key in zip(entries, keys, strict=True):
            assert entry.accession == key["accession"]
            if isinstance(entry, Reject):
                assert key["status"] == "IPI"
                continue
            assert entry.entry_name == key["entry_name"]
            assert entry.source == (
                "swissprot" if key["status"] in {"Reviewed", "STANDARD"} else "trembl"
            )
            assert entry.existence == int(key["pe"] or 0)
            assert len(entry.sequence) == int(key["length_aa"])
            for name, count in properties.items():
                assert bool(getattr(entry, name)) == (key[count] != "0"), (entry.accession, name)


def no_blanks(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize(
    "name", ["uniprot_core", "uniprot_store", "biopython", "bioruby", "estpipe", "pe5"]
)
def test_real_entries_agree_with_biopython_up_to_blanks(real_data, name):
    path = real_data / "uniprot" / "flat" / f"{name}.dat.gz"
    with gzip.open(path, "rt") as file:
        others = list(SwissProt.parse(file))
    omitted = Counter()
    records = list(read_entries(path, omitted=omitted))
    topics = {
        "function": "FUNCTION: ",
        "location": "SUBCELLULAR LOCATION: ",
        "similarity": "SIMILARITY: ",
    }
    for record, other in zip(records, others, strict=True):
        assert record.sequence == other.sequence
        assert record.existence == (other.protein_existence or 0)
        assert no_blanks(record.name) in no_blanks(other.description)
        for prop, topic in topics.items():
            texts = [text.removeprefix(topic) for text in other.comments if text.startswith(topic)]
            assert no_blanks(getattr(record, prop)) == no_blanks("".join(texts))
    kept = sum(len(record.features) for record in records)
    assert kept + omitted.total() == sum(len(other.features) for other in others)
