"""Hits of MMseqs2 and BLAST: what their columns mean, and files of another form."""

import gzip

import pytest

from data_pipelines.build.nearest_training import nearest_in
from data_pipelines.common.errors import UserError
from data_pipelines.readers.hits import Hit, read_hits

MMSEQS = "q1\tsp|P1|A_B\t0.5\t0.75\t0.9\t1e-20\t120\n"
BLAST = "q1\tP1\t50.000\t80\t40\t0\t1\t80\t5\t84\t1e-20\t120.5\n"


def read(tmp_path, text):
    path = tmp_path / "hits.m8"
    path.write_bytes(text.encode())
    return list(read_hits(path))


def test_mmseqs_columns_with_and_without_a_header(tmp_path):
    expected = [Hit("q1", "P1", 0.5, 0.75, 1e-20, 120.0)]
    assert read(tmp_path, MMSEQS) == expected
    header = "query\tbits\ttarget\tfident\tqcov\ttcov\tevalue\n"
    assert read(tmp_path, header + "q1\t120\tP1\t0.5\t0.75\t0.9\t1e-20\n") == expected
    (tmp_path / "x.gz").write_bytes(gzip.compress(MMSEQS.encode()))
    assert list(read_hits(tmp_path / "x.gz")) == expected


def test_blast_tells_percent_and_no_coverage(tmp_path):
    expected = Hit("q1", "P1", 0.5, None, 1e-20, 120.5)
    assert read(tmp_path, BLAST) == [expected]
    commented = f"# BLASTP 2.15.0+\n# Query: q1\n# 1 hits found\n{BLAST}# BLAST processed 1\n"
    assert read(tmp_path, commented) == [expected]
    (whole,) = read(tmp_path, BLAST.replace("50.000", "100.000"))
    assert whole.identity == 1
    fractions = BLAST.replace("50.000", "0.500")
    assert read(tmp_path, fractions) == [expected]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "q1\tP1\t0.5\n",
            "line 1 has 3 columns, not 7; rerun the search with --format-output query,target",
        ),
        (MMSEQS + BLAST, "line 2 has 12 columns, not 7"),
        (MMSEQS.replace("0.5", "50"), "fident 50 and qcov 0.75 must be fractions from 0 to 1"),
        (BLAST.replace("50.000", "150"), "fident 150 must be fractions from 0 to 1"),
        (BLAST.replace("1e-20", "low"), "line 1: could not convert string to float: 'low'"),
        ("query\ttarget\n", "has no column fident"),
    ],
)
def test_another_form_is_one_sentence(tmp_path, text, message):
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        read(tmp_path, text)


def test_a_build_needs_the_coverage(tmp_path):
    (tmp_path / "hits.m8").write_text(BLAST)

    class Layout:
        held_out = 1

    with pytest.raises(UserError, match="has no column qcov; .*--format-output"):
        nearest_in(tmp_path / "hits.m8", Layout())
