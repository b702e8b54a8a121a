import pytest

from data_pipelines.common.errors import UserError
from eval.data.base.audit import by_reason
from eval.data.base.gathered import Gathered
from eval.data.importers.sequences import NO_PAIR, accession, read_sequences


@pytest.mark.parametrize(
    "text",
    [
        ">sp|P1|A_HUMAN x\nMK\nV\n>P2\nmaa\n>P3\nMC\n",
        "P1\tMKV\nP2\tmaa\nP3\tMC\n",
        "accession,organism,sequence\nP1,x,MKV\nP2,y,maa\nP3,z,MC\n",
        "Entry\tSequence\r\nP1\tMKV\r\nP2\tmaa\r\nP3\tMC\r\n",
        "".join(
            f'{{"name": "P{i}", "aa_seq": "{text}", "label": 1}}\n'
            for i, text in enumerate(("MKV", "maa", ""), 1)
        ),
    ],
)
def test_whatever_holds_sequences(file, text):
    gathered = Gathered()
    assert read_sequences([file(text)], gathered, wanted={"P1", "P2"}) == {"P1": "MKV", "P2": "MAA"}
    assert gathered.notes == ("letters changed in sequences: 3 lower case letters",)
    assert gathered.sources[0].rows == 3
    assert not gathered.rejects


def test_the_first_of_a_name_counts_and_broken_ones_are_rejected(file):
    gathered = Gathered()
    found = read_sequences(
        [file("A\tM1\nA\tMK\nA\tMV\n"), file("A\tMC\nB\tMD\n", "2.tsv")],
        gathered,
        wanted={"A", "B"},
    )
    assert found == {"A": "MK", "B": "MD"}
    assert [(r.line, r.name) for r in gathered.rejects] == [(1, "A")]


def test_lines_that_are_no_name_and_sequence_are_rejected(file):
    gathered = Gathered()
    path = file("A\tMK\nB MV\nC\nD\tMC\tMD\nE\tMA\n")
    assert read_sequences([path], gathered, wanted=set("ABCDE")) == {"A": "MK", "E": "MA"}
    assert [(r.line, r.name) for r in gathered.rejects] == [(2, "B MV"), (3, "C"), (4, "D")]
    assert by_reason(gathered.rejects) == {NO_PAIR: 3}


def test_ids_of_uniprot():
    assert accession("sp|P03135|CAPSD_AAV2S") == "P03135"
    assert accession("tr|A0A0|X") == "A0A0"
    assert accession("9606.ENSP1") == "9606.ENSP1"


@pytest.mark.parametrize(
    "text", ["", "one word\n", "a,b,c\n1,2,3\n", '{"seq": "MK"}\n', '"name,sequence\nA,MK\n']
)
def test_other_files_are_refused(file, text):
    with pytest.raises(UserError, match=r"file\.txt"):
        read_sequences([file(text)], Gathered(), wanted={"A"})


def test_sequences_of_nucleotides_are_reported(file):
    gathered = Gathered()
    read_sequences(
        [file(">a\nATGGCTGACGAAAAACGTTGGCTGAACGCT\n>b\nMKV\n")], gathered, wanted={"a", "b"}
    )
    assert gathered.notes == ("sequences that look like nucleotides: 1",)
