import pytest

from data_pipelines.common.errors import UserError
from eval.data.base.assembly import NO_NUMBER
from eval.data.base.audit import by_reason
from eval.data.base.gathered import EMPTY, NO_PROTEIN, Gathered
from eval.data.base.rows import ANOTHER_WIDTH, table_rows
from eval.data.importers.flip import NO_SET, read_flip
from eval.data.importers.tables import UNKNOWN_CLASS, read_tables


@pytest.mark.parametrize(
    "text",
    [
        "seq,label\nMK,1.5\nMV,-2\n",
        "primary\tlog_fluorescence\r\nMK\t[1.5]\r\nMV\t[-2]\r\n",
        "protein_sequence,scaled_effect1,more\nMK,1.5,x\nMV,-2,y\n",
        '"seq","label"\n"MK","1.5"\n"MV",-2',
    ],
)
def test_tape_and_peer_tables(file, text):
    task = read_tables({"train": [file(text)]}, benchmark="stability")
    assert [(s.sequence, s.target) for s in task.splits["train"]] == [("MK", 1.5), ("MV", -2.0)]
    assert not task.rejects
    assert task.sources[0].rows == 2


def test_columns_may_be_chosen(file):
    path = file("name,protein,seq,y,label\nA,MK,XX,3,9\n")
    task = read_tables(
        {"test": [path]}, benchmark="stability", sequence_column="protein", target_column="y"
    )
    assert [(s.name, s.sequence, s.target) for s in task.splits["test"]] == [("A", "MK", 3.0)]


def test_classes_by_name_or_label(file):
    path = file("sequence,localization\nMK,1\nMV,Nucleus\nMA,2\n")
    localisation = {"benchmark": "localisation", "kind": "multiclass"}
    task = read_tables({"train": [path]}, **localisation, classes=["Nucleus", "Cytoplasm"])
    assert (task.kind, [s.target for s in task.splits["train"]]) == ("multiclass", [1, 0])
    assert by_reason(task.rejects) == {UNKNOWN_CLASS: 1}
    with pytest.raises(UserError, match="localisation is multiclass.*classes"):
        read_tables({"train": [path]}, **localisation)
    with pytest.raises(UserError, match="localisation.*'Nucleus' twice"):
        read_tables({"train": [path]}, **localisation, classes=["Nucleus", "Plastid", "Nucleus"])
    with pytest.raises(UserError, match="stability is regression"):
        read_tables({"train": [path]}, benchmark="stability", classes=["a"])


def test_rows_that_cannot_be_used(file):
    task = read_tables(
        {"train": [file("seq,label\nMK,nan\nMK\n,1\nM3,1\nMK,x\nMK,1\n")]}, benchmark="stability"
    )
    assert by_reason(task.rejects) == {NO_NUMBER: 2, ANOTHER_WIDTH: 1, EMPTY: 1, NO_PROTEIN: 1}
    assert [r.line for r in task.rejects] == [2, 3, 4, 5, 6]
    assert task.sources[0].rows == 6


def test_lines_are_counted_through_quoted_line_ends(file):
    path = file('\n\nseq,note\nMK,"a\nb"\nMV,c\nMA\n')
    gathered = Gathered()
    assert [
        (row.line, row.cells["seq"]) for row in table_rows(path, gathered, columns=["seq"])
    ] == [(4, "MK"), (6, "MV")]
    assert [r.line for r in gathered.rejects] == [7]


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        (
            "a,b\n1,2\n",
            "x.csv",
            "has no column sequence or seq or primary .*a, b",
        ),
        ("", "x.csv", "is empty"),
        (
            'seq,label\n"MK,1\n',
            "x.csv",
            "line 2 .*CSV.*; close its quotation marks",
        ),
        ('\n"seq,label\nMK,1\n', "x.csv", "line 2 .*CSV"),
        ("seq,seq,label\nMK,MK,1\n", "x.csv", "names the column seq twice"),
        (
            b"\x89PNG\x00\x00",
            "data.lmdb",
            "LMDB database",
        ),
        (b"\x80\x04\x95\x00\x00", "x.pkl", "NUL byte"),
        (b"seq,label\n\xff\xfe,1\n", "x.csv", "line 2 .*UTF-8"),
    ],
)
def test_other_files_are_refused(file, text, name, message):
    with pytest.raises(UserError, match=f"{name}.*{message}"):
        read_tables({"train": [file(text, name)]}, benchmark="stability")


def test_a_folder_of_lmdb_is_refused(tmp_path):
    with pytest.raises(UserError, match="is an LMDB database"):
        read_tables({"train": [tmp_path]}, benchmark="stability")


FLIP = "sequence,target,set,validation\nMK,1.0,train,True\nMV,2.0,train,\nMA,3.0,test,\nMC,4,train,False\n"
FLIP_FASTA = (
    ">Sequence0 TARGET=1.0 SET=train VALIDATION=True\nMK\n>Sequence1 TARGET=2.0 SET=train "
    "VALIDATION=False\nMV\n"
    ">Sequence2 TARGET=3.0 SET=test VALIDATION=False\nMA\n>Sequence3 TARGET=4 SET=train "
    "VALIDATION=False\nMC\n"
)


@pytest.mark.parametrize("text", [FLIP, FLIP_FASTA])
def test_flip_in_both_forms(file, text):
    task = read_flip(file(text), benchmark="aav")
    found = {}
    for split, samples in task.splits.items():
        found[split] = [(sample.sequence, sample.target) for sample in samples]
    assert found == {
        "train": [("MV", 2.0), ("MC", 4.0)],
        "valid": [("MK", 1.0)],
        "test": [("MA", 3.0)],
    }


def test_flip_without_validation(file):
    task = read_flip(
        file("sequence,target,set\nMK,1,train\nMV,2,test\nMA,3,dev\nMC,,test\n"),
        benchmark="thermostability",
    )
    assert {split: len(samples) for split, samples in task.splits.items()} == {
        "train": 1,
        "test": 1,
    }
    assert by_reason(task.rejects) == {NO_SET: 1, NO_NUMBER: 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sequence,score\nMK,1\n", "has no column target and set"),
        (">P1 protein\nMK\n", "FLIP FASTA.*'P1 protein'"),
        ("", "is empty"),
    ],
)
def test_other_files_than_flips_are_refused(file, text, message):
    with pytest.raises(UserError, match=message):
        read_flip(file(text), benchmark="aav")
