"""The search command and the engine: answers against NumPy on the model's own embeddings."""

import csv
import errno
import io
import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from protclip_jax import ProtCLIP
from protclip_jax.retrieval import SearchEngine
from protclip_jax.retrieval.scores import DEFINITION
from protclip_jax.search import __main__ as search
from tests.support import searching, tiny
from tests.support.paths import ROOT


@pytest.fixture(scope="module")
def records():
    return tiny.records(40, seed=5)


@pytest.fixture(scope="module")
def folder(records, tmp_path_factory):
    """A checkpoint, an index of proteins `i`, labels as a file and as an index `l`."""
    folder = tmp_path_factory.mktemp("search")
    searching.make_checkpoint(folder / "c")
    fasta = searching.write_fasta(folder / "x.fasta", records)
    assert searching.make_index(folder / "c", folder / "i", input=fasta) == 0
    (folder / "labels.tsv").write_text(searching.LABELS)
    assert searching.make_index(folder / "c", folder / "l", labels=folder / "labels.tsv") == 0
    return folder


@pytest.fixture(scope="module")
def model(folder):
    return ProtCLIP.load(folder / "c")


@pytest.fixture(scope="module")
def proteins(model, records):
    return model.encode_proteins([record.sequence for record in records])


def ask(folder, *arguments):
    return search.main(["--checkpoint", str(folder / "c"), *map(str, arguments)])


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text), delimiter="\t"))


def expected(vectors, query, top):
    """Rows, cosines and margins of the best, from the formulas in float64."""
    cosines = vectors.astype(float) @ query.astype(float)
    order = np.argsort(-cosines, kind="stable")[:top]
    return order, cosines[order], cosines[order] - cosines.mean()


def check(rows, ids, answer):
    order, cosines, margins = answer
    expected = [ids[position] for position in order]
    assert [row["id"] for row in rows] == expected
    assert [int(row["rank"]) for row in rows] == list(range(1, len(order) + 1))
    np.testing.assert_allclose([float(row["cosine"]) for row in rows], cosines, atol=1e-5)
    np.testing.assert_allclose([float(row["margin"]) for row in rows], margins, atol=1e-5)


def test_a_text_finds_the_proteins_nearest_to_it(folder, model, proteins, records, capsys):
    ids = [record.accession for record in records]
    assert (
        ask(folder, "--index", folder / "i", "--text", "FUNCTION: abc", "--top", 7, "--output", "-")
        == 0
    )
    found = rows_of(capsys.readouterr().out)
    check(found, ids, expected(proteins, model.encode_texts(["FUNCTION: abc"])[0], 7))
    assert found[0]["query"] == "FUNCTION: abc"
    by_id = {record.accession: record for record in records}
    best = by_id[found[0]["id"]]
    assert (found[0]["name"], found[0]["length"], found[0]["source"]) == (
        best.name,
        str(len(best.sequence)),
        "x.fasta",
    )


def test_what_is_doubtful_of_a_question_is_reported(folder, tmp_path, capsys):
    where = ["--index", folder / "i", "--output", "-"]
    assert ask(folder, *where, "--text", "protein \u03b2") == 0
    printed = capsys.readouterr().err
    assert "protein \u03b2: not in the model's vocabulary: \u03b2." in printed
    assert printed.count("vocabulary") == 1
    assert ask(folder, *where, "--sequence", "ACGT" * 10) == 0
    assert "sequence: it looks like nucleotides, not like a protein." in capsys.readouterr().err
    (tmp_path / "q.csv").write_text(f"gene,sequence\na,{'ACGT' * 10}\nb,MKVLL\n")
    assert ask(folder, *where, "--input", tmp_path / "q.csv") == 0
    printed = capsys.readouterr().err
    assert "line 2: 1 looks like nucleotides" in printed
    assert "choose one of gene, sequence with --id_column" in printed
    assert "line 3" not in printed


def test_a_text_is_phrased_unless_verbatim_and_prompts_are_averaged(
    folder, model, proteins, records, capsys
):
    ids = [record.accession for record in records]
    assert ask(folder, "--index", folder / "i", "--text", "abc", "--output", "-") == 0
    check(
        rows_of(capsys.readouterr().out),
        ids,
        expected(proteins, model.encode_texts(["PROTEIN NAME: abc"])[0], 10),
    )
    assert (
        ask(
            folder,
            "--index",
            folder / "i",
            "--text",
            "abc",
            "FUNCTION: dea",
            "--verbatim",
            "--output",
            "-",
        )
        == 0
    )
    mean = model.encode_texts(["abc", "FUNCTION: dea"]).astype(float).mean(0)
    check(
        rows_of(capsys.readouterr().out), ids, expected(proteins, mean / np.linalg.norm(mean), 10)
    )


def test_a_protein_finds_itself_first_and_labels_in_the_order_of_their_cosines(
    folder, model, records, capsys
):
    record = records[11]
    assert (
        ask(folder, "--index", folder / "i", "--sequence", record.sequence.lower(), "--output", "-")
        == 0
    )
    captured = capsys.readouterr()
    first = rows_of(captured.out)[0]
    assert (first["id"], first["cosine"]) == (record.accession, "1.000000")
    assert f"{len(record.sequence)} lower case letters" in captured.err
    answers = []
    for labels in (folder / "labels.tsv", folder / "l"):
        assert ask(folder, "--labels", labels, "--sequence", record.sequence, "--output", "-") == 0
        answers.append(capsys.readouterr().out)
    # Libraries are called by their names.
    assert answers[0].replace("\tlabels\t", "\tl\t") == answers[1]
    prompts = [
        ["FUNCTION: abc def.", "FUNCTION: abc def fed."],
        ["FUNCTION: binds fea.", "FUNCTION: ede."],
        ["SUBCELLULAR LOCATION: bad."],
    ]
    means = np.stack([model.encode_texts(texts).astype(float).mean(0) for texts in prompts])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    check(
        rows_of(answers[0]),
        ["cut", "bind", "out"],
        expected(means, model.encode_proteins([record.sequence])[0], 10),
    )


def test_many_questions_of_a_file_are_answered_in_its_order(folder, records, tmp_path, capsys):
    fasta = tmp_path / "q.fasta"
    fasta.write_text(f">one\n{records[3].sequence}\n>bad\nMK1\n>two\n{records[9].sequence}\n")
    output = tmp_path / "answers.json"
    assert (
        ask(folder, "--index", folder / "i", "--input", fasta, "--top", 2, "--output", output) == 0
    )
    answers = json.loads(output.read_text())
    assert [(answer["query"], answer["hits"][0]["id"]) for answer in answers] == [
        ("one", records[3].accession),
        ("two", records[9].accession),
    ]
    assert answers[0]["background"]["items"] == 40
    assert "bad was skipped: '1' at position 3" in capsys.readouterr().err
    lines = tmp_path / "q.txt"
    lines.write_text("FUNCTION: abc\nFUNCTION: fed\n")
    output = tmp_path / "answers.tsv"
    assert (
        ask(folder, "--index", folder / "i", "--input", lines, "--top", 3, "--output", output) == 0
    )
    assert capsys.readouterr().err.splitlines()[-1] == f"wrote {output}"
    assert [row["query"] for row in rows_of(output.read_text())] == ["1"] * 3 + ["2"] * 3


def test_questions_are_read_from_a_pipe(folder, records, tmp_path, capsys):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = f">one\n{records[3].sequence}\n"
    writer = threading.Thread(target=pipe.write_text, args=(text,))
    writer.start()
    assert ask(folder, "--index", folder / "i", "--input", pipe, "--top", 1, "--output", "-") == 0
    writer.join()
    assert [row["id"] for row in rows_of(capsys.readouterr().out)] == [records[3].accession]


def test_the_table_shows_names_as_they_are(folder, capsys):
    assert ask(folder, "--index", folder / "i", "--text", "[red]abc[/red]", "--top", 2) == 0
    out = capsys.readouterr().out
    assert "[red]abc[/red]" in out
    assert "he best hit has q = " in out


def test_an_index_of_another_checkpoint_is_refused(folder, tmp_path, monkeypatch, capsys):
    import jax

    from protclip_jax.checkpoints import metadata
    from protclip_jax.checkpoints.parameters import save_params
    from tests.support import hostile_checkpoint

    metadata.write_metadata(tmp_path / "other", hostile_checkpoint.CONFIG, tiny.text_tokenizer())
    save_params(tmp_path / "other", jax.tree.map(lambda leaf: leaf * 1.01, tiny.params()))
    for option in (["--index", folder / "i"], ["--labels", folder / "l"]):
        arguments = ["--checkpoint", tmp_path / "other", *option, "--sequence", "MKTAYI"]
        assert search.main(list(map(str, arguments))) == 2
        assert "was made with other parameters" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--index", "i", "--text", " "], "--text is empty"),
        (["--index", "i", "--sequence", "MK1"], "'1' at position 3"),
        (["--index", "i", "--text", "x", "--top", "0"], "--top=0 must be at least 1"),
        (
            ["--index", "i", "--text", "x", "--output", "x.xlsx"],
            "must be named *.tsv, *.csv, *.json, *.fasta, or be - for",
        ),
        (["--index", "i", "--text", "x\udcff"], "is not UTF-8; type it in UTF-8"),
        (["--index", "i", "--text", "\u4e2d \u03b2"], "the model's vocabulary has none of"),
        (
            ["--index", "i", "--text", "x", "--column", "a"],
            "--column only applies to --input",
        ),
        (
            ["--index", "i", "--sequence", "MK", "--format", "csv", "--modality", "text"],
            "--format and --modality only apply to --input",
        ),
        (
            ["--index", "i", "--sequence", "MK", "--verbatim"],
            "--verbatim only applies to texts",
        ),
        (["--index", "absent", "--text", "x"], "the index absent does not exist"),
        (["--index", "l", "--text", "x"], "is an index of labels; give it as --labels"),
        (["--labels", "i", "--text", "x"], "is an index of proteins; give it as --index"),
        (["--labels", "absent.obo", "--text", "x"], "cannot be read"),
        (["--index", "i", "--input", "absent.fasta"], "cannot be read"),
    ],
)
def test_mistakes_are_one_sentence(folder, monkeypatch, capsys, arguments, sentence):
    monkeypatch.chdir(folder)
    assert ask(folder, *arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error


def test_a_reader_that_has_enough_ends_it_quietly(folder):
    arguments = ["--checkpoint", folder / "c", "--index", folder / "i", "--text", "x"]
    for output in (["--output", "-"], []):
        read, write = os.pipe()
        os.close(read)
        command = [sys.executable, "-m", "protclip_jax.search", *map(str, [*arguments, *output])]
        process = subprocess.run(
            command, cwd=ROOT, stdout=write, stderr=subprocess.PIPE, text=True, check=False
        )
        os.close(write)
        # The library that draws tables ends the program itself, with 1.
        assert process.returncode in ((141,) if output else (1, 141))
        assert process.stderr == ""


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.EISDIR])
def test_what_the_disk_refuses_elsewhere_is_not_blamed_on_the_output(
    folder, tmp_path, monkeypatch, capsys, code
):
    def fail(*arguments, **options):
        raise OSError(code, os.strerror(code), str(folder / "i" / "vectors-000000.npy"))

    monkeypatch.setattr(SearchEngine, "find", fail)
    assert ask(folder, "--index", folder / "i", "--text", "x", "--output", tmp_path / "x.tsv") == 1
    error = capsys.readouterr().err
    assert (
        f"{folder / 'i' / 'vectors-000000.npy'} cannot be read or written ({os.strerror(code)})"
        in error
    )
    assert "x.tsv" not in error
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_vanishes_is_not_blamed_on_the_output(folder, tmp_path, monkeypatch):
    def fail(*arguments, **options):
        return open(folder / "vanished", "rb")

    monkeypatch.setattr(SearchEngine, "find", fail)
    with pytest.raises(FileNotFoundError, match="vanished"):
        ask(folder, "--index", folder / "i", "--text", "x", "--output", tmp_path / "x.tsv")
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_cannot_be_written_is_named(folder, tmp_path, capsys):
    (tmp_path / "x.tsv").mkdir()
    (tmp_path / "file").write_text("")
    for output, found in (
        (tmp_path / "x.tsv", "exists; remove it"),
        (tmp_path / "file" / "x.tsv", ".partial cannot be created ("),
    ):
        assert ask(folder, "--index", folder / "i", "--text", "x", "--output", output) == 2
        assert f"{output}" in (error := capsys.readouterr().err)
        assert found in error


def test_the_help_defines_the_score(capsys):
    with pytest.raises(SystemExit):
        search.main(["--help"])
    assert " ".join(DEFINITION.split())[:60] in " ".join(capsys.readouterr().out.split())


def test_the_engine_is_what_the_documents_show(folder, records):
    engine = SearchEngine.load(folder / "c", index=folder / "i", labels=[folder / "labels.tsv"])
    assert engine.ask_protein(records[2].sequence, top=1)[0].id == records[2].accession
    assert len(engine.ask_texts(["FUNCTION: abc"], top=4)) == 4
    assert {hit.id for hit in engine.describe(records[2].sequence)} == {"cut", "bind", "out"}


def test_a_folder_given_as_a_point_is_a_library_of_that_folders_name(folder, monkeypatch):
    monkeypatch.chdir(folder / "l")
    assert list(SearchEngine.load(folder / "c", labels=["."]).libraries) == ["l"]


def test_labels_of_one_id_are_told_apart_in_a_file_as_in_an_index(folder, tmp_path):
    term = "[Term]\nid: GO:1\nname: {}\nnamespace: molecular_function\n\n"
    (tmp_path / "twice.obo").write_text(
        "format-version: 1.2\n\n" + term.format("abc") + term.format("fed")
    )
    assert searching.make_index(folder / "c", tmp_path / "i", labels=tmp_path / "twice.obo") == 0
    engine = SearchEngine.load(folder / "c", labels=[tmp_path / "twice.obo", tmp_path / "i"])
    ids = [index.items["id"].to_pylist() for index in engine.libraries.values()]
    assert ids == [["GO:1", "GO:1_2"]] * 2


def test_labels_that_cannot_be_used_are_counted_when_their_file_is_read(folder, tmp_path):
    term = "[Term]\nid: GO:{}\nname: abc\nnamespace: molecular_function\n{}\n"
    obsolete = term.format(2, "is_obsolete: true\n")
    (tmp_path / "some.obo").write_text(
        "format-version: 1.2\n\n" + term.format(1, "") + obsolete + term.format(3, "")
    )
    with pytest.warns(
        UserWarning, match=r"1 of 3 labels in .*some.obo are left out: 1 × it is obsolete\."
    ):
        engine = SearchEngine.load(folder / "c", labels=[tmp_path / "some.obo"])
    assert len(engine.libraries["some"]) == 2


def test_without_faiss_inference_works_and_search_says_what_is_missing(folder, monkeypatch, capsys):
    import sys

    monkeypatch.setitem(sys.modules, "faiss", None)
    assert ask(folder, "--index", folder / "i", "--text", "x", "--output", "-") == 2
    assert "pip install -e '.[search]'" in capsys.readouterr().err


def test_texts_of_a_file_are_looked_up_as_they_were_typed(tmp_path):
    (tmp_path / "q.txt").write_text("CDC33\nFUNCTION: binds zinc.\n")
    given = ["--checkpoint", "c", "--index", "i", "--input", tmp_path / "q.txt"]
    found = list(search.read_queries(search.parse_arguments(list(map(str, given)))))
    assert [query.typed for query in found] == ["CDC33", "FUNCTION: binds zinc."]
    assert [query.contents for query in found] == [
        ("PROTEIN NAME: CDC33",),
        ("FUNCTION: binds zinc.",),
    ]
