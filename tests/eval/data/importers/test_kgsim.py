import numpy as np
import pytest

from data_pipelines.common.errors import UserError
from eval.benchmarks.semantic_similarity import agreements
from eval.data.base.audit import by_reason
from eval.data.base.rows import ANOTHER_WIDTH
from eval.data.importers.kgsim import read_kgsim
from eval.data.importers.similarity import NO_SEQUENCE, NO_SIMILARITY, TWICE, WITH_ITSELF

HEAD = "Uniprot ID1;Uniprot ID2;Interaction;BMA Resnik;BMA Seco;Sim(Seq)"
ROWS = ("P1;P2;1;0.1;0.9;0", "P2;P3;0;0.2;0.3;0", "P3;P1;0;0.3;0.4;0")
SEQUENCES = ">P1\nMA\n>P2\nMB\n>P3\nMC\n"


def read(file, rows=ROWS, benchmark="similarity_kgsim", **options):
    path = file("\n".join([HEAD, *rows]) + "\n", "pairs.csv")
    (table,) = read_kgsim(
        {"DM3": path}, benchmark=benchmark, sequences=[file(SEQUENCES, "s.fasta")], **options
    )
    return table


def pairs(table):
    return {
        (table.names[a], table.names[b]): value
        for (a, b), value in zip(table.pairs, table.similarity, strict=True)
    }


def test_the_column_is_the_benchmarks_or_the_entrys(file):
    assert pairs(read(file)) == {("P1", "P2"): 0.9, ("P2", "P3"): 0.3, ("P1", "P3"): 0.4}
    assert pairs(read(file, benchmark="similarity_kgsim_ppi")) == {
        ("P1", "P2"): 1,
        ("P2", "P3"): 0,
        ("P1", "P3"): 0,
    }
    assert pairs(read(file, measure="BMA Resnik"))["P1", "P2"] == 0.1
    table = read(file)
    assert (table.set, table.sequences, table.pairs.dtype) == ("DM3", ["MA", "MB", "MC"], np.int32)


def test_what_cannot_be_used_is_a_reject(file):
    more = ("P2;P1;1;0.5;0.5;0", "P3;P3;1;1;1;1", "P1;P9;0;0;0;0", "P1", "P9;P2;0;0;x;0")
    table = read(file, (*ROWS, *more))
    assert len(table.pairs) == 3
    assert by_reason(table.rejects) == {
        TWICE: 1,
        WITH_ITSELF: 1,
        NO_SEQUENCE: 1,
        ANOTHER_WIDTH: 1,
        NO_SIMILARITY: 1,
    }


def test_interactions_rank_the_pairs_that_interact_above_the_others(file):
    """Spearman's correlation with 0 and 1: 1 where all interacting pairs are closer than all
    others, as here with one."""
    table = read(file, benchmark="similarity_kgsim_ppi")
    vectors = dict(zip(table.names, np.array([[1.0, 0.0], [0.9, 0.1], [-1.0, 0.4]]), strict=True))
    found = agreements(vectors, [table])["DM3_cosine"]
    # Ranks 1, 2, 3 against 1.5, 1.5, 3.
    assert found.correlation == pytest.approx(np.corrcoef([1, 2, 3], [1.5, 1.5, 3])[0, 1])


@pytest.mark.parametrize("measure", ["GIC Resnik", "Sim"])
def test_a_column_that_is_not_there_is_reported(file, measure):
    with pytest.raises(UserError, match=f"'{measure}'.* Uniprot ID1"):
        read(file, measure=measure)
