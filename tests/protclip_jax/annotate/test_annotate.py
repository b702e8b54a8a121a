"""A small proteome: what is found for each protein, where nothing is sure, and runs that are
killed."""

import csv
import hashlib
import importlib.metadata
import shutil

import numpy as np
import pytest

from protclip_jax import ProtCLIP
from protclip_jax.annotate import __main__ as annotate
from protclip_jax.annotate import rows as annotate_rows
from protclip_jax.annotate.rows import COLUMNS, annotated, described_rows, lines
from protclip_jax.embed.embedding_files import Part
from protclip_jax.retrieval import SearchEngine
from protclip_jax.retrieval.answer import Answer, Hit
from protclip_jax.retrieval.calibration import FILE, Calibration, Confidence, Table, to_text
from tests.support import searching, tiny

RECORDS = tiny.records(24, seed=8)
ASKED = tiny.records(12, seed=21)


def table(question, trait, share):
    """Two bins of the cosine: below 0.2 a quarter of the share."""
    return Table(
        question,
        trait,
        (1.0, 0.0),
        (0.2,),
        (share / 4, share),
        (share / 8, share / 2),
        (50, 40),
        0.01,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A calibrated checkpoint `c`, an index `i` whose first four proteins have no name, labels
    `l.tsv`, questions `q.fasta`."""
    folder = tmp_path_factory.mktemp("annotate")
    searching.make_checkpoint(folder / "c")
    tables = (table("sequence", "family", 0.9), table("label", "location", 0.8))
    fingerprint = ProtCLIP.load(folder / "c").fingerprint
    (folder / "c" / FILE).write_text(to_text(Calibration(fingerprint, tables), {}))
    entries = [
        f">{one.accession}{f' {one.name}' if row >= 4 else ''}\n{one.sequence}\n"
        for row, one in enumerate(RECORDS)
    ]
    (folder / "x.fasta").write_text("".join(entries))
    assert searching.make_index(folder / "c", folder / "i", input=folder / "x.fasta") == 0
    (folder / "l.tsv").write_text(searching.LABELS)
    questions = [f">q{row}\n{one.sequence}\n" for row, one in enumerate([*ASKED, RECORDS[0]])]
    (folder / "q.fasta").write_text("".join(questions))
    return folder


def run(folder, output, *arguments):
    given = [
        "--checkpoint",
        folder / "c",
        "--index",
        folder / "i",
        "--labels",
        folder / "l.tsv",
        "--input",
        folder / "q.fasta",
    ]
    return annotate.main(list(map(str, [*given, "--output", output, *arguments])))


def rows_of(path):
    first, *lines = path.read_text().splitlines()
    return first, list(csv.DictReader(lines, delimiter="\t"))


@pytest.fixture(scope="module")
def written(folder):
    assert run(folder, folder / "out.tsv", "--min_confidence", 0.5) == 0
    return folder / "out.tsv"


def test_every_protein_has_its_nearest_described_ones_and_labels(folder, written):
    engine = SearchEngine.load(folder / "c", index=folder / "i", labels=[folder / "l.tsv"])
    _, rows = rows_of(written)
    assert list(rows[0]) == list(COLUMNS)
    by_protein = {}
    for row in rows:
        by_protein.setdefault((row["protein"], row["aspect"]), []).append(row)
    assert len(by_protein) == 2 * 13
    described = described_rows(engine.proteins.items, folder=folder / "i")
    assert described.tolist() == list(range(4, 24))
    vectors = engine.model.encode_proteins([record.sequence for record in [*ASKED, RECORDS[0]]])
    for number, vector in enumerate(vectors):
        cosines = engine.proteins.vectors.take(described) @ vector
        best = described[np.argsort(-cosines, kind="stable")[:3]]
        own = by_protein[f"q{number}", "proteins"]
        if cosines.max() >= 0.2:
            reached = sorted((cosine for cosine in cosines if cosine >= 0.2), reverse=True)
            assert [row["id"] for row in own] == [
                RECORDS[place].accession for place in best[: len(reached)]
            ]
            assert {row["sure"] for row in own} == {"yes"}
        else:
            assert [(row["id"], row["sure"]) for row in own] == [("", "no")]
        assert float(own[0]["cosine"]) == pytest.approx(cosines.max(), abs=1e-5)


def test_each_hit_is_sure_by_its_own_confidence():
    def hit(rank, share):
        known = () if share is None else (Confidence("function", share, 0.1, 0.01, 40),)
        return Hit(
            rank, rank, f"l{rank}", "label", "x", None, cosine=0.5, margin=0.1, confidences=known
        )

    def written(*shares):
        hits = [hit(rank, share) for rank, share in enumerate(shares, 1)]
        found = lines(("q", "9", "labels"), Answer(hits), engine=None, least=0.5)
        return [(line[COLUMNS.index("sure")], line[COLUMNS.index("id")]) for line in found]

    assert written(0.9, 0.2, None, 0.5) == [("yes", "l1"), ("not known", "l3"), ("yes", "l4")]
    assert written(0.2, 0.9) == [("no", "")]
    assert written(None, 0.2) == [("not known", "l1")]


def test_an_id_with_a_tab_leaves_its_line_whole(monkeypatch):
    answer = Answer([Hit(1, 0, "l", "label", "x", None, cosine=0.5, margin=0.1)])
    monkeypatch.setattr(annotate_rows, "found_aspects", lambda *_, **options: {"labels": [answer]})
    part = Part(["a\tb"], np.array([9]), np.zeros((1, 2)))
    (line,) = annotated(None, part, top=1, least=0.5, described=None)
    assert (line[0], len(line)) == ("a b", len(COLUMNS))


def test_an_aspect_without_a_sure_hit_gets_one_line_without_one(folder, tmp_path):
    assert run(folder, tmp_path / "out.tsv", "--min_confidence", 0.95) == 0
    _, rows = rows_of(tmp_path / "out.tsv")
    of_proteins = [row for row in rows if row["aspect"] == "proteins"]
    assert len(of_proteins) == 13
    assert {(row["sure"], row["rank"], row["id"], row["name"]) for row in of_proteins} == {
        ("no", "", "", "")
    }
    assert all(float(row["confidence"]) <= 0.9 for row in of_proteins)


def test_the_first_line_says_what_the_file_was_made_with(folder, written):
    line, _ = rows_of(written)
    assert line.startswith("# protclip_jax.annotate of q.fasta: checkpoint ")
    assert ProtCLIP.load(folder / "c").fingerprint in line
    assert line.endswith("; top 3; min_confidence 0.5")
    calibration = (folder / "c" / FILE).read_bytes()
    assert f"; calibration {hashlib.sha256(calibration).hexdigest()[:16]}; " in line
    assert f"; protclip-jax {importlib.metadata.version('protclip-jax')}" in line
    assert f"; jax {importlib.metadata.version('jax')}" in line


def test_a_killed_run_gives_the_same_bytes(folder, written, tmp_path, monkeypatch, capsys):
    from protclip_jax.embed import __main__ as embed

    monkeypatch.setattr(annotate, "MIN_CHUNK_TOKENS", 1)
    monkeypatch.setattr(annotate, "MIN_CHUNK_BATCHES", 0)
    save, saved = embed.save_part, []

    def killed(*arguments, **options):
        if len(saved) == 5:
            raise KeyboardInterrupt
        saved.append(arguments)
        save(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(embed, "save_part", killed)
        assert run(folder, tmp_path / "out.tsv") == 130
    assert not (tmp_path / "out.tsv").exists()
    assert len(list((tmp_path / "out.tsv.partial").glob("*.npz"))) == 5
    assert run(folder, tmp_path / "out.tsv", "--top", 2, "--min_confidence", 0.25) == 2
    assert (
        "holds the parts of another run (other min_confidence, top); finish that one"
        in searching.told(capsys)
    )
    assert run(folder, tmp_path / "out.tsv") == 0
    assert run(folder, tmp_path / "whole.tsv") == 0
    assert (tmp_path / "out.tsv").read_bytes() == (tmp_path / "whole.tsv").read_bytes()
    assert not (tmp_path / "out.tsv.partial").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--top", "0"], "--top=0 must be at least 1"),
        (["--min_confidence", "2"], "--min_confidence=2.0 must be from 0 to 1"),
        (["--batch_tokens", "0"], "--batch_tokens=0 must be at least 1"),
    ],
)
def test_mistakes_are_one_sentence(folder, tmp_path, capsys, arguments, told):
    assert run(folder, tmp_path / "out.tsv", *arguments) == 2
    assert told in searching.told(capsys)
    assert run(folder, tmp_path / "out.html") == 2
    assert "must be named *.tsv" in searching.told(capsys)


def test_an_index_without_descriptions_is_refused_before_anything_is_embedded(
    folder, tmp_path, capsys, monkeypatch
):
    (tmp_path / "x.fasta").write_text(
        "".join(f">{one.accession}\n{one.sequence}\n" for one in RECORDS[:3])
    )
    assert searching.make_index(folder / "c", tmp_path / "i", input=tmp_path / "x.fasta") == 0
    monkeypatch.setattr(annotate, "embed_parts", None)
    assert run(folder, tmp_path / "out.tsv", "--index", tmp_path / "i") == 2
    told = searching.told(capsys)
    assert (
        f"the index {tmp_path / 'i'} holds no protein with a name or a function; make it "
        "from UniProt entries" in told
    )


def test_an_output_that_exists_is_kept(folder, tmp_path, capsys):
    shutil.copy(folder / "x.fasta", tmp_path / "out.tsv")
    assert run(folder, tmp_path / "out.tsv") == 2
    assert "exists; remove it or choose another --output" in searching.told(capsys)
