import gzip

import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.inputs.mutation_file import ANOTHER_WIDTH, Mutation, read_mutations


@pytest.fixture
def read(tmp_path):
    def written(text):
        path = tmp_path / "m.txt"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return list(read_mutations(path))

    return written


def test_a_list_and_tables(read):
    assert read("\na24g\n\nA1C:K2W\nfoo\n") == [
        Mutation(2, "", "a24g"),
        Mutation(4, "", "A1C:K2W"),
        Mutation(5, "", "foo"),
    ]
    table = 'ID,Mutant,DMS_score\nP1,A24G,0.5\nP2,"A1C,K2W",1\nP3,A1C\n'
    rows = [
        Mutation(2, "P1", "A24G"),
        Mutation(3, "P2", "A1C,K2W"),
        Mutation(4, "", "P3,A1C", ANOTHER_WIDTH),
    ]
    assert read(table) == rows
    assert read(gzip.compress(table.encode())) == rows
    assert read("variant\tx\nA1C\t1\n") == [Mutation(2, "", "A1C")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n\n", "is empty"),
        (
            "name,score\nA1C,3\n",
            "'name, score'.*A24G.*mutation",
        ),
    ],
)
def test_what_is_no_list_of_mutations_is_one_sentence(read, text, message):
    with pytest.raises(UserError, match=message):
        read(text)
