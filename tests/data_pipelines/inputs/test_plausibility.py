"""What is no protein though it has the letters of one, and files that are not what their names
say."""

import bz2
import gzip
import lzma
import random
import re

import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.inputs.labels import LabelSource
from data_pipelines.inputs.model_input import Source, check_content, format_of
from data_pipelines.inputs.plausibility import doubt
from data_pipelines.inputs.protein_input import clean_protein
from data_pipelines.inputs.record_source import RecordSource
from data_pipelines.inputs.survey import Measured, take_survey
from data_pipelines.readers import read_entries
from data_pipelines.readers.fasta import WRAPPED as WRAPPED_FAULT

GENE = "ATGGCTGACGAAAAACGTTGGCTGAACGCT"
PROTEIN = "MADEKRWLNAPQFTGIHSVYCADEKRWLNAPQFTG"


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        (GENE, "nucleotides"),
        (GENE.replace("T", "U"), "nucleotides"),
        (GENE + "NNNN", "nucleotides"),
        (GENE[:29], ""),
        (GENE + "E", ""),
        ("METALAASPGLULYS", "three-letter codes of amino acids"),
        ("METALAASPGLU", ""),
        ("METALAASPGLULYSX", ""),
        (PROTEIN, ""),
        ("MGAGAGSGAGAGSGAGYGAGAGAGYGAGAGSG", ""),
    ],
)
def test_what_a_sequence_looks_like(letters, expected):
    assert doubt(letters) == expected


def test_random_proteins_are_not_doubted():
    draw = random.Random(0)
    letters = "ACDEFGHIKLMNPQRSTVWY"
    for _ in range(2_000):
        assert doubt("".join(draw.choices(letters, k=draw.randrange(15, 90)))) == ""


def survey(tmp_path, source, **options):
    rejects = tmp_path / "rejects.tsv"
    return take_survey(
        source, measure=lambda text: Measured(len(text), False), rejects=rejects, **options
    )


def fasta(path, *sequences):
    records = [f">s{number}\n{letters}\n" for number, letters in enumerate(sequences)]
    path.write_text("".join(records))
    return Source(path=path, format="fasta", modality="protein")


def test_a_file_of_genes_is_refused_unless_asked_for(tmp_path):
    genes = fasta(tmp_path / "genes.fasta", GENE, GENE.lower(), PROTEIN)
    with pytest.raises(
        UserError, match="2 of 3 sequences look like nucleotides.*--accept_doubtful"
    ):
        survey(tmp_path, genes)
    accepted = survey(tmp_path, genes, accept_doubtful=True)
    lines = accepted.describe("protein", long_items="", rejects=tmp_path)
    assert "doubtful: 2 look like nucleotides." in lines
    assert accepted.usable == 3


def test_a_few_genes_among_proteins_are_reported(tmp_path):
    mixed = fasta(tmp_path / "mixed.fasta", PROTEIN, PROTEIN, GENE)
    lines = survey(tmp_path, mixed).describe("protein", long_items="", rejects=tmp_path)
    assert "doubtful: 1 look like nucleotides." in lines


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("chains.txt", f">a\n{PROTEIN}\n", "FASTA .pass --format fasta.*lines of text"),
        ("chains.csv", f"\n >a\n{PROTEIN}\n", "FASTA .pass --format fasta.*CSV"),
        (
            "entries.txt",
            "ID   AB_TEST  Reviewed;  9 AA.\n",
            r"UniProt's flat file .name it \*\.dat",
        ),
        ("entries.tsv", "<?xml version='1.0'?>", r"XML .name it \*\.xml"),
        ("genome.txt", "LOCUS       NC_1\n", "GenBank"),
    ],
)
def test_content_that_contradicts_the_name_is_refused(tmp_path, name, content, message):
    path = tmp_path / name
    for written in (content.encode(), gzip.compress(content.encode())):
        path.write_bytes(written)
        with pytest.raises(UserError, match=message):
            check_content(path, format_of(path))


def test_content_that_goes_with_the_name_passes(tmp_path):
    for name, content in [
        ("a.fasta", ">a\nMK\n"),
        ("a.txt", "a > b\n"),
        ("a.csv", "id,sequence\n"),
    ]:
        (tmp_path / name).write_text(content)
        check_content(tmp_path / name, format_of(tmp_path / name))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bz2.compress(b">a\nMK\n"), "compressed with bzip2"),
        (lzma.compress(b">a\nMK\n"), "compressed with xz"),
        (b"\x28\xb5\x2f\xfd\x00", "compressed with zstd"),
        (">a\nMK\n".encode("utf-16"), "UTF-16; save it as UTF-8"),
        (b"PK\x03\x04\x14", "a ZIP archive"),
    ],
)
def test_foreign_files_are_named(tmp_path, content, message):
    path = tmp_path / "x.fasta"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        list(Source(path=path, format="fasta", modality="protein").prepared())


def table(path, text):
    path.write_text(text)
    return Source(path=path, format=path.suffix[1:], modality="protein")


def test_missing_values_of_a_table_are_rejected(tmp_path):
    words = ["nan", "NA", "None", "null", "N/A", "#N/A", " NaN "]
    rows = [f"r{number},{word}\n" for number, word in enumerate(words)]
    source = table(tmp_path / "x.csv", "id,sequence\n" + "".join(rows) + f"ok,{PROTEIN}\n")
    *missing, last = source.prepared()
    assert [item.id for item in missing] == ["r0", "r1", "r2", "r3", "r4", "r5", "r6"]
    for item, word in zip(missing, words, strict=True):
        assert f"{word.strip()!r}, a missing value" in item.fault
    assert (last.text, last.fault) == (PROTEIN, "")


def test_a_peptide_in_fasta_may_have_the_letters_of_a_missing_value(tmp_path):
    (item,) = fasta(tmp_path / "x.fasta", "NA").prepared()
    assert (item.text, item.fault) == ("NA", "")


@pytest.mark.parametrize(
    "header", ["ID,Sequence", "Accession,SEQUENCE", "protein_id,seq", "Entry,sequence"]
)
def test_columns_are_found_whatever_their_case(tmp_path, header):
    source = table(tmp_path / "x.csv", f"{header}\nlab/1,MKV\n")
    (item,) = source.prepared()
    assert (item.id, item.text) == ("lab/1", "MKV")
    assert source.notes() == []


def test_rows_are_not_numbered_in_silence(tmp_path):
    source = table(tmp_path / "x.csv", "gene,sequence\nabc,MKV\n")
    (line,) = source.notes()
    assert "choose one of gene, sequence with --id_column" in line
    lines = survey(tmp_path, source).describe("protein", long_items="", rejects=tmp_path)
    assert line in lines
    (item,) = source.prepared()
    assert item.id == "1"


def test_pir_titles_are_no_residues(tmp_path):
    path = tmp_path / "x.pir.fasta"
    path.write_text(
        ">P1;one\nTITLE WITH LETTERS (x)\nMKV\nLLT*\n\n>F1;two\n\nMK*\n>DL;gene\ntitle\nACGT*\n"
    )
    items = list(Source(path=path, format="fasta", modality="protein").prepared())
    assert [(item.id, item.text, item.name) for item in items[:2]] == [
        ("one", "MKVLLT", "TITLE WITH LETTERS (x)"),
        ("two", "MK", ""),
    ]
    assert items[2].id == "gene"
    assert "nucleic acid" in items[2].fault


def test_ids_with_a_semicolon_are_no_pir(tmp_path):
    path = tmp_path / "x.fasta"
    path.write_text(">A1;x\nMKV\n>ab;y\nMKL\n")
    items = list(Source(path=path, format="fasta", modality="protein").prepared())
    assert [(item.id, item.text, item.fault) for item in items] == [
        ("A1;x", "MKV", ""),
        ("ab;y", "MKL", ""),
    ]


def test_quotation_marks_of_a_csv_are_undone_once(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text('id,text\na,"""zinc"""\n')
    (item,) = Source(path=path, format="csv", modality="text").prepared()
    assert item.text == '"zinc"'


def test_entries_and_labels_are_looked_at_too(tmp_path):
    (tmp_path / "x.tsv").write_text(f"accession\tsequence\tname\nP1\t{GENE}\tthing\n")
    (item,) = RecordSource(path=tmp_path / "x.tsv").prepared()
    assert item.doubt == "nucleotides"
    (tmp_path / "labels.tsv").write_text("kind\tname\nk1\tkinase\n")
    (line,) = LabelSource(path=tmp_path / "labels.tsv").notes()
    assert "choose one of kind, name with --id_column" in line
    assert LabelSource(path=tmp_path / "labels.tsv", id_column="kind").notes() == []


def test_of_headers_that_ncbi_joins_the_first_counts(tmp_path):
    path = tmp_path / "nr.fasta"
    path.write_bytes(b">W1 thing [A b]\x01A1 other [C]\nMKV\n>W2\x01A2 other\nMKV\n")
    items = list(Source(path=path, format="fasta", modality="protein").prepared())
    assert [(item.id, item.name) for item in items] == [("W1", "thing [A b]"), ("W2", "")]


COLUMNS = ["Entry", "Reviewed", "Entry Name", "Protein names", "Sequence", "Function [CC]"]


def test_a_tsv_that_a_spreadsheet_saved_gives_the_same_records(tmp_path):
    cells = [
        "P1",
        "reviewed",
        "A_B",
        'The "A", putative (EC 1.1.1.1)',
        "MKV",
        'FUNCTION: "A" and "B".',
    ]
    plain = "\t".join(COLUMNS) + "\n" + "\t".join(cells) + "\n"
    quoted = []
    for cell in cells:
        needed = '"' in cell or "," in cell
        quoted.append('"' + cell.replace('"', '""') + '"' if needed else cell)
    saved = "\t".join(COLUMNS) + "\r\n" + "\t".join(quoted) + "\r\n"
    (tmp_path / "plain.tsv").write_text(plain)
    (tmp_path / "saved.tsv").write_text(saved)
    (record,), (other,) = (
        list(read_entries(tmp_path / f"{name}.tsv")) for name in ("plain", "saved")
    )
    assert record == other
    assert record.function == '"A" and "B".'


def test_an_answer_of_id_mapping_holds_its_entries(tmp_path):
    entry = (
        '{"entryType": "UniProtKB reviewed (Swiss-Prot)", "primaryAccession": "P%d", '
        '"uniProtkbId": "A_B", "proteinExistence": "1: Evidence at protein level", '
        '"proteinDescription": {"recommendedName": {"fullName": {"value": "Name %d"}}}, '
        '"sequence": {"value": "MKV", "length": 3}}'
    )
    results = [f'{{"from": "x{n}", "to": {entry % (n, n)}}}' for n in range(3)]
    for end in ('"failedIds": ["y"]', '"obsoleteCount": 1'):
        (tmp_path / "x.json").write_text(f'{{"results": [{", ".join(results)}], {end}}}')
        records = list(read_entries(tmp_path / "x.json"))
        assert [record.name for record in records] == ["Name 0", "Name 1", "Name 2"]


BLOCKS = [
    " 1 MKTAYIAKQR QISFVKSHFS 20\n21 MKTA",
    "        10         20\nMKTAYIAKQR QISFVKSHFS\n        30\nMKTA",
    "1 mktayiakqr qisfvkshfs\n 21 mkta",
]


@pytest.mark.parametrize("blocks", BLOCKS)
def test_numbers_beside_blocks_of_residues_are_no_residues(tmp_path, blocks):
    expected = "MKTAYIAKQRQISFVKSHFSMKTA"
    assert clean_protein(blocks).sequence == expected
    assert clean_protein(blocks).changes["residue numbers"] == len(re.findall("[0-9]+", blocks))
    (item,) = fasta(tmp_path / "x.fasta", blocks).prepared()
    assert (item.text, item.fault) == (expected, "")


@pytest.mark.parametrize(
    "text", ["MKTA 60\nMK", "1 MKTA\n6 MK", "MK2T", "M1K", "10 30 MKTAYIAKQR", "MK 2 3 4 TA"]
)
def test_numbers_that_do_not_count_residues_are_a_fault(text):
    with pytest.raises(ValueError, match="amino-acid letter"):
        clean_protein(text)


WRAPPED = ["aspartate aminotransferase", "mitochondrial", "MITOCHONDRIAL PRECURSOR", "kinase A"]


@pytest.mark.parametrize("words", WRAPPED)
def test_a_header_that_goes_on_in_the_next_line_is_reported(tmp_path, words):
    (item,) = fasta(tmp_path / "x.fasta", f"{words}\n{PROTEIN}\nMKV").prepared()
    assert item.fault == WRAPPED_FAULT.format(words)


SEQUENCES = [
    "mktayiakqrqi\nMKTAYI",
    "MKTAYIAKQR QISFVKSHFS\nMKT",
    "MKT\nMKTAYI\nMK",
    "mkt\nmktayi",
    "MKTAY*\n\nMKV",
    "MK TA",
]


@pytest.mark.parametrize("letters", SEQUENCES)
def test_first_lines_of_residues_are_no_header(tmp_path, letters):
    (item,) = fasta(tmp_path / "x.fasta", letters).prepared()
    assert item.fault == ""
    assert item.text.replace("X", "*") == "".join(letters.split()).upper()


def test_texts_of_unknown_words_are_counted_and_refused_if_most(tmp_path):
    (tmp_path / "x.txt").write_text("zinc ion\nβ ion\nβ γ\n")
    source = Source(path=tmp_path / "x.txt", format="lines", modality="text")

    def measure(text):
        unknown = sum(not word.isascii() for word in text.split())
        return Measured(len(text), False, unknown, unknown == len(text.split()))

    taken = take_survey(source, measure=measure, rejects=tmp_path / "rejects.tsv")
    lines = taken.describe("text", long_items="", rejects=tmp_path)
    assert "doubtful: 1 have no word in the model's vocabulary." in lines
    assert "words: 3 are not in the model's vocabulary." in lines
    (tmp_path / "x.txt").write_text("zinc ion\nβ\nβ γ\n")
    with pytest.raises(
        UserError,
        match="2 of 3 texts .*vocabulary.*--accept_doubtful",
    ):
        take_survey(source, measure=measure, rejects=tmp_path / "rejects.tsv")
