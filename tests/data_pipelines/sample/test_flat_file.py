import pytest

from data_pipelines.protanno.record import Feature, Record
from data_pipelines.readers import read_entries
from data_pipelines.sample.flat_file import crc64, format_entry, molecular_weight

PUBLISHED = [
    ("MKWAAPIVSEICVGMEVTSYESAEIDTFN", "B4831562CF76973C", 3222),
    ("MSSHEGGKKKALKQPKKQAKEMDEEEKAFKQKQKEEQKKLEVLKAKVVGKGPLATGGIKKSGKK", "C00D8704F604CA72", 7091),
]
"""UniProtKB PQQA_METEA and TMA7B_HUMAN, with the checksum and weight of their SQ lines."""


@pytest.mark.parametrize(("sequence", "checksum", "weight"), PUBLISHED)
def test_checksum_and_weight_are_those_of_uniprot(sequence, checksum, weight):
    assert crc64(sequence) == checksum
    assert molecular_weight(sequence) == weight


def test_the_layout_of_an_entry():
    words = " ".join(f"word{index}-part" for index in range(30))
    record = Record(
        accession="Q90001",
        entry_name="Q90001_SYNTH",
        source="swissprot",
        sequence="M" + "ACDEFGHIKL" * 7,
        existence=3,
        name="Zinc-dependent kinase",
        function=f"{words}. {{ECO:0000305}}.",
        location="Cytoplasm {ECO:0000305}.",
        features=(Feature("SIGNAL", 1, 15), Feature("ACT_SITE", 20, 20, "kinase")),
    )
    lines = format_entry(record).splitlines()
    assert lines[0] == "ID   Q90001_SYNTH            Reviewed;          71 AA."
    assert lines[1:3] == ["AC   Q90001;", "DE   RecName: Full=Zinc-dependent kinase;"]
    comments = [line for line in lines if line.startswith("CC")]
    assert comments[0].startswith("CC   -!- FUNCTION: word0-part word1-part")
    assert len(comments) > 4
    assert all(line.startswith("CC       ") and 60 < len(line) <= 80 for line in comments[1:-2])
    assert " ".join(line[9:] for line in comments[:-1]) == f"FUNCTION: {words}. {{ECO:0000305}}."
    assert comments[-1] == "CC   -!- SUBCELLULAR LOCATION: Cytoplasm {ECO:0000305}."
    assert not any("SIMILARITY" in line for line in lines)
    start = lines.index("PE   3: Inferred from homology;")
    assert lines[start + 1 : start + 4] == [
        "FT   SIGNAL          1..15",
        "FT   ACT_SITE        20",
        'FT                   /note="kinase"',
    ]
    assert lines[-4].startswith("SQ   SEQUENCE   71 AA;  ")
    assert lines[-3].split() == ["MACDEFGHIK", *["LACDEFGHIK"] * 5]
    assert lines[-2:] == ["     LACDEFGHIK L", "//"]


def test_an_unreviewed_entry_has_a_submitted_name():
    record = Record("A0A8090000", "A0A8090000_SYNTH", "trembl", "MKV", 4, "Putative kinase")
    text = format_entry(record)
    assert "Unreviewed;           3 AA." in text
    assert "DE   SubName: Full=Putative kinase;" in text


def test_other_names_are_read_back(tmp_path):
    names = ("AMY", "EC 3.2.1.1", "Glucanase (old)", "CD antigen CD1")
    record = Record("P12345", "AMY_TEST", "swissprot", "MKV", 1, "Amylase", other_names=names)
    (tmp_path / "a.dat").write_text(format_entry(record))
    assert list(read_entries(tmp_path / "a.dat")) == [record]
