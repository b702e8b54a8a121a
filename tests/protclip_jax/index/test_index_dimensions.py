"""Indexes of the first dimensions of embeddings: what they hold, and that queries are cut alike."""

import json

import numpy as np
import pytest

from protclip_jax import ProtCLIP
from protclip_jax.embed import embedding_files
from protclip_jax.embed.embedding_files import WRITERS
from protclip_jax.index import __main__ as index
from protclip_jax.retrieval import SearchEngine
from protclip_jax.retrieval.index_folder import open_index
from tests.support import searching, tiny

KEPT = 6


@pytest.fixture(scope="module")
def model(indexed):
    return ProtCLIP.load(indexed.checkpoint)


@pytest.fixture(scope="module")
def cut(indexed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cut") / "i"
    fasta = searching.write_fasta(folder.with_name("x.fasta"), indexed.records)
    made = searching.make_index(indexed.checkpoint, folder, input=fasta, dimensions=KEPT)
    assert made == 0
    return folder


def prefixes(vectors):
    kept = vectors.astype(np.float64)[:, :KEPT]
    return kept / np.linalg.norm(kept, axis=1, keepdims=True)


def test_it_holds_unit_norm_prefixes_and_says_so(indexed, model, cut):
    opened = open_index(cut)
    whole = open_index(indexed.folder).vectors.take(np.arange(40))
    np.testing.assert_allclose(opened.vectors.take(np.arange(40)), prefixes(whole), atol=1e-5)
    assert opened.background.shape[1] == opened.manifest["dimension"] == KEPT
    assert opened.manifest["encoding"]["dimensions"] == KEPT
    assert "dimensions" not in open_index(indexed.folder).manifest["encoding"]


def test_questions_are_cut_for_the_index_that_is_asked(indexed, model, cut):
    engine = SearchEngine(model, open_index(cut), {"whole": open_index(indexed.folder)})
    record, ids = indexed.records[3], [record.accession for record in indexed.records]
    whole = model.encode_proteins([record.sequence for record in indexed.records])
    prompts = ["FUNCTION: abc", "FUNCTION: dea"]
    mean = model.encode_texts(prompts).astype(float).mean(0, keepdims=True)
    cosines = prefixes(whole) @ prefixes(mean)[0]
    hits = engine.ask_texts(prompts, top=5)
    nearest = [ids[row] for row in np.argsort(-cosines)[:5]]
    assert [hit.id for hit in hits] == nearest
    np.testing.assert_allclose([hit.cosine for hit in hits], np.sort(-cosines)[:5] * -1, atol=1e-5)
    assert engine.ask_protein(record.sequence, top=1)[0].id == record.accession
    found = engine.describe(record.sequence, top=5)
    expected = np.sort(-whole @ whole[3])[:5] * -1
    np.testing.assert_allclose([hit.cosine for hit in found], expected, atol=1e-5)


def test_only_proteins_of_as_many_dimensions_are_added(indexed, cut, tmp_path, capsys):
    new = searching.write_fasta(tmp_path / "new.fasta", tiny.records(3, seed=78))
    add = {"input": new, "append": True}
    assert searching.make_index(indexed.checkpoint, cut, **add) == 2
    assert "pass --dimensions 6" in searching.printed(capsys)
    assert searching.make_index(indexed.checkpoint, cut, **add, dimensions=KEPT) == 0
    assert "trained without loss.matryoshka" in capsys.readouterr().err
    assert (len(open_index(cut)), open_index(cut).vectors.width) == (43, KEPT)


@pytest.mark.parametrize("asked", [0, -3, 17])
def test_a_number_that_embeddings_lack_is_one_sentence(indexed, tmp_path, capsys, asked):
    fasta = searching.write_fasta(tmp_path / "x.fasta", indexed.records[:2])
    made = searching.make_index(indexed.checkpoint, tmp_path / "i", input=fasta, dimensions=asked)
    assert made == 2
    assert f"dimensions={asked} must be from 1 to 16" in searching.printed(capsys)
    assert not (tmp_path / "i").exists()


FACTS = {
    "checkpoint": "f",
    "kind": "projected",
    "modality": "protein",
    "dtype": "float32",
    "long_proteins": "windows",
    "max_residues": "1022",
    "overlap": "256",
}


@pytest.mark.parametrize(("facts", "asked"), [({}, KEPT), ({"dimensions": KEPT + 2}, None)])
def test_embedding_files_are_cut_and_cut_ones_are_known(tmp_path, facts, asked):
    vectors = np.random.default_rng(0).normal(size=(5, KEPT + 2)).astype(np.float32)
    part = embedding_files.Part(list("abcde"), np.arange(5), vectors)
    WRITERS[".parquet"](tmp_path / "e.parquet", [part], facts=FACTS | facts)
    options = ["--dimensions", str(asked)] if asked else []
    arguments = ["--input", tmp_path / "e.parquet", "--output", tmp_path / "i", *options]
    assert index.main(list(map(str, arguments))) == 0
    width = asked or KEPT + 2
    manifest = json.loads((tmp_path / "i" / "manifest.json").read_text())
    assert manifest["encoding"]["dimensions"] == manifest["dimension"] == width
    kept = vectors[:, :width] / np.linalg.norm(vectors[:, :width], axis=1, keepdims=True)
    np.testing.assert_allclose(
        open_index(tmp_path / "i").vectors.take(np.arange(5)), kept, atol=1e-6
    )
