"""What hits tell of their proteins, search in some organisms only, and indexes of the first
version."""

import csv
import io
import json

import numpy as np
import pyarrow
import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.common.hashing import file_sha256
from protclip_jax.retrieval import SearchEngine, item_table
from protclip_jax.retrieval.index_folder import MANIFEST, open_index
from protclip_jax.retrieval.nearest import exact_neighbours, exact_neighbours_among, unit_rows
from protclip_jax.retrieval.vector_parts import VectorParts
from protclip_jax.search import __main__ as search
from protclip_jax.serve.app import create_app
from tests.support import searching, tiny
from tests.support.api_client import exchange, post

ORGANISMS = (
    ("Mus musculus", 10090),
    ("Saccharomyces x (strain S2)", 559292),
    ("Saccharomyces y", 4932),
)
QUESTION = "FUNCTION: abc"


def header(row, record):
    organism, taxon = ORGANISMS[row % 3]
    return (
        f">sp|P{row:05}|A{row}_TEST {record.name} OS={organism} OX={taxon} GN=gen{row} PE=2 "
        f"SV=1\n{record.sequence}\n"
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkpoint `c`, an index `i` of 24 proteins of three organisms, `bare` of proteins
    without any, labels `l.tsv`."""
    folder = tmp_path_factory.mktemp("organisms")
    searching.make_checkpoint(folder / "c")
    records = tiny.records(24, seed=8)
    (folder / "x.fasta").write_text(
        "".join(header(row, record) for row, record in enumerate(records))
    )
    assert searching.make_index(folder / "c", folder / "i", input=folder / "x.fasta") == 0
    searching.write_fasta(folder / "bare.fasta", records)
    assert searching.make_index(folder / "c", folder / "bare", input=folder / "bare.fasta") == 0
    (folder / "l.tsv").write_text(searching.LABELS)
    return folder


@pytest.fixture(scope="module")
def engine(folder):
    return SearchEngine.load(folder / "c", index=folder / "i")


def ask(folder, *arguments, index="i"):
    given = [
        "--checkpoint",
        folder / "c",
        "--index",
        folder / index,
        "--text",
        QUESTION,
        *arguments,
    ]
    return search.main(list(map(str, given)))


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text), delimiter="\t"))


def test_hits_tell_entry_name_gene_and_organism_in_every_form(folder, engine, tmp_path, capsys):
    assert ask(folder, "--output", "-", "--top", 3) == 0
    first = rows_of(capsys.readouterr().out)[0]
    row = int(first["gene"].removeprefix("gen"))
    organism, taxon = ORGANISMS[row % 3]
    assert first["id"] == f"sp|P{row:05}|A{row}_TEST"
    assert (first["entry_name"], first["organism"], first["taxon"]) == (
        f"A{row}_TEST",
        organism,
        str(taxon),
    )
    assert ask(folder, "--output", tmp_path / "x.json", "--top", 3) == 0
    (answer,) = json.loads((tmp_path / "x.json").read_text())
    assert (answer["hits"][0]["gene"], answer["hits"][0]["taxon"]) == (f"gen{row}", taxon)
    assert ask(folder, "--top", 3) == 0
    shown = capsys.readouterr().out
    assert f"gen{row}" in shown
    assert organism.split()[0] in shown
    (response,) = exchange(create_app(engine), post("/api/search", {"query": QUESTION}))
    hit = response.json()["proteins"]["hits"][0]
    assert (hit["entry_name"], hit["gene"], hit["organism"]) == (
        f"A{row}_TEST",
        f"gen{row}",
        organism,
    )


@pytest.mark.parametrize(
    ("taxa", "remainders"),
    [(["559292"], {1}), (["saccharomyces"], {1, 2}), (["10090", "Saccharomyces y"], {0, 2})],
)
def test_a_taxon_leaves_its_proteins_in_their_order(folder, engine, capsys, taxa, remainders):
    assert ask(folder, "--output", "-", "--top", 24) == 0
    everything = [row["gene"] for row in rows_of(capsys.readouterr().out)]
    expected = [gene for gene in everything if int(gene.removeprefix("gen")) % 3 in remainders]
    assert ask(folder, "--taxon", *taxa, "--output", "-", "--top", 24) == 0
    assert [row["gene"] for row in rows_of(capsys.readouterr().out)] == expected
    limited, whole = exchange(
        create_app(engine),
        post("/api/search", {"query": QUESTION, "taxon": taxa, "top": 24}),
        post("/api/search", {"query": QUESTION, "top": 24}),
    )
    assert [hit["gene"] for hit in limited.json()["proteins"]["hits"]] == expected
    assert [hit["gene"] for hit in whole.json()["proteins"]["hits"]] == everything


@pytest.mark.parametrize(
    ("text", "by", "row"),
    [("gen7", "gene", 7), ("p00011", "accession", 11), ("a3_test", "entry name", 3)],
)
def test_what_a_text_names_comes_before_the_models_hits(folder, engine, capsys, text, by, row):
    given = [
        "--checkpoint",
        folder / "c",
        "--index",
        folder / "i",
        "--text",
        text,
        "--output",
        "-",
        "--top",
        4,
    ]
    assert search.main(list(map(str, given))) == 0
    first, *others = rows_of(capsys.readouterr().out)
    assert (first["by"], first["rank"], first["gene"], first["cosine"]) == (
        by,
        "1",
        f"gen{row}",
        "",
    )
    assert {hit["by"] for hit in others} == {"model"}
    assert [hit["rank"] for hit in others] == ["1", "2", "3", "4"]
    (response,) = exchange(create_app(engine), post("/api/search", {"query": text, "top": 4}))
    answer = response.json()
    assert [(hit["by"], hit["gene"]) for hit in answer["matches"]] == [(by, f"gen{row}")]
    ids = [hit["id"] for hit in others]
    assert [hit["id"] for hit in answer["proteins"]["hits"]] == ids
    (response,) = exchange(
        create_app(engine),
        post("/api/search", {"query": text, "taxon": [str(ORGANISMS[(row + 1) % 3][1])]}),
    )
    assert response.json()["matches"] == []


def test_a_name_of_unknown_words_is_looked_up_alone(folder, engine, monkeypatch, capsys):
    def unknown(texts):
        raise UserError(f"the model's vocabulary has none of the words in {texts[0]!r}.")

    monkeypatch.setattr(engine, "unknown_words", unknown)
    monkeypatch.setattr(search.SearchEngine, "load", lambda *arguments, **options: engine)
    given = ["--checkpoint", folder / "c", "--index", folder / "i", "--output", "-", "--text"]
    assert search.main(list(map(str, [*given, "gen7"]))) == 0
    captured = capsys.readouterr()
    assert [row["by"] for row in rows_of(captured.out)] == ["gene"]
    assert "PROTEIN NAME: gen7 was only looked up: the model's vocabulary" in captured.err
    assert search.main(list(map(str, [*given, "gen77"]))) == 2
    found, nothing = exchange(
        create_app(engine),
        post("/api/search", {"query": "gen7"}),
        post("/api/search", {"query": "gen77"}),
    )
    assert (found.json()["understood"]["is_asked"], found.json()["proteins"]) == (False, None)
    assert [hit["gene"] for hit in found.json()["matches"]] == ["gen7"]
    assert nothing.status_code == 422


def test_search_among_rows_is_search_in_them(monkeypatch):
    rng = np.random.default_rng(3)
    vectors, queries = unit_rows(rng.normal(size=(40, 6))), unit_rows(rng.normal(size=(3, 6)))
    parts = VectorParts([vectors[:17], vectors[17:]])
    among = np.sort(rng.choice(40, 21, replace=False))
    monkeypatch.setattr("protclip_jax.retrieval.nearest.BLOCK_ROWS", 4)
    found = exact_neighbours_among(parts, queries, 5, among)
    whole = exact_neighbours(VectorParts([vectors[among]]), queries, 5)
    assert found.rows.tolist() == among[whole.rows].tolist()
    np.testing.assert_allclose(found.scores, whole.scores, atol=1e-6)


def test_mistakes_about_a_taxon_are_one_sentence(folder, engine, capsys):
    assert ask(folder, "--taxon", "Homo") == 2
    printed = searching.printed(capsys)
    assert "has no protein of taxon 'Homo'; it has Mus musculus (10090), " in printed
    assert ask(folder, "--taxon", "Mus", index="bare") == 2
    assert "it has no organisms; rebuild it from UniProt entries" in searching.printed(capsys)
    given = [
        "--checkpoint",
        folder / "c",
        "--labels",
        folder / "l.tsv",
        "--text",
        "x",
        "--taxon",
        "9606",
    ]
    assert search.main(list(map(str, given))) == 2
    assert "--taxon only applies to --index" in searching.printed(capsys)
    (response,) = exchange(
        create_app(engine), post("/api/search", {"query": QUESTION, "taxon": ["9606"]})
    )
    assert response.status_code == 422
    assert "no protein of taxon '9606'" in response.json()["error"]


@pytest.fixture
def first_version(folder, tmp_path):
    """The index as version 1 wrote it."""
    return as_written_by(1, folder, tmp_path)


def as_written_by(version, folder, tmp_path):
    """The index as an older version wrote it."""
    opened, old = open_index(folder / "i"), tmp_path / "old"
    old.mkdir()
    for name in opened.manifest["files"]:
        (old / name).write_bytes((folder / "i" / name).read_bytes())
    (name,) = [part["items"] for part in opened.manifest["parts"]]
    later = [names for added, names in item_table.ADDED.items() if added > version]
    table = opened.items.drop_columns([name for names in later for name in names])
    with (
        pyarrow.OSFile(str(old / name), "wb") as file,
        pyarrow.ipc.new_file(file, table.schema) as writer,
    ):
        writer.write_table(table)
    facts = {"bytes": (old / name).stat().st_size, "sha256": file_sha256(old / name)}
    manifest = opened.manifest | {
        "format_version": version,
        "files": opened.manifest["files"] | {name: facts},
    }
    (old / MANIFEST).write_text(json.dumps(manifest))
    return old


def test_an_index_of_the_first_version_is_read_and_added_to(
    folder, first_version, tmp_path, capsys
):
    assert ask(folder, "--output", "-", index=first_version) == 0
    first = rows_of(capsys.readouterr().out)[0]
    assert first["id"].startswith("sp|P0")
    assert (first["entry_name"], first["gene"], first["organism"], first["taxon"]) == (
        "",
        "",
        "",
        "0",
    )
    (tmp_path / "more.fasta").write_text(header(30, tiny.records(1, seed=9)[0]))
    assert (
        searching.make_index(
            folder / "c", first_version, input=tmp_path / "more.fasta", append=True
        )
        == 0
    )
    items = open_index(first_version).items
    assert items["taxon"].to_pylist() == [0] * 24 + [10090]


def test_an_index_without_evidence_codes_is_read_and_added_to(folder, tmp_path, capsys):
    second = as_written_by(2, folder, tmp_path)
    assert ask(folder, "--output", "-", index=second) == 0
    first = rows_of(capsys.readouterr().out)[0]
    assert first["taxon"] != "0"
    assert first["evidence"] == ""
    (tmp_path / "more.dat").write_text(
        "ID   A_B  Reviewed;  4 AA.\nAC   Q9;\nDE   RecName: Full=Name {ECO:0000305};\n"
        "CC   -!- FUNCTION: Cuts {ECO:0000269|PubMed:1, ECO:0000250}. More\n"
        "CC       {ECO:0000269|PubMed:2}.\nPE   1: Evidence at protein level;\n"
        "SQ   SEQUENCE   4 AA;  1 MW;  0 CRC64;\n     MKVL\n//\n"
    )
    assert searching.make_index(folder / "c", second, input=tmp_path / "more.dat", append=True) == 0
    evidence = open_index(second).items["evidence"].to_pylist()
    assert evidence[:24] == [[]] * 24
    assert evidence[24] == [
        "name ECO:0000305",
        "function ECO:0000269",
        "function ECO:0000250",
    ]


@pytest.mark.parametrize("version", [4, None, "1"])
def test_an_index_of_an_unknown_version_is_refused(folder, first_version, capsys, version):
    manifest = json.loads((first_version / MANIFEST).read_text())
    (first_version / MANIFEST).write_text(json.dumps(manifest | {"format_version": version}))
    assert ask(folder, index=first_version) == 2
    assert f"has format_version {version!r}, but this program reads 1, 2 or 3" in searching.printed(
        capsys
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Cuts E. coli walls. And more.", "Cuts E. coli walls"),
        ("Nucleus", "Nucleus"),
        ("", ""),
        ("word " * 60, ("word " * 24).strip()[:119] + " …"),
    ],
)
def test_a_line_of_a_text_is_its_first_sentence(text, line):
    assert item_table.first_line(text) == line
