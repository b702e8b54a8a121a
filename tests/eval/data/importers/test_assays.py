"""ProteinGym's files, other benchmarks' rows as assays, and alignments."""

import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.inputs.substitutions import ANOTHER_WILD_TYPE, NO_VARIANT, NOT_STANDARD, written
from eval.data.base.assembly import NO_NUMBER
from eval.data.base.gathered import Gathered
from eval.data.base.task import Sample, Task
from eval.data.importers import alignment, assay, proteingym
from eval.data.importers.alignment import read_alignment
from eval.data.importers.assay import read_assay
from eval.data.importers.proteingym import read_proteingym

REFERENCE = """DMS_id,DMS_filename,UniProt_ID,target_seq,coarse_selection_type,MSA_filename
A_1,A_1.csv,A_HUMAN,MKVLA,Activity,A.a2m
B_1,B_1.csv,B_YEAST,MKV,Stability,
C_1,C_1.csv,C_HUMAN,MK-1,Binding,
D_1,gone.csv,D_HUMAN,MKV,Binding,
E_1,E_1.csv,E_HUMAN,MKV,Binding,
"""
ASSAY = """mutant,mutated_sequence,DMS_score,DMS_score_bin
K2A,MAVLA,0.5,1
M1C:A5W,CKVLW,-1.5,0
K3A,MKALA,0.5,1
K2A,MKVLA,0.5,1
K2X,MXVLA,0.5,1
nothing,MKVLA,0.5,1
V3A,MKALA,nan,1
"""


@pytest.fixture
def folder(file):
    file(REFERENCE, "DMS_substitutions.csv")
    file(ASSAY, "assays/A_1.csv")
    file("mutant,DMS_score\nM1K,1\n", "assays/B_1.csv")
    file("mutant,DMS_score\nM1K,1\n", "assays/C_1.csv")
    file("mutant,DMS_score\nK1M,1\n", "assays/E_1.csv")
    file(">A/2-4\nK-VL\n>h\nRaIL\n>short\nRI\n", "alignments/A.a2m")
    return file("UniProt_ID\ttext\nA_HUMAN\tFUNCTION: x.\n", "texts.tsv").parent


def test_proteingym(folder):
    data = read_proteingym(
        reference=folder / "DMS_substitutions.csv",
        folder=folder / "assays",
        benchmark="proteingym",
        alignments=folder / "alignments",
        texts=folder / "texts.tsv",
    )
    first, second = data.assays
    assert (first.name, first.protein, first.function) == ("A_1", "A_HUMAN", "Activity")
    assert (first.wild_type, first.text, second.text) == ("MKVLA", "FUNCTION: x.", "")
    found = [(written(own.changes), own.target) for own in first.variants]
    assert found == [("K2A", 0.5), ("M1C:A5W", -1.5)]
    assert first.alignment == ("-KVL-", "-RIL-")
    assert [written(own.changes) for own in second.variants] == ["M1K"]
    assert data.rows == {"assays": 2, "variants": 3}
    reasons = {(reject.name, reject.reason) for reject in data.rejects}
    assert reasons == {
        ("K3A", ANOTHER_WILD_TYPE),
        ("K2A", proteingym.ANOTHER_SEQUENCE),
        ("K2X", NOT_STANDARD),
        ("nothing", NO_VARIANT),
        ("V3A", NO_NUMBER),
        ("RI", alignment.ANOTHER_LENGTH),
        ("C_1", "its sequence has a character that is not an amino-acid letter"),
        ("D_1", proteingym.NO_FILE),
        ("K1M", ANOTHER_WILD_TYPE),
        ("E_1", proteingym.NO_VARIANTS),
    }
    files = {"DMS_substitutions.csv", "texts.tsv", "A.a2m", "A_1.csv", "B_1.csv", "E_1.csv"}
    assert {source.path.rpartition("/")[2] for source in data.sources} == files


def test_a_folder_without_assays_is_one_sentence(folder):
    with pytest.raises(UserError, match="DMS_substitutions.csv"):
        read_proteingym(
            reference=folder / "DMS_substitutions.csv",
            folder=folder / "alignments",
            benchmark="proteingym",
        )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (">a\nKVL\n>b\nRIL\n", None),
        (">a\nkv.L\n>b\nrixL\n", None),
        (">a\nWWW\n", "a.fasta.*wild type"),
        ("", "a.fasta.*wild type"),
        (">a\n---\n", "a.fasta.*wild type"),
        ("KVL\n>b\nRIL\n", "a.fasta.*line 1"),
    ],
)
def test_alignments(file, text, message):
    path = file(text, "a.fasta")
    if message is None:
        assert read_alignment(path, "MKVLA", Gathered()) == ("-KVL-", "-RIL-")
        return
    with pytest.raises(UserError, match=message):
        read_alignment(path, "MKVLA", Gathered())


def task(kind="regression", **splits):
    samples = {}
    for split, own in splits.items():
        samples[split] = [Sample(f"{split}{n}", s, float(n)) for n, s in enumerate(own)]
    return Task("gb1", kind, (), samples, [], [], notes=("a note",))


def test_a_test_split_is_judged_beside_training_rows(file):
    own = task(
        train=["MKVL", "MKVA", "MKVW"], valid=["MKAL"], test=["MAAL", "MKVLL", "MXVL", "MKVL"]
    )
    data = read_assay(own)
    (found,) = data.assays
    assert (found.wild_type, found.name, data.rows) == (
        "MKVL",
        "gb1",
        {"train": 3, "valid": 1, "test": 4},
    )
    assert [(written(v.changes), v.target) for v in found.variants] == [("K2A:V3A", 0.0), ("", 3.0)]
    assert [written(v.changes) for v in found.train] == ["", "L4A", "L4W", "V3A"]
    assert [reject.reason for reject in data.rejects] == [assay.ANOTHER_LENGTH, NOT_STANDARD]
    assert data.notes == ("a note", assay.CONSENSUS.format(rows="4"))
    wild_type, aligned = file(">wt\nMKVC\n", "wt.fasta"), file(">wt\nMKVC\n>h\nMRVC\n", "h.fasta")
    (other,) = read_assay(own, wild_type=wild_type, alignment=aligned, text="FUNCTION: x.").assays
    assert (other.wild_type, other.alignment, other.text) == (
        "MKVC",
        ("MKVC", "MRVC"),
        "FUNCTION: x.",
    )
    assert written(other.variants[0].changes) == "K2A:V3A:C4L"


def test_without_a_test_split_all_rows_are_judged():
    data = read_assay(task(train=["MKVL", "MKVA"], valid=["MKAL"]))
    assert [written(own.changes) for own in data.assays[0].variants] == ["", "L4A", "V3A"]
    assert data.assays[0].train == ()
    assert data.notes[-1] == "The data have no test split: all 3 rows were judged."


def test_what_is_no_assay_is_one_sentence(file):
    with pytest.raises(UserError, match="gb1 is multiclass"):
        read_assay(task(kind="multiclass", test=["MKVL"]))
    with pytest.raises(UserError, match="wild_type"):
        read_assay(task(test=["MKVL"]), wild_type=file("MKVLL\n", "wt.txt"))
