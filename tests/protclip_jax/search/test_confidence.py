"""How sure hits are told to be: by a checkpoint's table, by decoys, or not at all; in search,
index, API and Python."""

import csv
import io
import json
import shutil
import types

import h5py
import numpy as np
import pytest

from protclip_jax import ProtCLIP
from protclip_jax.embed import __main__ as embed
from protclip_jax.index import __main__ as index
from protclip_jax.inference.windows import Windows
from protclip_jax.retrieval import SearchEngine
from protclip_jax.retrieval.calibration import FEWEST_LABELS, FILE, Calibration, Table, to_text
from protclip_jax.retrieval.index_folder import MANIFEST, open_index
from protclip_jax.retrieval.scores import NOT_MEASURED, UNCALIBRATED, q_values, shuffled
from protclip_jax.search import __main__ as search
from protclip_jax.serve.app import create_app
from tests.support import searching, tiny
from tests.support.api_client import exchange, post

QUESTION = "FUNCTION: abc"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkpoint `c` without a table and an index `i` of it, with decoys; `bare` has neither;
    labels `l.tsv`."""
    folder = tmp_path_factory.mktemp("confidence")
    searching.make_checkpoint(folder / "c")
    fasta = searching.write_fasta(folder / "x.fasta", tiny.records(24, seed=8))
    assert searching.make_index(folder / "c", folder / "i", input=fasta) == 0
    shutil.copytree(folder / "i", folder / "bare")
    manifest = json.loads((folder / "bare" / MANIFEST).read_text())
    (folder / "bare" / MANIFEST).write_text(json.dumps(manifest | {"decoys": None}))
    (folder / "l.tsv").write_text(searching.LABELS)
    places = [
        f"p{n}\tSUBCELLULAR LOCATION: {'abcdef'[n % 6]}{'abcdef'[n // 6]}.\t\n"
        for n in range(FEWEST_LABELS - 3)
    ]
    (folder / "many.tsv").write_text(searching.LABELS + "".join(places))
    return folder


@pytest.fixture(scope="module")
def model(folder):
    return ProtCLIP.load(folder / "c")


def table(question, trait, share):
    """Three bins of the margin."""
    edges, shares = (0.0, 0.05), (share / 4, share / 2, share)
    return Table(
        question,
        trait,
        (0.0, 1.0),
        edges,
        shares,
        tuple(one / 2 for one in shares),
        (50, 40, 30),
        0.01,
    )


TABLES = (
    table("text", "function", 0.8),
    table("text", "ec", 0.4),
    table("sequence", "location", 0.6),
    table("sequence", "family", 0.9),
    table("label", "location", 0.7),
)


@pytest.fixture(scope="module")
def calibrated(folder, model):
    """The checkpoint with a table, `c2`, and an index of it, `i2`, that has copied the table."""
    shutil.copytree(folder / "c", folder / "c2")
    (folder / "c2" / FILE).write_text(to_text(Calibration(model.fingerprint, TABLES), {}))
    assert searching.make_index(folder / "c2", folder / "i2", input=folder / "x.fasta") == 0
    return folder


def ask(checkpoint, capsys, *arguments):
    given = ["--checkpoint", checkpoint, "--output", "-", *arguments]
    assert search.main(list(map(str, given))) == 0
    captured = capsys.readouterr()
    return list(csv.DictReader(io.StringIO(captured.out), delimiter="\t")), captured.err


def expected_share(margin, share):
    return share / 4 if margin < 0 else share / 2 if margin < 0.05 else share


def test_unrelated_proteins_give_the_larger_q_value(folder, model, tmp_path, capsys):
    others = tiny.records(230, seed=77)
    fasta = searching.write_fasta(tmp_path / "u.fasta", [*others, *tiny.records(24, seed=8)[:3]])
    options = {"input": folder / "x.fasta", "decoys": fasta}
    assert searching.make_index(folder / "c", tmp_path / "i", **options) == 0
    printed = capsys.readouterr().err
    assert "skipped 3 of 233 decoys" in printed
    assert "q-values from shuffled and unrelated proteins" in printed
    opened = open_index(tmp_path / "i")
    assert len(opened.entrapment) == 230
    rows, _ = ask(folder / "c", capsys, "--index", tmp_path / "i", "--text", QUESTION)
    query = model.encode_texts([QUESTION])[0]
    best = np.sort(np.asarray(opened.vectors.parts[0]) @ query)[::-1][:10].astype(float)
    shares = [
        q_values(best, (judge @ query).astype(float), items=24)
        for judge in (opened.decoys, opened.entrapment)
    ]
    assert not np.allclose(*shares)
    np.testing.assert_allclose(
        [float(row["q"]) for row in rows], np.maximum(*shares), rtol=1e-3, atol=1e-6
    )
    more = searching.write_fasta(tmp_path / "m.fasta", tiny.records(3, seed=9))
    assert searching.make_index(folder / "c", tmp_path / "i", input=more, append=True) == 0
    assert len(open_index(tmp_path / "i").entrapment) == 230


def test_decoys_that_cannot_be_used_are_one_sentence(folder, tmp_path, capsys):
    few = searching.write_fasta(tmp_path / "few.fasta", tiny.records(3, seed=7))
    refused = {"input": folder / "x.fasta", "decoys": few}
    assert searching.make_index(folder / "c", tmp_path / "i", **refused) == 2
    assert "has only 3 distinct proteins; pass at least 200" in searching.printed(capsys)
    refused = {"labels": folder / "l.tsv", "decoys": few}
    assert searching.make_index(folder / "c", tmp_path / "i", **refused) == 2
    assert "--decoys applies to proteins, not to --labels" in searching.printed(capsys)
    assert not (tmp_path / "i").exists()


def test_without_a_table_decoys_give_q_values(folder, model, capsys):
    rows, printed = ask(folder / "c", capsys, "--index", folder / "i", "--text", QUESTION)
    opened = open_index(folder / "i")
    assert len(opened.decoys) == 24
    known = {tuple(np.round(vector, 4)) for vector in opened.decoys}
    again = model.encode_proteins(shuffled(opened.items["sequence"].to_pylist()))
    np.testing.assert_allclose(opened.decoys, again, atol=1e-5)
    assert len(known) == 24
    query = model.encode_texts([QUESTION])[0]
    cosines, decoys = np.asarray(opened.vectors.parts[0]) @ query, opened.decoys @ query
    best = np.sort(cosines)[::-1][:10]
    expected = q_values(best.astype(float), decoys.astype(float), items=24)
    np.testing.assert_allclose([float(row["q"]) for row in rows], expected, atol=1e-3)
    assert {row["confidence"] for row in rows} == {""}
    strict = ask(
        folder / "c", capsys, "--index", folder / "i", "--text", QUESTION, "--min_confidence", 0.999
    )
    assert "confident answer" not in strict[1]
    assert UNCALIBRATED in printed


def test_without_either_a_sentence_says_so(folder, capsys):
    rows, printed = ask(folder / "c", capsys, "--index", folder / "bare", "--text", QUESTION)
    assert {(row["confidence"], row["q"]) for row in rows} == {("", "")}
    assert UNCALIBRATED in printed
    rows, printed = ask(
        folder / "c", capsys, "--labels", folder / "l.tsv", "--sequence", "MKTAYIAKQRQISF"
    )
    assert {(row["confidence"], row["q"]) for row in rows} == {("", "")}
    assert UNCALIBRATED in printed


@pytest.mark.parametrize("checkpoint", ["c", "c2"])
def test_an_index_keeps_the_table_of_its_checkpoint(calibrated, capsys, checkpoint):
    assert open_index(calibrated / "i2").calibration.tables == TABLES
    assert open_index(calibrated / "i2").decoys is None
    rows, _ = ask(calibrated / checkpoint, capsys, "--index", calibrated / "i2", "--text", QUESTION)
    for row in rows:
        assert float(row["confidence"]) == pytest.approx(
            expected_share(float(row["margin"]), 0.8), abs=1e-3
        )
        assert (row["trait"], row["base_rate"], row["q"]) == ("function", "0.01000", "")
        assert float(row["low"]) == pytest.approx(float(row["confidence"]) / 2, abs=1e-3)


def test_a_table_of_the_checkpoint_serves_an_index_without_one(calibrated, capsys, tmp_path):
    given = ["--index", calibrated / "i", "--sequence", tiny.records(24, seed=8)[3].sequence]
    rows, _ = ask(calibrated / "c2", capsys, *given)
    assert (rows[0]["trait"], rows[0]["q"]) == ("family", "")
    search_json = [
        "--checkpoint",
        calibrated / "c2",
        *given,
        "--output",
        tmp_path / "x.json",
        "--min_confidence",
        0.95,
    ]
    assert search.main(list(map(str, search_json))) == 0
    (answer,) = json.loads((tmp_path / "x.json").read_text())
    assert list(answer["hits"][0]["confidences"]) == ["family", "location"]
    assert answer["confident"] is False
    assert answer["verdict"].startswith("No confident answer: ")


def test_an_embedding_file_of_an_older_version_becomes_an_index_that_opens(
    calibrated, model, tmp_path
):
    output, fasta = tmp_path / "e.h5", calibrated / "x.fasta"
    assert (
        embed.main(
            ["--checkpoint", str(calibrated / "c2"), "--input", str(fasta), "--output", str(output)]
        )
        == 0
    )
    with h5py.File(output, "r+") as file:
        file.attrs["checkpoint"] = model.params_fingerprint
    assert searching.make_index(calibrated / "c2", tmp_path / "i", input=output) == 0
    opened = open_index(tmp_path / "i")
    assert opened.calibration.tables == TABLES
    assert opened.manifest["checkpoint"] == opened.calibration.checkpoint == model.fingerprint


def test_an_older_calibration_becomes_one_of_an_index_that_opens(calibrated, model, tmp_path):
    shutil.copytree(calibrated / "c", tmp_path / "c")
    (tmp_path / "c" / FILE).write_text(to_text(Calibration(model.params_fingerprint, TABLES), {}))
    assert searching.make_index(tmp_path / "c", tmp_path / "i", input=calibrated / "x.fasta") == 0
    assert open_index(tmp_path / "i").calibration == Calibration(model.fingerprint, TABLES)


def test_shuffled_proteins_are_read_as_those_of_the_index_were():
    read = types.SimpleNamespace(encode_proteins=lambda sequences, **options: options)
    encoding = {"dtype": "float32", "long_proteins": "truncate", "max_residues": 30, "overlap": 7}
    options = index.protein_encoder(read, encoding, batch_tokens=None, width=5)(["MKV"])
    assert options["windows"] == Windows("truncate", 30, 7)


def test_a_label_has_a_confidence_where_a_protein_asks_for_one_of_many(calibrated, capsys):
    def traits(labels, *asked):
        rows, _ = ask(
            calibrated / "c2", capsys, "--labels", calibrated / labels, "--top", 30, *asked
        )
        return {row["id"]: row["trait"] for row in rows}

    protein = ("--sequence", "MKTAYIAKQRQISF")
    many = traits("many.tsv", *protein)
    assert {many.pop("cut"), many.pop("bind")} == {""}
    assert (len(many), set(many.values())) == (FEWEST_LABELS - 2, {"location"})
    assert set(traits("l.tsv", *protein).values()) == {""}
    asked = ("--labels", calibrated / "many.tsv", "--text", "SUBCELLULAR LOCATION: bad")
    rows, printed = ask(calibrated / "c2", capsys, *asked)
    assert {row["trait"] for row in rows} == {""}
    assert (NOT_MEASURED in printed, UNCALIBRATED in printed) == (True, False)


def test_the_api_and_the_table_tell_the_same(calibrated, capsys):
    engine = SearchEngine.load(
        calibrated / "c2", index=calibrated / "i2", labels=[calibrated / "l.tsv"]
    )
    low, high = exchange(
        create_app(engine),
        post("/api/search", {"query": QUESTION, "min_confidence": 0.0}),
        post("/api/search", {"query": QUESTION, "min_confidence": 0.95}),
    )
    assert (low.json()["proteins"]["confident"], high.json()["proteins"]["confident"]) == (
        True,
        False,
    )
    hit = low.json()["proteins"]["hits"][0]
    assert hit["confidence"]["share"] == pytest.approx(expected_share(hit["margin"], 0.8))
    assert list(hit["confidences"]) == ["function"]
    assert engine.ask_texts([QUESTION])[0].confidence.trait == "function"
    given = [
        "--checkpoint",
        calibrated / "c2",
        "--index",
        calibrated / "i2",
        "--text",
        QUESTION,
        "--min_confidence",
        0.95,
    ]
    assert search.main(list(map(str, given))) == 0
    assert "No confident answer" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checkpoint": "0" * 64}, "calibration belongs to another checkpoint"),
        ({"tables": 3}, "calibration tables are invalid"),
    ],
)
def test_a_damaged_table_of_an_index_is_one_sentence(
    calibrated, tmp_path, capsys, changes, message
):
    shutil.copytree(calibrated / "i2", tmp_path / "i")
    manifest = json.loads((tmp_path / "i" / MANIFEST).read_text())
    manifest["calibration"] |= changes
    (tmp_path / "i" / MANIFEST).write_text(json.dumps(manifest))
    given = ["--checkpoint", calibrated / "c2", "--index", tmp_path / "i", "--text", QUESTION]
    assert search.main(list(map(str, given))) == 2
    assert message in searching.printed(capsys)


def test_a_table_of_other_parameters_is_not_used(folder, capsys, tmp_path):
    shutil.copytree(folder / "c", tmp_path / "c")
    (tmp_path / "c" / FILE).write_text(to_text(Calibration("0" * 64, TABLES), {}))
    rows, printed = ask(tmp_path / "c", capsys, "--index", folder / "i", "--text", QUESTION)
    assert {row["confidence"] for row in rows} == {""}
    assert (
        f"{FILE} was measured for another step or model; remove it and run `python -m eval "
        "--calibrate`." in printed
    )
    assert searching.make_index(tmp_path / "c", tmp_path / "i", input=folder / "x.fasta") == 0
    assert (
        f"\n{tmp_path / 'c' / FILE} was measured for another step or model; remove"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("least", ["-0.1", "1.5", "nan"])
def test_a_least_confidence_is_a_share(folder, capsys, least):
    given = [
        "--checkpoint",
        folder / "c",
        "--index",
        folder / "i",
        "--text",
        QUESTION,
        "--min_confidence",
        least,
    ]
    assert search.main(list(map(str, given))) == 2
    assert f"--min_confidence={float(least)} must be from 0 to 1" in searching.printed(capsys)
