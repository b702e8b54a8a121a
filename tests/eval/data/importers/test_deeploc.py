import gzip

import pytest

from data_pipelines.common.errors import UserError
from eval.data.base.audit import by_reason
from eval.data.base.gathered import EMPTY, NO_PROTEIN
from eval.data.importers.deeploc import MIXED, NO_LOCATION, UNKNOWN_MEMBRANE, read_deeploc

FASTA = """>Q1 Cell.membrane-M
MKV
LL
>Q2 Cytoplasm-Nucleus-U
MAA
>Q3 Nucleus-U new_test_set \r
maa-v*
>Q4 Lysosome/Vacuole-S test
MCC
"""


def by_name(task):
    return {
        s.name: (split, task.classes[s.target])
        for split, samples in task.splits.items()
        for s in samples
    }


def test_locations_are_split_from_the_right(file):
    task = read_deeploc({"train": [file(FASTA)]}, benchmark="localisation")
    assert task.classes == ("Cell membrane", "Lysosome/Vacuole", "Nucleus")
    assert by_name(task) == {
        "Q1": ("train", "Cell membrane"),
        "Q3": ("train", "Nucleus"),
        "Q4": ("train", "Lysosome/Vacuole"),
    }
    assert [(r.line, r.name, r.reason) for r in task.rejects] == [(4, "Q2", MIXED)]
    assert [s.sequence for s in task.splits["train"]] == ["MKVLL", "MAAV", "MCC"]
    assert task.notes == (
        "letters changed in sequences: 1 * at the end",
        "letters changed in sequences: 1 gaps",
        "letters changed in sequences: 4 lower case letters",
    )


def test_a_protein_in_two_compartments_may_count_as_one_of_them(file):
    task = read_deeploc({"train": [file(FASTA)]}, benchmark="localisation", mixed="Nucleus")
    assert by_name(task)["Q2"] == ("train", "Nucleus")
    assert not task.rejects
    with pytest.raises(
        UserError,
        match="mixed='nucleus'.*reject.* Cell",
    ):
        read_deeploc({"train": [file(FASTA)]}, benchmark="localisation", mixed="nucleus")


def test_membrane_reads_the_letter_and_rejects_the_unknown(file):
    task = read_deeploc({"train": [file(FASTA)]}, benchmark="membrane")
    assert task.classes == ("membrane", "soluble")
    assert by_name(task) == {"Q1": ("train", "membrane"), "Q4": ("train", "soluble")}
    assert by_reason(task.rejects) == {UNKNOWN_MEMBRANE: 2}


def test_one_file_is_split_by_its_third_word(file):
    task = read_deeploc({"all": [file(FASTA)]}, benchmark="membrane")
    assert by_name(task) == {"Q1": ("train", "membrane"), "Q4": ("test", "soluble")}


def test_classes_are_those_of_all_splits(file):
    files = {
        "train": [file(">A Nucleus-U\nMK\n")],
        "test": [file(">B Cytoplasm-S\nMV\n", "test.fa")],
    }
    task = read_deeploc(files, benchmark="localisation")
    assert by_name(task) == {"A": ("train", "Nucleus"), "B": ("test", "Cytoplasm")}


def test_gzip_and_the_source(file):
    path = file(gzip.compress(FASTA.encode()), "x.fasta.gz")
    (source,) = read_deeploc({"train": [path]}, benchmark="membrane").sources
    assert (source.path, source.rows, source.bytes) == (str(path), 4, path.stat().st_size)
    assert len(source.sha256) == 64


def test_rows_that_cannot_be_used(file):
    path = file(">A Nucleus-U\nMK\n>B\nMK\n>C Nucleus-U\n>D Nucleus-U\nM1K\n>E Nucleus\nMK\n")
    task = read_deeploc({"train": [path]}, benchmark="localisation")
    assert by_name(task) == {"A": ("train", "Nucleus")}
    assert by_reason(task.rejects) == {NO_LOCATION: 2, EMPTY: 1, NO_PROTEIN: 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            ">sp|P1|X_HUMAN A protein\nMK\n",
            "DeepLoc FASTA.*'sp|P1|X_HUMAN A protein'",
        ),
        ("name,label\nA,1\n", "FASTA file: line 1"),
        ("", "FASTA record"),
        (b"\xff\xfe\x00\x00", "is text in UTF-16"),
        (gzip.compress(FASTA.encode(), mtime=0)[:30], "gzip data end early"),
    ],
)
def test_other_files_are_refused_in_one_sentence(file, text, message):
    with pytest.raises(UserError, match="file.txt.*" + message.replace("|", r"\|")):
        read_deeploc({"train": [file(text)]}, benchmark="localisation")
