"""Many questions at once: their text, several aspects, homology, and the forms of the output."""

import csv
import json

import pytest

from data_pipelines.readers.fasta import read_fasta
from protclip_jax.retrieval import SearchEngine
from protclip_jax.retrieval.answer import BOTH, HOMOLOGY, MODEL
from protclip_jax.search import __main__ as search
from tests.support import searching, tiny

ASKED = tiny.records(3, seed=44)


@pytest.fixture(scope="module")
def folder(indexed, tmp_path_factory):
    """Questions `q.fasta`, labels `l.tsv`, and hits of the first question."""
    folder = tmp_path_factory.mktemp("batch")
    headers = ["q0 =first question", "sp|Q1|X_Y", "q2"]
    entries = zip(headers, ASKED, strict=True)
    (folder / "q.fasta").write_text("".join(f">{name}\n{one.sequence}\n" for name, one in entries))
    (folder / "l.tsv").write_text(searching.LABELS)
    targets = [indexed.records[row].accession for row in (7, 30)]
    lines = [
        f"q0\t{name}\t0.4\t0.9\t0.9\t1e-9\t{bits}\n"
        for name, bits in zip(targets, (90, 50), strict=True)
    ]
    (folder / "hits.m8").write_text("".join(lines))
    return folder


def ask(indexed, *arguments):
    given = ["--checkpoint", indexed.checkpoint, "--index", indexed.folder, *arguments]
    return search.main(list(map(str, given)))


def rows_of(path, delimiter="\t"):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def test_proteins_and_labels_are_asked_together(indexed, folder, tmp_path, capsys):
    asked = ["--labels", folder / "l.tsv", "--input", folder / "q.fasta", "--top", 2]
    assert ask(indexed, *asked, "--output", tmp_path / "o.csv") == 0
    rows = rows_of(tmp_path / "o.csv", ",")
    ids = ["q0", "sp|Q1|X_Y", "q2"]
    expected = [(id, aspect) for id in ids for aspect in ("proteins", "l") for _ in range(2)]
    assert [(row["query"], row["aspect"]) for row in rows] == expected
    assert {row["question"] for row in rows} == {"'=first question", ""}
    assert "search: " in capsys.readouterr().err
    alone = SearchEngine.load(indexed.checkpoint, index=indexed.folder, labels=[folder / "l.tsv"])
    found = dict(alone.ask_proteins(dict(zip(ids, (one.sequence for one in ASKED), strict=True))))
    nearest = [row["id"] for row in rows]
    assert [hit.id for hit in found["q2"].hits[:2]] == nearest[8:10]
    assert [hit.id for hit in alone.describe(ASKED[2].sequence, top=2)] == nearest[10:]


def test_answers_say_which_spoke(indexed, folder, tmp_path):
    asked = ["--input", folder / "q.fasta", "--hits", folder / "hits.m8", "--top", 40]
    assert ask(indexed, *asked, "--output", tmp_path / "o.tsv") == 0
    rows = [row for row in rows_of(tmp_path / "o.tsv") if row["query"] == "q0"]
    relatives = [indexed.records[row].accession for row in (7, 30)]
    assert [row["id"] for row in rows[:2]] == relatives
    assert [row["by"] for row in rows] == [BOTH] * 2 + [MODEL] * 38
    assert (rows[0]["homolog"], rows[0]["identity"], rows[0]["evalue"]) == (
        relatives[0],
        "0.400",
        "1e-09",
    )
    assert ask(indexed, *asked[:-1], 3, "--output", tmp_path / "o.json") == 0
    first, second, _ = json.loads((tmp_path / "o.json").read_text())
    assert [hit["id"] for hit in first["hits"][:2]] == relatives
    assert {hit["by"] for hit in first["hits"][:2]} <= {HOMOLOGY, BOTH}
    assert first["hits"][0]["alignment"]["bits"] == 90
    assert {hit["by"] for hit in second["hits"]} == {MODEL}


def test_the_texts_of_a_file_are_kept(indexed, tmp_path):
    (tmp_path / "q.txt").write_text("FUNCTION: abc\n-abc def\n")
    assert (
        ask(indexed, "--input", tmp_path / "q.txt", "--top", 1, "--output", tmp_path / "o.tsv") == 0
    )
    rows = rows_of(tmp_path / "o.tsv")
    assert {(row["query"], row["question"]) for row in rows} == {
        ("1", "FUNCTION: abc"),
        ("2", "'-abc def"),
    }


def test_the_proteins_found_are_written_once_as_fasta(indexed, folder, tmp_path):
    asked = ["--input", folder / "q.fasta", "--top", 30, "--output", tmp_path / "o.fasta"]
    assert ask(indexed, *asked) == 0
    found = list(read_fasta(tmp_path / "o.fasta"))
    known = {record.accession: record for record in indexed.records}
    assert len({item.id for item in found}) == len(found) >= 30
    for item in found:
        assert item.text == known[item.id].sequence
        assert item.name == known[item.id].name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--text", "abc", "--hits", "HITS"], "--hits only applies to --input"),
        (["--input", "q.txt", "--hits", "HITS"], "--hits only applies to proteins"),
        (["--text", "abc", "--output", "o.xlsx"], "must be named *.tsv, *.csv, *.json, *.fasta"),
    ],
)
def test_mistakes_are_one_sentence(
    indexed, folder, tmp_path, capsys, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "q.txt").write_text("abc\n")
    given = [folder / "hits.m8" if one == "HITS" else one for one in arguments]
    assert ask(indexed, *given) == 2
    assert message in searching.printed(capsys)


def test_hits_and_fasta_need_an_index(indexed, folder, tmp_path, capsys):
    given = ["--checkpoint", indexed.checkpoint, "--labels", folder / "l.tsv"]
    given += ["--input", folder / "q.fasta"]
    assert search.main(list(map(str, [*given, "--hits", folder / "hits.m8"]))) == 2
    assert "--hits only applies to --index" in searching.printed(capsys)
    assert search.main(list(map(str, [*given, "--output", tmp_path / "o.fasta"]))) == 2
    assert "needs proteins, which --labels does not find" in searching.printed(capsys)
