"""The variants command on a tiny model: it writes the API's scores, and rejects wrong input."""

import csv
import os
import threading

import numpy as np
import pytest

from data_pipelines.inputs.substitutions import single_substitutions, written
from data_pipelines.protanno.record import biotext
from data_pipelines.readers import read_entries
from protclip_jax import ProtCLIP
from protclip_jax.variants import __main__ as variants
from protclip_jax.variants import jobs, scoring
from tests.support import tiny
from tests.support.tiny import CONFIG

SEQUENCE = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny.save(tmp_path_factory.mktemp("checkpoint"), CONFIG)


@pytest.fixture(scope="module")
def model(checkpoint):
    return ProtCLIP.load(checkpoint)


@pytest.fixture
def run(checkpoint, tmp_path, capsys):
    """The command's exit code, table and messages."""

    def called(*arguments, output="o.tsv"):
        capsys.readouterr()
        path = tmp_path / output
        shown = ["--checkpoint", checkpoint, *arguments, "--output", path, "--cpu_devices", "1"]
        code = variants.main([str(argument) for argument in shown])
        found = path.with_suffix(".tsv")
        return code, rows_of(found) if found.exists() else None, capsys.readouterr().err

    return called


def rows_of(path):
    with open(path, encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def column(rows, name="score"):
    return np.array([float(row[name]) for row in rows])


@pytest.mark.parametrize("method", ["masked_jointly", "wild_type"])
def test_a_scan_is_the_apis_with_a_heat_map(run, model, tmp_path, method):
    options = ["--sequence", SEQUENCE, "--scan", "--method", method]
    code, rows, found = run(*options, output="o.png")
    assert code == 0
    assert "scoring: 627 variants of 1 proteins" in found
    singles = single_substitutions(SEQUENCE)
    names = [written(own) for own in singles]
    assert [row["mutation"] for row in rows] == names
    assert {row["id"] for row in rows} == {"sequence"}
    scores = model.variant_effects(SEQUENCE, names, method=method)
    np.testing.assert_allclose(column(rows), scores, rtol=1e-4, atol=2e-5)
    assert (tmp_path / "o.png").stat().st_size > 20_000
    assert not list(tmp_path.glob("*.partial"))
    assert not list(tmp_path.glob("*.rejects.tsv"))


def test_a_list_with_several_proteins(run, model, tmp_path):
    made = tiny.records(6, seed=2)
    fasta = "".join(f">{r.accession} x\n{r.sequence.lower()}\n" for r in made)
    (tmp_path / "x.fasta").write_text(fasta + ">bad\n123\n")
    wanted = []
    for record in made[1:4]:
        names = [written(own, first_position=0) for own in single_substitutions(record.sequence)]
        wanted += [(record.accession, name) for name in (names[40], f"{names[0]}:{names[100]}")]
    table = [("id", "mutant"), *wanted, ("nobody", "A1C"), (made[0].accession, "X1C")]
    table += [("", "A1C"), (made[5].accession, "no")]
    (tmp_path / "m.csv").write_text("".join(f"{id},{name}\n" for id, name in table))
    options = ["--input", tmp_path / "x.fasta", "--mutations", tmp_path / "m.csv"]
    code, rows, found = run(*options, "--first_position", "0")
    assert code == 0
    shown = [(row["id"], row["mutation"]) for row in rows]
    assert shown == wanted
    for record in made[1:4]:
        own = [
            (name, s)
            for (id, name), s in zip(wanted, column(rows), strict=True)
            if id == record.accession
        ]
        scores = model.variant_effects(record.sequence, [name for name, _ in own], first_position=0)
        np.testing.assert_allclose([score for _, score in own], scores, rtol=1e-4, atol=2e-5)
    rejects = (tmp_path / "o.tsv.mutations.rejects.tsv").read_text().splitlines()[1:]
    assert [line.split("\t")[1] for line in rejects] == ["8", "9", "10", "11"]
    assert f"mutations rejected: 1: {jobs.NO_PROTEIN}" in found
    assert "bad\t" in (tmp_path / "o.tsv.rejects.tsv").read_text()
    assert "6 with lower case letters" in found


def test_windows_and_texts_are_the_apis(run, model, tmp_path):
    (tmp_path / "m.txt").write_text("k2a\nM1L:H18C\n")
    text = "FUNCTION: abc."
    windows = variants.Windows(max_residues=12, overlap=4)
    long = ["--max_residues", "12", "--overlap", "4", "--text", text]
    code, rows, found = run("--sequence", SEQUENCE, "--mutations", tmp_path / "m.txt", *long)
    assert code == 0
    assert "long: 1 of more than 12 residues: " in found
    names = ["K2A", "M1L:H18C"]
    scores = model.variant_effects(SEQUENCE, names, windows=windows)
    np.testing.assert_allclose(column(rows), scores, rtol=1e-4, atol=2e-5)
    read = variants.jobs_.substitutions
    changes = [tuple(read(name, first_position=1)) for name in names]
    expected = model.text_changes(SEQUENCE, changes, text, windows=windows)
    np.testing.assert_allclose(column(rows, "text_change"), expected, rtol=1e-4, atol=1e-6)


def test_entries_have_texts_of_their_own(run, model, tmp_path, sample_dataset):
    entries = list(read_entries(sample_dataset / "sample.dat.gz"))[:2]
    lines = [
        (e.accession, f"{e.sequence[4]}5{'W' if e.sequence[4] != 'W' else 'A'}") for e in entries
    ]
    (tmp_path / "m.tsv").write_text("id\tvariant\n" + "".join("\t".join(x) + "\n" for x in lines))
    options = ["--input", sample_dataset / "sample.dat.gz", "--mutations", tmp_path / "m.tsv"]
    code, rows, _ = run(*options, "--own_text")
    assert code == 0
    for entry, (id, name), row in zip(entries, lines, rows, strict=True):
        assert (row["id"], row["mutation"]) == (id, name)
        changes = tuple(variants.jobs_.substitutions(name, first_position=1))
        expected = model.text_changes(entry.sequence, [changes], biotext(entry))
        np.testing.assert_allclose(float(row["text_change"]), expected[0], rtol=1e-3, atol=2e-6)


def test_a_pipe_is_read_once(run, tmp_path):
    pipe = tmp_path / "pipe.fasta"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(f">p\n{SEQUENCE}\n",))
    writer.start()
    code, rows, _ = run("--input", pipe, "--scan", "--method", "wild_type")
    writer.join()
    assert (code, rows[0]["id"], len(rows)) == (0, "p", 19 * len(SEQUENCE))


def test_a_stopped_run_goes_on(run, tmp_path, monkeypatch):
    monkeypatch.setattr(variants, "MIN_PART_TOKENS", 100)
    monkeypatch.setattr(variants, "MIN_PART_BATCHES", 0)
    options = ["--sequence", SEQUENCE, "--scan"]
    whole = run(*options)[1]
    computed, score = [], scoring.score_part

    def stopping(*arguments):
        computed.append(1)
        if len(computed) == 4:
            raise KeyboardInterrupt
        return score(*arguments)

    monkeypatch.setattr(scoring, "score_part", stopping)
    code, rows, _ = run(*options, output="again.tsv")
    assert (code, rows) == (130, None)
    monkeypatch.setattr(
        scoring, "score_part", lambda *arguments: (computed.append(1), score(*arguments))[1]
    )
    assert (
        run("--sequence", SEQUENCE, "--scan", "--method", "wild_type", output="again.tsv")[0] == 2
    )
    code, rows, found = run(*options, output="again.tsv")
    assert code == 0
    assert "resuming: 3 finished parts" in found
    # 33 passes of 35 tokens, three per part.
    assert len(computed) == 4 + 11 - 3
    np.testing.assert_allclose(column(rows), column(whole), atol=2e-5)


REFUSED = [
    (["--sequence", "MK1", "--scan"], "no usable proteins"),
    (["--sequence", "MKT", "--scan", "--format", "fasta"], "--format "),
    (["--sequence", "ACGT" * 20, "--scan"], "nucleotides"),
    (["--sequence", "XXX", "--scan"], "nothing to score"),
    (["--sequence", SEQUENCE, "--scan", "--own_text"], "--own_text needs UniProt entries"),
    (["--sequence", SEQUENCE, "--scan", "--batch_tokens", "0"], "must be at least 1"),
    (["--sequence", SEQUENCE, "--mutations", "{gone}"], "gone.txt "),
    (
        ["--sequence", SEQUENCE, "--mutations", "{shifted}"],
        "with --first_position 24",
    ),
    (["--sequence", SEQUENCE, "--mutations", "{wrong}"], "none of the 1 mutations"),
    (
        ["--input", "{two}", "--scan", "--text", "x"],
        "--text describes one protein, but the input has 2",
    ),
]


@pytest.mark.parametrize(("arguments", "found"), REFUSED)
def test_what_cannot_be_done_is_one_sentence(run, tmp_path, arguments, found):
    contents = {"shifted": "K25A\nT26W\n", "wrong": "variant\nK2\n", "two": ">a\nMKT\n>b\nMKV\n"}
    paths = {name: tmp_path / f"{name}.txt" for name in ("gone", *contents)}
    for name, text in contents.items():
        paths[name] = tmp_path / f"{name}.{'fasta' if name == 'two' else 'txt'}"
        paths[name].write_text(text)
    code, rows, message = run(*(argument.format(**paths) for argument in arguments))
    assert (code, rows) == (2, None)
    (line,) = [line for line in message.splitlines() if line.startswith("error: ")]
    assert found in line
    assert not list(tmp_path.glob("*.partial"))


def test_outputs_are_checked_first(run, tmp_path, checkpoint):
    (tmp_path / "x.fasta").write_text(">a\nMKT\n>b\nMKV\n")
    (tmp_path / "m.txt").write_text("K2A\n")
    assert "name it *.tsv" in run("--sequence", "MKT", "--scan", output="o.csv")[2]
    listed = ["--sequence", "MKT", "--mutations", tmp_path / "m.txt"]
    assert "needs --scan" in run(*listed, output="o.png")[2]
    assert "draws one protein" in run("--input", tmp_path / "x.fasta", "--scan", output="o.png")[2]
    (tmp_path / "o.tsv").write_text("")
    assert "o.tsv exists; remove it" in run("--sequence", "MKT", "--scan")[2]


def test_a_checkpoint_without_the_head_is_refused_at_once(tmp_path, capsys):
    from protclip_jax.checkpoints import metadata
    from protclip_jax.checkpoints.parameters import save_params

    folder = tmp_path / "bare"
    metadata.write_metadata(folder, CONFIG, tiny.text_tokenizer())
    save_params(folder, {"protein": tiny.params()["protein"]})
    found = [
        "--checkpoint",
        str(folder),
        "--sequence",
        "MKT",
        "--scan",
        "--output",
        str(tmp_path / "o.tsv"),
    ]
    assert variants.main(found) == 2
    assert "mlm_head parameters, only protein;" in capsys.readouterr().err
