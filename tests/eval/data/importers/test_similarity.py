import numpy as np
import pytest

from data_pipelines.common.errors import UserError
from eval.data.base.audit import by_reason
from eval.data.importers import similarity
from eval.data.importers.similarity import read_similarity, read_similarity_tables

MATRIX = "P1,P2,P3\n1.0,0.5,0.25\n0.5,1.0,0.75\n0.25,0.75,1.0\n"
SEQUENCES = ">sp|P1|A_HUMAN x\nMA\n>sp|P2|B_HUMAN\nMB\n>P3\nMC\n"


def pairs(table):
    return {
        (table.names[a], table.names[b]): value
        for (a, b), value in zip(table.pairs, table.similarity, strict=True)
    }


def coordinates(tmp_path, values):
    np.save(tmp_path / "c.npy", values)
    return tmp_path / "c.npy"


def test_a_full_and_a_sparse_set(file, tmp_path):
    sparse = coordinates(tmp_path, np.array([[2, 0], [1, 2], [0, 2], [1, 1]]))
    given = {"sequences": [file(SEQUENCES, "s.fa")], "coordinates": sparse}
    full, few = read_similarity({"500": file(MATRIX)}, benchmark="similarity_mf", **given)
    assert (full.aspect, full.set, few.set) == ("MF", "500", "sparse")
    assert pairs(full) == {("P1", "P2"): 0.5, ("P1", "P3"): 0.25, ("P2", "P3"): 0.75}
    assert pairs(few) == {("P1", "P3"): 0.25, ("P2", "P3"): 0.75, ("P2", "P2"): 1.0}
    assert by_reason(few.rejects) == {similarity.TWICE: 1}
    assert few.notes == ("1 pair is of a protein with itself, as in PROBE",)
    assert full.sequences == ["MA", "MB", "MC"]
    assert (full.pairs.dtype, full.similarity.dtype) == (np.int32, np.float64)


def test_proteins_without_a_sequence_leave_with_their_pairs(file):
    matrix = file("P1,P2,P3\n1,0.5,\n0.5,1,1.75\n,1.75,1\n")
    (table,) = read_similarity(
        {"200": matrix}, benchmark="similarity_cc", sequences=[file(SEQUENCES, "s.fa")]
    )
    assert pairs(table) == {("P1", "P2"): 0.5}
    assert by_reason(table.rejects) == {similarity.NO_SIMILARITY: 2}
    (table,) = read_similarity(
        {"200": file(MATRIX)},
        benchmark="similarity_cc",
        sequences=[file(">P3\nMA\n>P1\nMC\n", "s.fa")],
    )
    assert (table.names, table.sequences, pairs(table)) == (
        ["P1", "P3"],
        ["MC", "MA"],
        {("P1", "P3"): 0.25},
    )
    assert [(r.name, r.reason) for r in table.rejects] == [("P2", similarity.NO_SEQUENCE)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.1,0.2\n0.2,0.1\n", "distinct accessions"),
        ("P1,P1\n1,0\n0,1\n", "distinct accessions"),
        (",P1,P2\nP1,1,0\nP2,0,1\n", "distinct accessions"),
        ("P1,P2\n1,0\n", "has 1 rows for 2 proteins"),
        ("P1,P2\n1,0,0\n0,1,0\n", "line 2 has 3 fields for 2 proteins"),
        ("P1,P2\n1,0.5\n0.25,1\n", "is not symmetric"),
        (
            "P7,P8\n1,0.5\n0.5,1\n",
            "similarity_bp: no pair of .*s.fa",
        ),
        ("", "distinct accessions"),
    ],
)
def test_other_matrices_are_refused(file, text, message):
    with pytest.raises(UserError, match=message):
        read_similarity(
            {"500": file(text)}, benchmark="similarity_bp", sequences=[file(SEQUENCES, "s.fa")]
        )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            np.array([[0, 3]]),
            "the index 3, .* 3 proteins",
        ),
        (np.array([0.5, 0.25]), "SparsifiedSimilarityCoordinates"),
        (np.array([[0.5, 0.25]]), "SparsifiedSimilarityCoordinates"),
        (np.array([[0, None]], object), ".npy file of numbers"),
    ],
)
def test_other_coordinates_are_refused(file, tmp_path, values, message):
    given = {"sequences": [file(SEQUENCES, "s.fa")], "coordinates": coordinates(tmp_path, values)}
    with pytest.raises(UserError, match=message):
        read_similarity({"500": file(MATRIX)}, benchmark="similarity_bp", **given)


def test_coordinates_need_the_matrix_of_500(file, tmp_path):
    given = {
        "sequences": [file(SEQUENCES, "s.fa")],
        "coordinates": coordinates(tmp_path, np.array([[0, 1]])),
    }
    for matrices in ({"200": file(MATRIX)}, {}, {"all": file(MATRIX)}):
        with pytest.raises(
            UserError,
            match="similarity_bp: .*500 and 200",
        ):
            read_similarity(matrices, benchmark="similarity_bp", **given)


def test_the_neutral_tables(file):
    text = "a\tb\tsimilarity\nP2\tP1\t0.5\nP1\tP2\t0.5\nP1\tP1\t1\nP1\tP3\tx\nP3\tP9\t0.5\n"
    (table,) = read_similarity_tables(
        {"200": file(text)},
        benchmark="similarity_mf",
        sequences=[file("name\tsequence\nP1\tMA\nP2\tMB\nP3\tMC\n", "p.tsv")],
    )
    assert pairs(table) == {("P2", "P1"): 0.5}
    assert by_reason(table.rejects) == {
        similarity.TWICE: 1,
        similarity.WITH_ITSELF: 1,
        similarity.NO_SIMILARITY: 1,
        similarity.NO_SEQUENCE: 1,
    }
