"""A small proteome: what is found for each protein, where nothing is sure, and runs that are
killed."""

import csv
import hashlib
import importlib.metadata
import io
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest

from data_pipelines.common.tables import TableWriter
from protclip_jax import ProtCLIP
from protclip_jax.annotate import __main__ as annotate
from protclip_jax.annotate import rows as annotate_rows
from protclip_jax.annotate.page import html_page
from protclip_jax.annotate.rows import COLUMNS, annotated, described_rows, lines
from protclip_jax.annotate.summary import Summary
from protclip_jax.embed import parts
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
            nearest = [RECORDS[place].accession for place in best[: len(reached)]]
            assert [row["id"] for row in own] == nearest
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
    file = io.StringIO()
    TableWriter(file).writerow(line)
    (cells,) = csv.reader(io.StringIO(file.getvalue()), delimiter="\t")
    assert (cells[0], len(cells)) == ("a b", len(COLUMNS))


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


@pytest.mark.parametrize("output", ["out.tsv", "out.html"])
def test_a_killed_run_gives_the_same_bytes(folder, tmp_path, monkeypatch, capsys, output):
    monkeypatch.setattr(parts, "MIN_CHUNK_TOKENS", 1)
    monkeypatch.setattr(parts, "MIN_CHUNK_BATCHES", 0)
    save, saved = parts.save_part, []

    def killed(*arguments, **options):
        if len(saved) == 5:
            raise KeyboardInterrupt
        saved.append(arguments)
        save(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(parts, "save_part", killed)
        assert run(folder, tmp_path / output) == 130
    assert not (tmp_path / "out.tsv").exists()
    assert len(list((tmp_path / f"{output}.partial").glob("*.npz"))) == 5
    assert run(folder, tmp_path / output, "--top", 2, "--min_confidence", 0.25) == 2
    assert "the parts of a run with other settings (min_confidence, top)" in searching.printed(
        capsys
    )
    with monkeypatch.context() as patch:
        # Killed again where the outputs appear, a page behind its table.
        patch.setattr(annotate, "remove_parts" if output == "out.tsv" else "html_page", interrupted)
        assert run(folder, tmp_path / output) == 130
    assert [path.name for path in tmp_path.glob("out.*") if path.is_file()] == ["out.tsv"]
    assert run(folder, tmp_path / output) == 0
    (tmp_path / "whole").mkdir()
    assert run(folder, tmp_path / "whole" / output) == 0
    for name in {"out.tsv", output}:
        assert (tmp_path / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not (tmp_path / f"{output}.partial").exists()


def interrupted(*arguments, **options):
    raise KeyboardInterrupt


class Page(HTMLParser):
    """What a page loads, and its text."""

    def __init__(self, text):
        super().__init__()
        self.loaded, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.loaded += [value for name, value in attributes if name in ("src", "href", "srcset")]
        assert tag not in ("script", "link", "iframe", "object")

    def handle_data(self, data):
        self.text += data

    def handle_endtag(self, tag):
        self.text += " " if tag in ("td", "th") else ""


def test_the_page_stands_alone_and_counts_the_lines_of_the_table(folder, tmp_path):
    assert run(folder, tmp_path / "out.html", "--min_confidence", 0.5) == 0
    first, rows = rows_of(tmp_path / "out.tsv")
    page = Page((tmp_path / "out.html").read_text())
    assert len(page.loaded) == 3
    assert all(value.startswith("data:image/png;base64,") for value in page.loaded)
    assert "://" not in (tmp_path / "out.html").read_text()
    assert first.removeprefix("# ") in page.text
    assert "Annotation of 13 proteins" in page.text
    counts = " ".join(page.text.split("by both")[1].split())
    for aspect in ("proteins", "l"):
        best = {}
        for row in rows:
            if row["aspect"] == aspect:
                best.setdefault(row["protein"], row["sure"])
        outcomes = [list(best.values()).count(sure) for sure in ("yes", "not known", "no")]
        written = 13 - outcomes[2]
        assert f"{aspect} 13 {' '.join(map(str, outcomes))} {written} 0 0" in counts


def test_a_page_shows_strangers_words_as_text():
    summary = Summary(0.5)
    cells = dict.fromkeys(COLUMNS, "") | {"protein": searching.NASTY, "aspect": "$x^$ <b>"}
    cells |= {"sure": "yes", "cosine": "0.5", "name": searching.NASTY}
    summary.add(list(cells.values()))
    page = Page(html_page(summary, provenance=searching.NASTY, table="<i>.tsv"))
    assert page.text.count(searching.NASTY) == 3
    assert "<i>.tsv" in page.text
    assert len(page.loaded) == 3


def test_relatives_are_named_beside_the_models_hits(folder, tmp_path):
    target = RECORDS[9].accession
    (tmp_path / "hits.m8").write_text(f"q3\t{target}\t45.0\t9\t0\t0\t1\t9\t1\t9\t1e-9\t70\n")
    assert run(folder, tmp_path / "out.tsv", "--hits", tmp_path / "hits.m8") == 0
    first, rows = rows_of(tmp_path / "out.tsv")
    (led,) = [row for row in rows if row["homolog"]]
    assert (led["protein"], led["aspect"], led["rank"], led["id"]) == (
        "q3",
        "proteins",
        "1",
        target,
    )
    assert (led["by"], led["identity"], led["evalue"]) in {
        (by, "0.450", "1e-09") for by in ("homology", "homology and model")
    }
    assert led["sure"] != "no"
    digest = hashlib.sha256((tmp_path / "hits.m8").read_bytes()).hexdigest()[:16]
    assert f"; hits {digest}; " in first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--top", "0"], "--top=0 must be at least 1"),
        (["--min_confidence", "2"], "--min_confidence=2.0 must be from 0 to 1"),
        (["--batch_tokens", "0"], "--batch_tokens=0 must be at least 1"),
    ],
)
def test_mistakes_are_one_sentence(folder, tmp_path, capsys, arguments, message):
    assert run(folder, tmp_path / "out.tsv", *arguments) == 2
    assert message in searching.printed(capsys)
    assert run(folder, tmp_path / "out.csv") == 2
    assert "must be named *.tsv or *.html" in searching.printed(capsys)


def test_an_index_without_descriptions_is_refused_before_anything_is_embedded(
    folder, tmp_path, capsys, monkeypatch
):
    (tmp_path / "x.fasta").write_text(
        "".join(f">{one.accession}\n{one.sequence}\n" for one in RECORDS[:3])
    )
    assert searching.make_index(folder / "c", tmp_path / "i", input=tmp_path / "x.fasta") == 0
    monkeypatch.setattr(annotate, "embed_parts", None)
    assert run(folder, tmp_path / "out.tsv", "--index", tmp_path / "i") == 2
    message = searching.printed(capsys)
    assert f"the index {tmp_path / 'i'} has no protein with a name or a function" in message
    assert "--labels" in message


def test_an_output_that_exists_is_kept(folder, tmp_path, capsys):
    shutil.copy(folder / "x.fasta", tmp_path / "out.tsv")
    assert run(folder, tmp_path / "out.tsv") == 2
    assert "exists; remove it or choose another --output" in searching.printed(capsys)
