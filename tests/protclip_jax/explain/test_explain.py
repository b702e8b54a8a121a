"""The explain command on a tiny model: what it writes is what the API gives, and what it
refuses."""

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from data_pipelines.protanno.record import property_texts
from data_pipelines.readers import read_entries
from data_pipelines.sample.flat_file import format_entry
from protclip_jax import ProtCLIP
from protclip_jax.checkpoints.own_report import ADVICE, UNMEASURED
from protclip_jax.explain import __main__ as explain
from protclip_jax.explain.other_texts import others_of, read_texts
from tests.support import tiny
from tests.support.tiny import CONFIG

NOTHING = f"{UNMEASURED} {ADVICE}"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny.save(tmp_path_factory.mktemp("checkpoint"), CONFIG)


@pytest.fixture(scope="module")
def record(sample_dataset):
    """The first entry of the sample with features, and its file."""
    return next(entry for entry in read_entries(sample_dataset / "sample.dat.gz") if entry.features)


def table_of(path):
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return list(csv.DictReader([line for line in lines if line[0] != "#"], delimiter="\t"))


def test_an_entry_is_explained(checkpoint, sample_dataset, record, tmp_path, capsys):
    file = str(sample_dataset / "sample.dat.gz")
    found = [
        "--checkpoint",
        str(checkpoint),
        "--entry",
        file,
        "--accession",
        record.accession,
        "--function",
        "abc de",
    ]
    assert explain.main([*found, "--output", str(tmp_path / "p.png")]) == 0
    texts = property_texts(record) | {"function": "FUNCTION: abc de"}
    weights = ProtCLIP.load(checkpoint).segments(record.sequence, texts)
    table = table_of(tmp_path / "p.tsv")
    assert "".join(line["residue"] for line in table) == record.sequence
    assert [int(line["position"]) for line in table] == list(range(1, len(record.sequence) + 1))
    for name, row in zip(texts, weights, strict=True):
        np.testing.assert_allclose([float(line[name]) for line in table], row, rtol=1e-5, atol=1e-9)
    feature = record.features[0]
    covered = [
        index + 1
        for index, line in enumerate(table)
        if f"{feature.type} {feature.note}".strip() in line["features"]
    ]
    assert set(range(feature.start, feature.end + 1)) <= set(covered)
    heaviest = int(np.argmax(weights[0]))
    assert f"heaviest {record.sequence[heaviest]}{heaviest + 1} " in capsys.readouterr().out
    assert (tmp_path / "p.png").stat().st_size > 5000


@pytest.mark.parametrize("names", ["recommended", "all", None])
def test_a_name_is_reported_as_in_training(record, tmp_path, names):
    """A checkpoint that is older than the choice has learnt from the recommended names."""
    chosen = {"tokenizer": CONFIG["tokenizer"] | ({"names": names} if names else {})}
    checkpoint = tiny.save(tmp_path / "checkpoint", CONFIG | chosen)
    entry = dataclasses.replace(record, other_names=("abc", "EC 1.1.1.1"))
    (tmp_path / "a.dat").write_text(format_entry(entry))
    found = [
        "--checkpoint",
        str(checkpoint),
        "--entry",
        str(tmp_path / "a.dat"),
        "--output",
        str(tmp_path / "p.svg"),
    ]
    assert explain.main(found) == 0
    texts = property_texts(record)
    if names == "all":
        texts["name"] += " (abc) (EC 1.1.1.1)"
    weights = ProtCLIP.load(checkpoint).segments(record.sequence, texts)
    table = table_of(tmp_path / "p.tsv")
    np.testing.assert_allclose(
        [float(line["name"]) for line in table], weights[0], rtol=1e-5, atol=1e-9
    )


def test_a_sequence_is_explained_as_svg(checkpoint, tmp_path, capsys):
    found = [
        "--checkpoint",
        str(checkpoint),
        "--sequence",
        "mktayiakqr-qisf",
        "--location",
        "SUBCELLULAR LOCATION: abc.",
    ]
    assert explain.main([*found, "--output", str(tmp_path / "p.svg")]) == 0
    assert "14 lower case letters, 1 gaps" in capsys.readouterr().err
    assert (tmp_path / "p.svg").read_text().startswith("<?xml")
    assert list(table_of(tmp_path / "p.tsv")[0]) == ["position", "residue", "location", "features"]
    weights = ProtCLIP.load(checkpoint).segments(
        "MKTAYIAKQRQISF", {"location": "SUBCELLULAR LOCATION: abc."}
    )
    np.testing.assert_allclose(
        [float(x["location"]) for x in table_of(tmp_path / "p.tsv")],
        weights[0],
        rtol=1e-5,
        atol=1e-9,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sequence", "MKT1", "--function", "abc"], "'1' at position 4"),
        (["--sequence", "MKT"], "no property to explain"),
        (
            ["--sequence", "MKT", "--function", "abc", "--accession", "P1"],
            "omit it with --sequence",
        ),
        (["--sequence", "MKT", "--function", "FUNCTION: "], "--function is empty"),
        (["--entry", "FILE"], "several entries"),
        (["--entry", "FILE", "--accession", "nobody"], "no entry nobody"),
        (["--entry", "absent.dat"], "absent.dat"),
        (["--sequence", "MKT", "--function", "a", "--others", "-1"], "--others=-1 must be 0 or"),
        (
            ["--sequence", "MKT", "--function", "a", "--other_texts", "absent"],
            "cannot read texts from absent",
        ),
    ],
)
def test_mistakes_are_one_sentence(
    checkpoint, sample_dataset, tmp_path, capsys, arguments, message
):
    arguments = [
        str(sample_dataset / "sample.dat.gz") if argument == "FILE" else argument
        for argument in arguments
    ]
    assert (
        explain.main(
            ["--checkpoint", str(checkpoint), *arguments, "--output", str(tmp_path / "p.png")]
        )
        == 2
    )
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_other_texts_are_checked_before_the_model_is_loaded(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(ProtCLIP, "load", lambda *_, **__: pytest.fail("the model was loaded"))
    found = ["--checkpoint", str(checkpoint), "--sequence", "MKT", "--function", "a"]
    assert explain.main([*found, "--other_texts", "absent", "--output", str(tmp_path / "p.png")])


def explained(checkpoint, folder, *more):
    """The table of a protein compared with other texts, and its figure as SVG."""
    found = ["--checkpoint", str(checkpoint), "--sequence", "MKTAYIAKQRQISF" * 3]
    found += ["--output", str(folder / "p.svg")]
    assert explain.main([*found, *map(str, more)]) == 0
    return table_of(folder / "p.tsv"), (folder / "p.svg").read_text()


def test_weights_stand_beside_those_for_texts_of_a_dataset(
    checkpoint, sample_dataset, tmp_path, capsys
):
    own = "FUNCTION: Adds water to double bonds."
    more = ["--function", own, "--other_texts", sample_dataset / "protanno", "--others", 30]
    table, figure = explained(checkpoint, tmp_path, *more)
    texts = read_texts(sample_dataset / "protanno")
    others = others_of({"function": own}, texts, 30)
    assert len(set(others["function"])) == 30
    assert own not in others["function"]
    assert all(text.startswith("FUNCTION: ") for text in others["function"])
    model = ProtCLIP.load(checkpoint)
    found = model.segment_contrasts("MKTAYIAKQRQISF" * 3, {"function": own}, others)["function"]
    for part in ("difference", "low", "high"):
        column = [float(line[f"function_{part}"]) for line in table]
        np.testing.assert_allclose(column, getattr(found, part), rtol=1e-5, atol=1e-8)
    printed = capsys.readouterr()
    origin = f"Other texts: 30 for function, from {sample_dataset / 'protanno'}."
    assert origin in printed.err
    assert (tmp_path / "p.tsv").read_text().splitlines()[:2] == [f"# {origin}", f"# {NOTHING}"]
    assert "function: " in printed.out
    assert " of 42 residues lie above the band of 30 other texts" in printed.out
    assert figure.count("<!-- minus 30 others -->") == 1


def test_other_texts_come_from_an_index_or_from_labels(checkpoint, search_folder, tmp_path, capsys):
    labels = tmp_path / "labels.tsv"
    rows = [f"{n}\tFUNCTION: bad {chr(97 + n)}.\tSUBCELLULAR LOCATION: fed.\n" for n in range(22)]
    labels.write_text("id\tname\tdescription\n" + "".join(rows))
    known = {path: read_texts(path) for path in (Path(search_folder.index), labels)}
    assert set(known[labels]) == {"function", "location"}
    assert len(known[labels]["function"]) == 22
    own = {"function": known[labels]["function"][3].upper()}
    assert len(others_of(own, known[labels], 64)["function"]) == 21
    assert {"name", "function", "location"} <= set(known[Path(search_folder.index)])
    more = ["--function", "bad d.", "--location", "dab.", "--other_texts", labels]
    table, _ = explained(checkpoint, tmp_path, *more)
    printed = capsys.readouterr().err
    assert "Other texts: 21 for function, from" in printed
    assert f"The weights for location are not compared: {labels} has only 1 other texts" in printed
    assert list(table[0])[2:-1] == [
        *("function", "location"),
        *(f"function_{part}" for part in ("difference", "low", "high")),
    ]


def test_the_dataset_of_the_training_is_where_other_texts_are_by_default(sample_dataset, tmp_path):
    config = CONFIG | {"data": {"dir": str(sample_dataset / "protanno")}}
    checkpoint = tiny.save(tmp_path / "checkpoint", config)
    table, _ = explained(checkpoint, tmp_path, "--function", "bad", "--others", 20)
    assert "function_difference" in table[0]
    for name in ("p.tsv", "p.svg"):
        (tmp_path / name).unlink()
    table, _ = explained(checkpoint, tmp_path, "--function", "bad", "--others", 0)
    assert "function_difference" not in table[0]


def test_another_kind_of_figure_is_refused(checkpoint, tmp_path, capsys):
    arguments = [
        "--checkpoint",
        str(checkpoint),
        "--sequence",
        "MKT",
        "--function",
        "abc",
        "--output",
        str(tmp_path / "p.gif"),
    ]
    assert explain.main(arguments) == 2
    assert ".png, .svg, .pdf" in capsys.readouterr().err
