import numpy as np
import pytest

from data_pipelines.common.errors import UserError
from eval.data.base.audit import by_reason
from eval.data.base.task import INTERACTIONS
from eval.data.importers import interactions
from eval.data.importers.interactions import read_actions, read_interaction_table

HEADER = "item_id_a\titem_id_b\tmode\taction\tis_directional\ta_is_acting\tscore\n"
SEQUENCES = "9606.C\tMCC\n9606.A\tMAA\n9606.B\tMDD\n"


def rows(*triples):
    return HEADER + "".join(f"{a}\t{b}\t{mode}\t\tf\tf\t900\n" for a, b, mode in triples)


def types(graph):
    found = {}
    for (a, b), row in zip(graph.edges, graph.labels, strict=True):
        kinds = {INTERACTIONS[kind] for kind in np.flatnonzero(row)}
        found[graph.names[a], graph.names[b]] = kinds
    return found


def test_both_directions_and_all_modes_are_one_pair(file):
    text = rows(
        ("9606.C", "9606.A", "binding"),
        ("9606.A", "9606.C", "binding"),
        ("9606.A", "9606.C", "expression"),
        ("9606.B", "9606.C", "reaction"),
        ("9606.A", "9606.B", "ptmod"),
    )
    graph = read_actions(file(text, "a.txt"), sequences=[file(SEQUENCES)])
    assert graph.names == ["9606.A", "9606.C", "9606.B"]
    assert graph.sequences == ["MAA", "MCC", "MDD"]
    assert graph.edges.tolist() == [[0, 1], [0, 2], [1, 2]]
    assert (graph.edges.dtype, graph.labels.dtype) == (np.int32, bool)
    assert types(graph) == {
        ("9606.A", "9606.C"): {"binding", "expression"},
        ("9606.A", "9606.B"): {"ptmod"},
        ("9606.C", "9606.B"): {"reaction"},
    }
    assert [source.rows for source in graph.sources] == [5, 3]


def test_rows_that_cannot_be_used(file):
    text = rows(
        ("9606.A", "9606.B", "binding"),
        ("9606.A", "9606.A", "binding"),
        ("9606.A", "9606.B", "friendship"),
        ("9606.A", "9606.X", "binding"),
    )
    graph = read_actions(file(text + "9606.A\t9606.B\n", "a.txt"), sequences=[file(SEQUENCES)])
    assert types(graph) == {("9606.A", "9606.B"): {"binding"}}
    assert by_reason(graph.rejects) == {
        interactions.WITH_ITSELF: 1,
        interactions.UNKNOWN_MODE: 1,
        interactions.TOO_SHORT: 1,
        interactions.NO_SEQUENCE: 1,
    }


def test_sequences_may_be_fasta(file):
    path = file(">9606.A x\nMA\n>9606.B y\nMB\n")
    graph = read_actions(file(rows(("9606.A", "9606.B", "ptmod")), "a.txt"), sequences=[path])
    assert graph.sequences == ["MA", "MB"]


@pytest.mark.parametrize(
    ("actions", "sequences", "message"),
    [
        (
            "protein1 protein2 score\n",
            SEQUENCES,
            "a.txt .*STRING action file.*item_id_a",
        ),
        (
            rows(("a", "b", "binding")),
            SEQUENCES,
            "a.txt gives no interaction .*file.txt",
        ),
        (HEADER, SEQUENCES, "gives no interaction"),
        (rows(("a", "b", "binding")), "A C -0.17\n", "holds no sequences"),
    ],
)
def test_other_files_are_refused(file, actions, sequences, message):
    with pytest.raises(UserError, match=message):
        read_actions(file(actions, "a.txt"), sequences=[file(sequences)])


def test_the_neutral_table(file):
    text = "a\tb\ttypes\nY\tX\tbinding, reaction\nX\tY\tptmod\nX\tZ\tlove\nX\tX\tbinding\nX\tZ\t\n"
    graph = read_interaction_table(
        file(text, "i.tsv"), sequences=[file("name\tsequence\nX\tMK\nY\tMV\n")]
    )
    assert types(graph) == {("X", "Y"): {"binding", "reaction", "ptmod"}}
    assert by_reason(graph.rejects) == {interactions.UNKNOWN_MODE: 2, interactions.WITH_ITSELF: 1}
