"""`eval --calibrate`: of a model that knows families, of one that knows nothing, and what it
refuses."""

import dataclasses
import json
import types

import numpy as np
import pytest

from data_pipelines.common.hashing import hash64
from data_pipelines.protanno.record import Record, ec_numbers
from eval import __main__ as cli
from eval import checkpoint_data
from eval.calibration import calibrate
from eval.calibration.questions import Embedded, Queries, embed_texts, measured_hits, nearest
from eval.calibration.traits import TRAITS, agreement, families
from protclip_jax.retrieval.calibration import FILE, read_calibration
from tests.support.fakes import FakeModel

FAMILY = TRAITS[0]


class KnowsFamilies(FakeModel):
    """Embeds a protein and a similarity by their family, with noise; every other text by itself."""

    fingerprint = "abc"

    def encode_proteins(self, sequences):
        records = [self.by_sequence[sequence] for sequence in sequences]
        return unit(
            [
                direction(min(families(one), default=one.accession)) + noise(one.accession)
                for one in records
            ]
        )

    def encode_texts(self, texts):
        own = {
            f"SIMILARITY: {one.similarity}": min(families(one))
            for one in self.by_sequence.values()
            if one.similarity
        }
        known = {text.partition(" {ECO")[0]: family for text, family in own.items()}
        return unit(
            [direction(known.get(text.removesuffix("."), text)) + noise(text) for text in texts]
        )


class KnowsNothing(FakeModel):
    """Embeds everything at random."""

    fingerprint = "def"

    def encode_proteins(self, sequences):
        return unit([direction(sequence) for sequence in sequences])

    def encode_texts(self, texts):
        return unit([direction(text) for text in texts])


def direction(text):
    return np.random.default_rng(hash64(text)).normal(size=16)


def noise(text):
    return 0.8 * direction(f"noise {text}")


def unit(rows):
    rows = np.array(rows)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def workdir(tmp_path, data_dir):
    folder = tmp_path / "run"
    folder.mkdir()
    config = {"data": {"dir": str(data_dir)}}
    (folder / "config.json").write_text(json.dumps({"format_version": 1, "config": config}))
    return folder


def run(monkeypatch, model, workdir, *arguments):
    monkeypatch.setattr(cli, "load", lambda directory, step: (model, 7))
    return cli.main(["--checkpoint", str(workdir), "--calibrate", *map(str, arguments)])


def test_a_model_that_knows_families_is_sure_of_families_and_right(monkeypatch, dataset, workdir):
    assert run(monkeypatch, KnowsFamilies(dataset), workdir, "--pool", 60) == 0
    calibration = read_calibration(workdir / FILE)
    assert calibration.checkpoint == "abc"
    (table,) = calibration.of("sequence", ("family",))
    assert table.shares[-1] > 3 * table.base_rate
    assert table.shares[-1] > table.shares[0] + 0.3
    report = json.loads((workdir / "calibration" / "report.json").read_text())
    held = report["calibration"]["sequence/family"]["checked"]
    assert held["error"] < 0.2
    assert held["brier"] < held["constant"]
    assert report["provenance"]["fitted_on"] == "validation"
    assert (
        (workdir / "calibration" / report["figures"]["reliability"])
        .read_bytes()
        .startswith(b"\x89PNG")
    )
    page = (workdir / "calibration" / "report.md").read_text()
    assert "| protein → protein | family |" in page


def test_a_model_that_knows_nothing_is_never_surer_than_by_chance(monkeypatch, dataset, workdir):
    assert run(monkeypatch, KnowsNothing(dataset), workdir, "--pool", 60) == 0
    for table in read_calibration(workdir / FILE).tables:
        assert max(table.lows) <= max(1.6 * table.base_rate, table.base_rate + 0.1), table


def test_what_cannot_be_calibrated_is_one_sentence(monkeypatch, dataset, workdir, capsys):
    assert run(monkeypatch, KnowsNothing(dataset), workdir, "--split", "validation") == 2
    assert "--split=validation" in capsys.readouterr().err
    assert run(monkeypatch, KnowsNothing(dataset), workdir, "--pool", 15) == 2
    assert "no table can be fitted: at least 20 held-out questions" in capsys.readouterr().err
    (workdir / FILE).write_text("{}")
    monkeypatch.setattr(cli, "built_dataset", None)
    assert run(monkeypatch, KnowsNothing(dataset), workdir) == 2
    assert (
        f"{FILE} exists; to measure again, remove it and run `python -m eval --calibrate`."
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--max_existence", "2", "--random_weights"],
            "--max_existence and --random_weights only apply to evaluations, not to",
        ),
        (
            ["--set", "probe.max_epochs=2"],
            "--set only applies to evaluations, not to --calibrate",
        ),
        (
            ["--benchmarks", "retrieval"],
            "--benchmarks only applies to evaluations, not to --calibrate",
        ),
        (["--claims"], "--calibrate only applies to commands without --claims"),
    ],
)
def test_options_that_are_not_read_are_refused(
    monkeypatch, dataset, workdir, capsys, arguments, message
):
    assert run(monkeypatch, KnowsNothing(dataset), workdir, *arguments) == 2
    assert message in capsys.readouterr().err


def test_texts_tell_the_names_that_the_model_reads_and_records_keep_their_ec_numbers(
    monkeypatch, dataset, workdir
):
    config = {
        "data": json.loads((workdir / "config.json").read_text())["config"]["data"],
        "tokenizer": {"names": "all"},
    }
    (workdir / "config.json").write_text(json.dumps({"format_version": 1, "config": config}))
    asked, opened = {}, []
    monkeypatch.setattr(
        checkpoint_data, "open_dataset", lambda folder, names: opened.append(names) or dataset
    )
    monkeypatch.setattr(cli, "is_own", lambda *_: True)
    monkeypatch.setattr(cli, "calibrate_checkpoint", lambda *_, **options: asked.update(options))
    assert run(monkeypatch, KnowsNothing(dataset), workdir) == 0
    assert (asked["names"], opened) == ("all", ["recommended"])
    record = dataclasses.replace(
        dataset.splits["test"][0], name="Lyase", other_names=("EC 4.1.2.3",)
    )
    ((text, *_, own), *_) = embed_texts(KnowsNothing(dataset), [record], names="all")
    assert (text, ec_numbers(own)) == ("PROTEIN NAME: Lyase (EC 4.1.2.3)", ("4.1.2.3",))


def test_the_hits_of_a_question_are_the_nearest_that_are_known(dataset):
    records = list(dataset.splits["test"])[:30]
    vectors = unit([direction(record.accession) for record in records]).astype(float)
    queries = Queries(vectors[:5], records[:5], np.arange(5))
    hits = nearest(queries, Embedded(records, vectors), FAMILY, left_out=np.arange(5))
    found = agreement(FAMILY, records[:5], records)
    for row in range(5):
        allowed = [place for place in range(30) if found.known[row, place] and place != row]
        cosines = vectors @ vectors[row]
        best = sorted(allowed, key=lambda place: -cosines[place])[:20]
        own = hits.questions == row
        np.testing.assert_allclose(hits.cosines[own], cosines[best])
        np.testing.assert_allclose(hits.margins[own], cosines[best] - cosines.mean())
        assert hits.agrees[own].tolist() == found.agrees[row, best].tolist()


def test_neither_texts_nor_proteins_find_the_protein_that_they_are_of():
    records = [
        Record(f"P{row}", "", "unknown", "MKV", 0, "", function=f"Word {row}.") for row in range(3)
    ]
    vectors = np.eye(3)
    model = types.SimpleNamespace(
        encode_texts=lambda texts: [vectors[int(text[-2])] for text in texts]
    )
    own = Embedded(records, vectors)
    found = {
        (kind, trait.name): hits
        for kind, trait, hits in measured_hits(model, own, own, names="recommended")
    }
    for kind in ("text", "sequence"):
        assert found[kind, "function"].cosines.tolist() == [0.0] * 6
    assert found["label", "function"].cosines.max() == 1


def test_a_taxon_is_left_out_of_the_fit(dataset):
    def of_taxa(name):
        return [
            dataclasses.replace(one, taxon=1 + row % 3)
            for row, one in enumerate(dataset.splits[name])
        ]

    (first, *_), left_out = calibrate.check_tables(
        KnowsFamilies(dataset), dataset, of_taxa("validation"), of_taxa("test"), names="recommended"
    )
    assert left_out["the table text/go"] == "0 questions, but at least 20 are needed"
    (name,) = [name for name in first.groups if name.startswith("taxon")]
    assert first.groups[name].questions <= 20 < first.whole.questions
