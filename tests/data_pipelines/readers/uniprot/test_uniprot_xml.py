import re

import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.protanno.record import Feature
from data_pipelines.readers import Reject, read_entries
from tests.support import uniprot_writers as writers
from tests.support.uniprot_writers import Part, Protein

PROTEIN = Protein(
    "P11111",
    "AMY_TEST",
    "swissprot",
    2,
    ("Amylase", ()),
    "ACDEFGHIKL",
    parts=(Part("CHAIN", "2", "9", "Amylase"),),
)
SOUND = writers.xml_file([PROTEIN])


def read(path, content: str | bytes) -> list:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_entries(path))


def replaced(old: str, new: str, count: int = -1) -> str:
    assert old in SOUND
    return SOUND.replace(old, new, count)


def test_where_the_namespace_stands_does_not_matter(tmp_path):
    (record,) = read(tmp_path / "a.xml", SOUND)
    of_entry = replaced("<entry ", '<entry xmlns="http://uniprot.org/uniprot" ').replace(
        ' xmlns="https://uniprot.org/uniprot"', ""
    )
    assert read(tmp_path / "a.xml", of_entry) == [record]
    assert read(tmp_path / "a.xml", SOUND.replace("\n", "\r\n")) == [record]


@pytest.mark.parametrize(
    ("location", "position"),
    [
        (
            '<begin position="2" status="less than"/><end position="9" status="greater than"/>',
            (2, 9),
        ),
        ('<begin position="2" status="uncertain"/><end position="9"/>', (2, 9)),
        ('<position position="5"/>', (5, 5)),
        ('<begin status="unknown"/><end position="9"/>', None),
        ('<position status="unknown"/>', None),
        ('<begin position="2"/><end position="11"/>', None),
        ('<begin position="9"/><end position="2"/>', None),
        ('<begin position="2"/>', None),
        ("", None),
    ],
)
def test_locations(tmp_path, location, position):
    content = replaced('<begin position="2"/><end position="9"/>', location)
    (record,) = read(tmp_path / "a.xml", content)
    assert record.features == ((Feature("CHAIN", *position, "Amylase"),) if position else ())


def test_features_on_other_sequences_are_left_out(tmp_path):
    (record,) = read(
        tmp_path / "a.xml", replaced("<location><begin", '<location sequence="P11111-2"><begin')
    )
    assert record.features == ()


def test_notes_without_capitals_and_stops(tmp_path):
    """XML writes the note of a variant as a sentence; abbreviations keep their letters."""
    written = {"in HCC": "In HCC.", "DNA-bound": "DNA-bound.", "": ""}
    for note, description in written.items():
        new = (
            '<feature type="sequence variant" '
            f'description="{description}"><original>A</original><variation>V</variation>'
        )
        (record,) = read(
            tmp_path / "a.xml", replaced('<feature type="chain" description="Amylase">', new)
        )
        assert record.features == (
            Feature("VARIANT", 2, 9, f"A -> V ({note})" if note else "A -> V"),
        )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (replaced('dataset="Swiss-Prot"', 'dataset="Other"'), "its dataset is 'Other'"),
        (
            replaced("<accession>P11111</accession><accession>Q00000</accession>", ""),
            "it has no accession",
        ),
        (replaced("fullName>", "shortName>"), "it has no protein name"),
        (
            replaced('length="10"', 'length="11"'),
            "its sequence .*10 .*length .*11",
        ),
        (replaced("ACDEFGHIKL", "ACDEFG-IKL"), "its sequence .*'-'"),
        (replaced("<sequence", "<other").replace("</sequence", "</other"), "its sequence is empty"),
        (
            replaced("evidence at transcript level", "heard of"),
            "its protein existence .*'heard of'",
        ),
        (replaced("<name>", "<nam>"), "it is .*well-formed XML: mismatched tag"),
        (replaced(">Amylase<", ">Amy&lase<"), "it is .*well-formed XML: "),
        (replaced(">Amylase<", ">Amy\x07lase<"), "it is .*well-formed XML: "),
        (replaced(">Amylase<", ">Amy&#x85;lase<"), None),
        (replaced("</entry>", ""), "the file ends before its </entry>"),
        (SOUND[: SOUND.index("</entry>")], "the file ends before its </entry>"),
    ],
)
def test_a_broken_entry_is_a_reject(tmp_path, content, reason):
    (entry,) = read(tmp_path / "a.xml", content)
    if reason is None:
        assert entry.name == "Amy lase"
        return
    assert isinstance(entry, Reject)
    assert re.match(reason, entry.reason)
    assert (entry.file, entry.line, entry.accession in ("P11111", "Q00000", "")) == (
        "a.xml",
        3,
        True,
    )


def test_bytes_of_another_encoding_are_a_reject(tmp_path):
    good = writers.xml(PROTEIN).encode()
    bad = good.replace(b"Amylase", b"\xe9mylase")
    head, tail = SOUND.encode().split(good)
    before, reject, after = read(tmp_path / "a.xml", head + good + bad + good + tail)
    assert before == after
    assert "invalid token" in reject.reason
    assert reject.line == 3 + good.count(b"\n")


def test_an_unfinished_file_is_reported(tmp_path):
    record, reject = read(tmp_path / "a.xml", SOUND[: SOUND.index("<copyright")])
    assert record.accession == "P11111"
    assert reject.reason == "the file ends before its </uniprot>"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "a.xml .*empty"),
        ("<html><p>Not found</html>", "is a web page"),
        (replaced("<uniprot", "<other"), "a.xml .*UniProt XML"),
        (replaced('encoding="UTF-8"', 'encoding="ISO-8859-1"'), "a.xml .*'ISO-8859-1'"),
        (replaced('encoding="UTF-8"', 'encoding="UTF\n8"'), r"a.xml .*'UTF\\n8'"),
        (SOUND.encode("utf-16"), "is text in UTF-16; save it as UTF-8"),
        (replaced("<uniprot", "<!DOCTYPE uniprot><uniprot"), "declares a document type"),
    ],
)
def test_another_file_is_one_sentence(tmp_path, content, sentence):
    with pytest.raises(UserError, match=sentence):
        read(tmp_path / "a.xml", content)
