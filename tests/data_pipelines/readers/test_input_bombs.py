"""Inputs for a model that unpack to far more than they are: refused or listed, in little memory."""

import tracemalloc
import zlib

import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.inputs.chunks import MAX_LETTERS, chunks
from data_pipelines.inputs.model_input import Source
from data_pipelines.inputs.survey import MAX_REJECT_ID, Measured, take_survey
from data_pipelines.readers import table

MIB = 1 << 20
COPIES = 80
"""MiB of what is repeated."""

BOMBS = {
    "fasta sequence in a line": ("fasta", b">a\n", b"M" * MIB, "longer than 16 MiB"),
    "fasta sequence in many lines": (
        "fasta",
        b">a\nMK\n>b\n",
        (b"M" * 4095 + b"\n") * (MIB // 4096),
        None,
    ),
    "fasta header": ("fasta", b">", b"x" * MIB, "longer than 16 MiB"),
    "fasta blank lines": ("fasta", b">a\nMK\n", (b" " * 4095 + b"\n") * (MIB // 4096), None),
    "fasta zeros": ("fasta", b">a\n", bytes(MIB), "longer than 16 MiB"),
    "csv row of quoted lines": (
        "csv",
        b"id,sequence\na,MK\n",
        (b'"' + b"x" * 1020 + b'\n",') * (MIB // 1024),
        "row is longer than 32 MiB",
    ),
    "csv cell of quoted lines": (
        "csv",
        b'id,sequence\na,MK\nb,"',
        (b"M" * 4095 + b"\n") * (MIB // 4096),
        "field larger than",
    ),
    "csv cells in a line": ("csv", b"id,sequence\na,MK\n", b"," * MIB, "longer than 16 MiB"),
    "csv header": ("csv", b"sequence", b",x" * (MIB // 2), "longer than 16 MiB"),
    "tsv cell": ("tsv", b"id\tsequence\na\tMK\nb\t", b"M" * MIB, "longer than 16 MiB"),
    "line": ("lines", b"MK\n", b"M" * MIB, "longer than 16 MiB"),
}


def packed(path, start: bytes, repeated: bytes, copies: int = COPIES):
    """A gzip file."""
    packer = zlib.compressobj(1, wbits=31)
    content = packer.compress(start)
    for _ in range(copies):
        content += packer.compress(repeated)
    path.write_bytes(content + packer.flush())
    assert path.stat().st_size < 1 * MIB
    return path


def measure(text):
    return Measured(len(text), False)


@pytest.mark.parametrize("kind", BOMBS)
def test_memory_does_not_follow_what_is_unpacked(tmp_path, kind):
    format_, start, repeated, message = BOMBS[kind]
    path = packed(tmp_path / "x.gz", start, repeated)
    source = Source(path=path, format=format_, modality="protein")
    tracemalloc.start()
    try:
        if message:
            with pytest.raises(UserError, match=message):
                take_survey(source, measure=measure, rejects=tmp_path / "rejects.tsv")
        else:
            assert (
                take_survey(source, measure=measure, rejects=tmp_path / "rejects.tsv").usable == 1
            )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 72 * MIB


def test_a_row_is_limited_and_not_its_neighbours(tmp_path, monkeypatch):
    monkeypatch.setattr(table, "MAX_ROW_BYTES", 30)
    path = tmp_path / "x.csv"
    path.write_text("id,sequence\n" + "\n" * 100 + 'a,"MK\nVL\n"\n' * 10)
    assert (
        len(list(table.read_table(path, dialect="csv", columns=("sequence",), id_column=None)))
        == 10
    )
    path.write_text('id,sequence\na,"' + "M\n" * 20 + '"\n')
    with pytest.raises(UserError, match="the row is longer"):
        list(table.read_table(path, dialect="csv", columns=("sequence",), id_column=None))


def test_items_of_few_tokens_and_many_letters_end_a_chunk(tmp_path):
    """Texts of which a model reads one token, and ids of a MiB: a chunk holds a bounded number
    of letters all the same."""
    path = tmp_path / "x.csv"
    with open(path, "w") as file:
        file.write("id,text\n")
        file.writelines(f"{index}{'i' * (MIB - 9)},{'t' * (MIB - 9)}\n" for index in range(36))
    source = Source(path=path, format="csv", modality="text")
    survey = take_survey(
        source, measure=lambda text: Measured(1, False), rejects=tmp_path / "rejects.tsv"
    )
    sizes = [
        len(chunk.ids)
        for chunk in chunks(
            source, survey, measure=lambda text: Measured(1, False), min_tokens=1000
        )
    ]
    assert sizes == [MAX_LETTERS // (2 * MIB) + 1] * 2 + [36 - 2 * (MAX_LETTERS // (2 * MIB) + 1)]


def test_the_list_of_rejects_does_not_repeat_long_ids(tmp_path):
    path = tmp_path / "x.fasta"
    path.write_text(">ok\nMK\n" + f">{'x' * MIB}\n11\n" * 3)
    source = Source(path=path, format="fasta", modality="protein")
    assert take_survey(source, measure=measure, rejects=tmp_path / "rejects.tsv").rejected == 3
    rows = (tmp_path / "rejects.tsv").read_text().splitlines()[1:]
    assert [len(row.split("\t")[0]) for row in rows] == [MAX_REJECT_ID] * 3
