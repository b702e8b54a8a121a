"""UniProt's TSV exports and a lab's own table."""

import itertools
import random
import re
from collections import Counter

import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.protanno.record import Feature, Record
from data_pipelines.readers import Reject, read_entries
from data_pipelines.readers.uniprot.names import split_names
from tests.support import uniprot_writers as writers
from tests.support.uniprot_writers import PROTEIN


def read(path, *lines: str, **options) -> list:
    path.write_text("\n".join(lines), encoding="utf-8")
    return list(read_entries(path, **options))


def table(*rows: dict[str, str]) -> list[str]:
    return ["\t".join(rows[0]), *("\t".join(row.values()) for row in rows)]


ROW = {"Entry": "P1", "Protein names": "Amylase", "Sequence": "MKVLAAGIVG"}


def test_columns_in_any_order_and_number(tmp_path):
    order = random.Random(0)
    fields = {
        "Entry Name": "entry_name",
        "Reviewed": "source",
        "Protein existence": "existence",
        "Function [CC]": "function",
    }
    fields |= {"Subcellular location [CC]": "location", "Sequence similarities": "similarity"}
    needed = ["Entry", "Protein names", "Sequence"]
    (whole,) = read(tmp_path / "a.tsv", writers.tsv_file([PROTEIN]))
    for number in range(len(fields) + 1):
        for chosen in itertools.islice(itertools.combinations(fields, number), 6):
            columns = [*needed, *chosen]
            order.shuffle(columns)
            (record,) = read(tmp_path / "a.tsv", writers.tsv_file([PROTEIN], columns))
            for column, field in fields.items():
                absent = {"source": "swissprot", "existence": 0}.get(field, "")
                assert getattr(record, field) == (
                    getattr(whole, field) if column in chosen else absent
                )


@pytest.mark.parametrize(
    ("cells", "source"),
    [
        ({}, "swissprot"),
        ({"Reviewed": "unreviewed"}, "trembl"),
        ({"Status": "reviewed"}, "swissprot"),
        ({"Entry name": "AMY_TEST"}, "swissprot"),
        ({"Entry Name": "P1_TEST"}, "trembl"),
        ({"Entry Name": "P1_TEST", "Reviewed": "reviewed"}, "swissprot"),
    ],
)
def test_source(tmp_path, cells, source):
    assert [record.source for record in read(tmp_path / "a.tsv", *table(ROW | cells))] == [source]


@pytest.mark.parametrize(
    ("text", "name", "others"),
    [
        ("Amylase", "Amylase", ()),
        (
            "Amylase (AMY) (EC 3.2.1.1) (Glycogenase (old))",
            "Amylase",
            ("AMY", "EC 3.2.1.1", "Glycogenase (old)"),
        ),
        ("Amylase [Cleaved into: Small (S); Large [x] (L)]", "Amylase", ()),
        ("Amylase (AMY) [Includes: One (EC 1.1.1.1)]", "Amylase", ("AMY",)),
        ("Amylase (A) (Fragment) [Cleaved into: B (C)] [Includes: D (E)]", "Amylase", ("A",)),
        ("Amylase [Contains: B (C)] (Fragments)", "Amylase", ()),
        (
            "Superoxide dismutase [Cu-Zn] (EC 1.15.1.1)",
            "Superoxide dismutase [Cu-Zn]",
            ("EC 1.15.1.1",),
        ),
        ("1-(5-phospho)-synthase (EC 1.1.1.1)", "1-(5-phospho)-synthase", ("EC 1.1.1.1",)),
        (
            "tRNA (guanine-N(1)-)-methyltransferase (M1G)",
            "tRNA (guanine-N(1)-)-methyltransferase",
            ("M1G",),
        ),
        ("HMG-CoA reductase (NADPH) (HMGR)", "HMG-CoA reductase (NADPH)", ("HMGR",)),
        (
            "Glutamate dehydrogenase (NAD(P)(+)) (GDH)",
            "Glutamate dehydrogenase (NAD(P)(+))",
            ("GDH",),
        ),
        (
            "Asparagine synthetase (glutamine-hydrolyzing)",
            "Asparagine synthetase (glutamine-hydrolyzing)",
            (),
        ),
        ("Odd) one", "Odd) one", ()),
        ("Odd one)", "Odd one)", ()),
        ("(all) (of it)", "(all)", ("of it",)),
        ("", "", ()),
    ],
)
def test_split_names(text, name, others):
    assert split_names(text) == (name, others)


def test_names_of_a_row(tmp_path):
    (record,) = read(
        tmp_path / "a.tsv", *table(ROW | {"Protein names": "Amylase (AMY) (EC 3.2.1.1) (Fragment)"})
    )
    assert (record.name, record.other_names) == ("Amylase", ("AMY", "EC 3.2.1.1"))


def test_comments_lose_their_topic(tmp_path):
    cells = {
        "Function [CC]": "FUNCTION: A; FUNCTION wins. {ECO:1}.; FUNCTION: [Isoform 2]: B.",
        "Protein families": "X family",
    }
    cells |= {
        "Sequence similarities": "SIMILARITY: Belongs to the X family. {ECO:2}.; SIMILARITY: Contains Y."
    }
    (record,) = read(tmp_path / "a.tsv", *table(ROW | cells))
    assert record.function == "A; FUNCTION wins. {ECO:1}. [Isoform 2]: B."
    assert record.similarity == "Belongs to the X family. {ECO:2}. Contains Y."


def test_families_stand_in_for_similarities(tmp_path):
    cells = {
        "Protein families": "Protein kinase superfamily, CMGC Ser/Thr protein kinase family, CDC2/CDKX "
        "subfamily; Y family"
    }
    (record,) = read(tmp_path / "a.tsv", *table(ROW | cells))
    one = (
        "Belongs to the Protein kinase superfamily. CMGC Ser/Thr protein kinase family. "
        "CDC2/CDKX subfamily."
    )
    assert record.similarity == f"{one} Belongs to the Y family."
    (record,) = read(tmp_path / "a.tsv", *table(ROW | {"Protein families": ""}))
    assert record.similarity == ""


def test_features_of_both_layouts(tmp_path):
    omitted = Counter()
    cells = {
        "Metal binding": "METAL 3 3 Zinc 1; catalytic. {ECO:1}.; METAL 5 5 Zinc. {ECO:1}.; METAL 7 7; METAL ? "
        "9 x"
    }
    cells |= {
        "Chain": 'CHAIN 1..9; /note="Amylase; CHAIN of it"; /id="PRO_1"; CHAIN ?..4',
        "Helix": "HELIX 2..4; HELIX 6",
    }
    cells |= {"Features": "Chain (1); Helix (2)", "Strand": "STRAND 1..2", "Beta strand": "what 5"}
    (record,) = read(tmp_path / "a.tsv", *table(ROW | cells), omitted=omitted)
    assert record.features == (
        Feature("METAL", 3, 3, "Zinc 1; catalytic. {ECO:1}"),
        Feature("METAL", 5, 5, "Zinc. {ECO:1}"),
        Feature("METAL", 7, 7),
        Feature("CHAIN", 1, 9, "Amylase; CHAIN of it"),
        Feature("HELIX", 2, 4),
        Feature("HELIX", 6, 6),
    )
    assert omitted == {"position unknown": 2, "location not understood": 1}


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"Reviewed": "maybe"}, "its status is 'maybe'"),
        ({"Protein existence": "Rumoured"}, "its protein existence .*'Rumoured'"),
        ({"Length": "9"}, "its sequence .*10 .*Length .*9"),
        ({"Sequence": ""}, "its sequence is empty"),
        ({"Protein names": ""}, "it has no protein name"),
        ({"Entry": ""}, "it has no accession"),
        ({"Gene Names": "a\tb"}, "its row has 5 .*header has 4"),
        ({"Function [CC]": "FUNCTION: a\x01b"}, "its function .*control characters"),
        ({"Protein names": "Amylase (a\x01b)"}, "its other names .*control characters"),
    ],
)
def test_a_broken_row_is_a_reject(tmp_path, cells, reason):
    row = ROW | cells
    header, broken = table(row)
    sound = (
        "\t".join((ROW | dict.fromkeys(cells, "")).values())
        if not set(cells) & set(ROW)
        else "\t".join(ROW.values())
    )
    before, reject, after = read(tmp_path / "a.tsv", header, sound, broken, sound)
    assert before == after
    assert isinstance(before, Record)
    assert reject == Reject(row["Entry"], "a.tsv", 3, reject.reason)
    assert re.match(reason, reject.reason)


def test_lengths_may_have_commas(tmp_path):
    (record,) = read(tmp_path / "a.tsv", *table(ROW | {"Sequence": "A" * 1234, "Length": "1,234"}))
    assert len(record.sequence) == 1234


LAB = {
    "accession": "LAB1",
    "sequence": "MKV",
    "name": "Widgetase",
    "function": 'Cuts "widgets" in 2".',
    "location": "",
    "similarity": "X.",
}


def test_a_lab_s_table(tmp_path):
    expected = Record(
        "LAB1", "", "unknown", "MKV", 0, "Widgetase", 'Cuts "widgets" in 2".', "", "X."
    )
    header, row = table(LAB)
    assert read(tmp_path / "a.tsv", header, row, "", row) == [expected] * 2
    assert read(tmp_path / "a.tsv", "\ufeff" + header + "\r", row + "\r") == [expected]
    (record,) = read(
        tmp_path / "a.tsv", *table({"name": "N", "sequence": "MKV", "accession": "L2"})
    )
    assert record == Record("L2", "", "unknown", "MKV", 0, "N")
    more = {"entry_name": "W_LAB", "source": "trembl", "existence": "4"}
    (record,) = read(tmp_path / "a.tsv", *table(LAB | more))
    assert (record.entry_name, record.source, record.existence) == ("W_LAB", "trembl", 4)
    more = {"organism": "Mus x (Mouse)", "taxon": "10090", "genes": "wA wB", "go": "GO:0005524"}
    (record,) = read(tmp_path / "a.tsv", *table(LAB | more))
    assert (record.organism, record.taxon, record.genes) == ("Mus x (Mouse)", 10090, ("wA", "wB"))
    assert record.go == ("GO:0005524",)
    for taxon in ("mouse", "99999999999"):
        (reject,) = read(tmp_path / "a.tsv", *table(LAB | {"taxon": taxon}))
        assert f"its taxon is {taxon}" in reject.reason.replace("'", "")


@pytest.mark.parametrize("source", ["", "unknown", "swissprot", "trembl"])
def test_a_row_may_lack_source_name_and_any_text(tmp_path, source):
    row = dict.fromkeys(LAB, "") | {"accession": "L1", "sequence": "MKV", "source": source}
    (record,) = read(tmp_path / "a.tsv", *table(row))
    assert record == Record("L1", "", source or "unknown", "MKV", 0, "")
    (record,) = read(tmp_path / "a.tsv", "accession\tsequence", "L1\tMKV")
    assert record == Record("L1", "", "unknown", "MKV", 0, "")


def test_features_of_a_row(tmp_path):
    omitted = Counter()
    cell = (
        'ACT_SITE 2; /note="Cuts; then holds"; DOMAIN 1..3; /note="C2H2-type"; SIGNAL 1 2; '
        "DOMAIN 2..9"
    )
    (record,) = read(tmp_path / "a.tsv", *table(LAB | {"features": cell}), omitted=omitted)
    assert record.features == (
        Feature("ACT_SITE", 2, 2, "Cuts; then holds"),
        Feature("DOMAIN", 1, 3, "C2H2-type"),
        Feature("SIGNAL", 1, 2),
    )
    (record,) = read(tmp_path / "a.tsv", *table(LAB | {"features": "WIDGET 1..2"}), omitted=omitted)
    assert not record.features
    assert omitted == {"outside of the sequence": 1, "type not known": 1}


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"existence": "6"}, "its existence is '6'"),
        ({"existence": "12"}, "its existence is '12'"),
        ({"source": "lab"}, "its source is 'lab'"),
        ({"sequence": "mkv"}, "its sequence .*'k', 'm', 'v'"),
    ],
)
def test_a_broken_row_of_a_lab_is_a_reject(tmp_path, cells, reason):
    (reject,) = read(tmp_path / "a.tsv", *table(LAB | cells))
    assert reject.accession == "LAB1"
    assert re.match(reason, reject.reason)


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ("", "a.tsv .*empty"),
        ("Entry\tSequence", "has entry, sequence; .*Entry, Protein names and Sequence"),
        ("accession\tname", "has accession, name; .*accession and sequence"),
        (
            "accession\tsequence\tname\tfucntion",
            "a.tsv .*column fucntion; .*accession",
        ),
        ("accession\tsequence\tname\tname", "column name twice"),
        ("<html>", "is a web page"),
    ],
)
def test_another_header_is_one_sentence(tmp_path, header, sentence):
    with pytest.raises(UserError, match=sentence):
        read(tmp_path / "a.tsv", header, "x\ty") if header else read(tmp_path / "a.tsv", "")
