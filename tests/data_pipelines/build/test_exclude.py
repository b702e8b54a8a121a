import gzip

import pytest

from data_pipelines.build.exclude import files_with, read_excluded
from data_pipelines.common.errors import UserError


def test_sequences_are_excluded_as_the_model_reads_them(tmp_path):
    first, second = tmp_path / "first.fasta", tmp_path / "second.fasta.gz"
    first.write_text(">a\nMKV\nLAC\n>b\nmk-vw*\n>a\nMKVLAC\n")
    second.write_bytes(gzip.compress(b">c\nMKVLAC\n>d\nMKXX\n"))
    excluded = read_excluded([first, second])
    both = ("first.fasta", "second.fasta.gz")
    expected = {"MKVLAC": both, "MKVW": both[:1], "MKJX": both[1:], "MKVLA": (), "MKVLACC": ()}
    assert {sequence: files_with(sequence, excluded) for sequence in expected} == expected
    assert files_with("MKVLAC", read_excluded([])) == ()


@pytest.mark.parametrize("sequence", ["MK1", "", "M" * ((1 << 20) + 1)])
def test_what_cannot_be_read_cannot_be_kept_out(tmp_path, sequence):
    path = tmp_path / "x.fasta"
    path.write_text(f">fine\nMK\n>bad\n{sequence}\n")
    with pytest.raises(UserError, match="x.fasta line 3: bad "):
        read_excluded([path])


def test_genes_would_keep_no_protein_out(tmp_path):
    path = tmp_path / "x.fasta"
    gene = "ATGGCTGACGAAAAACGTTGGCTGAACGCT"
    path.write_text(f">a\n{gene}\n>b\n{gene}GGG\n>c\nMKV\n")
    with pytest.raises(UserError, match="x.fasta: 2 of 3 sequences look like nucleotides"):
        read_excluded([path])
    path.write_text(f">a\n{gene}\n>b\nMKL\n>c\nMKV\n")
    assert len(read_excluded([path])) == 3
