import pytest

from data_pipelines.common.errors import UserError
from eval.data.base.audit import by_reason
from eval.data.importers.chains import NO_CHAIN, NO_SEQUENCE, chain_id
from eval.data.importers.deepfri import NO_ANNOTATION, UNKNOWN_LABEL, read_deepfri
from eval.data.importers.reaction import NO_CLASS, NO_FUNCTION, read_reaction

EC = "### EC-numbers\r\n3.4.21.-\t1.1.1.1\t2.7.7.19\r\n### PDB-chain\tEC-numbers\r\n"
GO = (
    "### GO-terms (molecular_function)\nGO:3\tGO:1\n### GO-names "
    "(molecular_function)\nbinding, of a kind\tb\n"
    "### GO-terms (biological_process)\nGO:9\n### GO-names (biological_process)\nnine\n"
    "### GO-terms (cellular_component)\nGO:5\tGO:6\n### GO-names (cellular_component)\nf\ts\n"
    "### PDB-chain\tGO-terms (molecular_function)\tGO-terms (biological_process)\tGO-terms "
    "(cellular_component)\n"
)
SEQUENCES = (
    ">1abc_A mol:protein length:3  X\nMKV\n>2ABC-a nrPDB_test\nMAA\n>3abc:B|PDBID|CHAIN\nMCC\n"
)


@pytest.mark.parametrize(
    ("text", "chain"),
    [
        ("4PIW-A", "4PIW-A"),
        ("4piw_A", "4PIW-A"),
        ("4piw.A", "4PIW-A"),
        ("4piw:A|PDBID|CHAIN|SEQUENCE", "4PIW-A"),
        ("4piw_A-P27833", "4PIW-A"),
        (" 4piw.a ", "4PIW-a"),
        ("5oql_AA", "5OQL-AA"),
        ("P27833", ""),
        ("4piw", ""),
        ("", ""),
    ],
)
def test_chains_are_written_in_one_way(text, chain):
    assert chain_id(text) == chain


def test_ec_with_cut_offs(file):
    files = {
        "train": [file("1ABC-A\n", "train.txt")],
        "test": [
            file(
                "PDB-chain,<30%,<40%,<50%,<70%,<95%\r\n2ABC-a,0,0,1,1,1\r\n3ABC-B,0,0,0,0,0\r\n9ABC-A,1,1,1,1,1\r\n",
                "test.csv",
            )
        ],
    }
    annotations = file(
        EC + "1ABC-A\t1.1.1.1,3.4.21.-\r\n2ABC-a\t2.7.7.19\r\n3ABC-B\t1.1.1.1\r\nnone\t1.1.1.1\r\n",
        "annot.tsv",
    )
    task = read_deepfri(files, benchmark="ec", annotations=annotations, sequences=[file(SEQUENCES)])
    assert task.classes == ("3.4.21.-", "1.1.1.1", "2.7.7.19")
    assert [(s.name, s.sequence, s.target, s.identity) for s in task.splits["train"]] == [
        ("1ABC-A", "MKV", (0, 1), None)
    ]
    assert [(s.name, s.target, s.identity) for s in task.splits["test"]] == [
        ("2ABC-a", (2,), 0.5),
        ("3ABC-B", (1,), 1.0),
    ]
    assert [(r.name, r.reason) for r in task.rejects] == [
        ("none", NO_CHAIN),
        ("9ABC-A", NO_ANNOTATION),
    ]


@pytest.mark.parametrize(
    ("benchmark", "classes", "targets"),
    [
        ("go_mf", ("GO:3", "GO:1"), [(0, 1), ()]),
        ("go_bp", ("GO:9",), [(), (0,)]),
        ("go_cc", ("GO:5", "GO:6"), [(1,), ()]),
    ],
)
def test_go_keeps_chains_without_a_term(file, benchmark, classes, targets):
    annotations = file(GO + "1ABC-A\tGO:1,GO:3\t\tGO:6\n2ABC-a\t\tGO:9\t\n", "annot.tsv")
    files = {"train": [file("1ABC-A\n2ABC-a\n", "train.txt")]}
    task = read_deepfri(
        files, benchmark=benchmark, annotations=annotations, sequences=[file(SEQUENCES)]
    )
    assert task.classes == classes
    assert [s.target for s in task.splits["train"]] == targets


def test_labels_that_the_head_does_not_list_and_missing_sequences(file):
    annotations = file(
        EC + "1ABC-A\t9.9.9.9\r\n2ABC-a\t1.1.1.1\r\n7ABC-A\t1.1.1.1\r\n", "annot.tsv"
    )
    files = {"train": [file("1ABC-A\n2ABC-a\n7ABC-A\nwhat\n", "train.txt")]}
    task = read_deepfri(files, benchmark="ec", annotations=annotations, sequences=[file(SEQUENCES)])
    assert by_reason(task.rejects) == {NO_CHAIN: 1, UNKNOWN_LABEL: 1, NO_SEQUENCE: 1}
    assert [s.name for s in task.splits["train"]] == ["2ABC-a"]


@pytest.mark.parametrize(
    ("annotations", "chains", "sequences", "message"),
    [
        (
            "a\tb\n",
            "1ABC-A\n",
            SEQUENCES,
            "annot.tsv, line 1",
        ),
        (
            GO,
            "1ABC-A\n",
            SEQUENCES,
            "annot.tsv .*EC-numbers.*GO-terms",
        ),
        (
            "",
            "1ABC-A\n",
            SEQUENCES,
            "annot.tsv .*EC-numbers.*###",
        ),
        (EC, "P12345\n", SEQUENCES, "train.txt .*PDB chains.*'P12345'"),
        (EC, "PDB-chain,<30%\n1ABC-A,1\n", SEQUENCES, "train.txt has no column <40% and <50%"),
        (EC, "1ABC-A\n", ">9xyz_A\nMK\n", "ec: .*pdb_seqres"),
        (EC, "1ABC-A\n", "only,one\n", "holds no sequences"),
    ],
)
def test_other_files_are_refused(file, annotations, chains, sequences, message):
    files = {"train": [file(chains, "train.txt")]}
    with pytest.raises(UserError, match=message):
        read_deepfri(
            files,
            benchmark="ec",
            annotations=file(annotations, "annot.tsv"),
            sequences=[file(sequences)],
        )


def test_reaction_classes_are_lines_of_the_list(file):
    files = {"train": [file("1abc.A\n2abc.a\n7abc.A\n8abc.A\n", "training.txt")]}
    functions = file("1abc.A,1\n2abc.a,0\n3abc.B,7\n8abc.A,0\nnone,1\n", "functions.txt")
    classes = file("4.2.1.10\n6.5.1.-\n", "classes.txt")
    task = read_reaction(
        files,
        benchmark="reaction",
        functions=functions,
        classes=classes,
        sequences=[file(SEQUENCES)],
    )
    assert (task.kind, task.classes) == ("multiclass", ("4.2.1.10", "6.5.1.-"))
    assert [(s.name, s.sequence, s.target) for s in task.splits["train"]] == [
        ("1ABC-A", "MKV", 1),
        ("2ABC-a", "MAA", 0),
    ]
    assert [(r.name, r.reason) for r in task.rejects] == [
        ("3abc.B", NO_CLASS),
        ("none,1", NO_CHAIN),
        ("7ABC-A", NO_FUNCTION),
        ("8ABC-A", NO_SEQUENCE),
    ]


@pytest.mark.parametrize(
    ("functions", "classes", "message"),
    [
        ("1abc.A 1\n", "4.2.1.10\n", "line 1 .*'1abc.A 1'"),
        (
            "1abc.A,0\n",
            "kinase\n",
            "classes.txt .*'kinase'.*unique_functions.txt",
        ),
        (
            "1abc.A,0\n",
            "1.1.1.1\n1.1.1.2\n1.1.1.2\n",
            "classes.txt lists '1.1.1.2' 2 times",
        ),
    ],
)
def test_other_reaction_files_are_refused(file, functions, classes, message):
    given = {"functions": file(functions, "functions.txt"), "classes": file(classes, "classes.txt")}
    with pytest.raises(UserError, match=message):
        read_reaction(
            {"train": [file("1abc.A\n", "t.txt")]},
            benchmark="reaction",
            sequences=[file(SEQUENCES)],
            **given,
        )
