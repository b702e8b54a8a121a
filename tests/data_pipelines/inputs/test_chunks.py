"""Chunks: every usable item once, in order, cut at places that depend on nothing else."""

import hashlib

from data_pipelines.inputs.chunks import Chunk, chunks
from data_pipelines.inputs.model_input import Source
from data_pipelines.inputs.survey import Measured, take_survey


def measure(text):
    return Measured(len(text), False)


def hashes(*written):
    """By the formula of biotrainer: SHA-256 of the sequence as it is written, `_` and its
    length."""
    return [hashlib.sha256(f"{text}_{len(text)}".encode()).hexdigest() for text in written]


def cut(tmp_path, content, min_tokens):
    path = tmp_path / "input"
    path.write_text(content)
    source = Source(path=path, format="fasta", modality="protein")
    survey = take_survey(source, measure=measure, rejects=tmp_path / "rejects.tsv")
    return list(chunks(source, survey, measure=measure, min_tokens=min_tokens))


def test_a_chunk_ends_with_the_item_that_fills_it(tmp_path):
    content = ">a\nMKV\n>bad\n11\n>a\nac\n>\nMMMMMM\n>bad\nW\n>e\nWW\n"
    first, second, last = cut(tmp_path, content, 5)
    assert first == Chunk(["a", "a_2"], ["MKV", "AC"], 5, hashes("MKV", "ac"))
    assert second == Chunk(["sequence_4"], ["MMMMMM"], 6, hashes("MMMMMM"))
    # The rejected record counts among those of its id.
    assert last == Chunk(["bad_2", "e"], ["W", "WW"], 3, hashes("W", "WW"))


def test_the_digest_tells_any_change(tmp_path):
    digests = {chunk.digest for chunk in cut(tmp_path, ">a\nMK\n>b\nMK\n>c\nMV\n", 1)}
    digests |= {Chunk(["a"], ["MK", ""], 0, []).digest, Chunk(["aMK"], [""], 0, []).digest}
    digests.add(Chunk(["a"], ["MK"], 2, hashes("mK")).digest)
    assert len(digests) == 6
    assert (
        Chunk(["a"], ["MK"], 2, hashes("mk")).digest
        == cut(tmp_path, ">a desc\nm\nk\n", 1)[0].digest
    )
