"""The Beam driver; all but one need apache-beam, which the extra `beam` brings."""

import importlib.util
import json

import numpy as np
import pytest

from data_pipelines.build import reading
from data_pipelines.sample.flat_file import format_entry
from tests.support.records import digests, random_sequence, record, run, write_entries

HAVE_BEAM = importlib.util.find_spec("apache_beam") is not None
needs_beam = pytest.mark.skipif(not HAVE_BEAM, reason="apache-beam is not installed")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("beam")
    records = [record(index) for index in range(80)]
    twins = [
        record(index, accession=f"Q{index:05}", existence=4, source="trembl")
        for index in range(0, 80, 5)
    ]
    similar = [
        record(100 + index, sequence=records[index].sequence[:-2] + "WW")
        for index in range(0, 80, 3)
    ]
    bad = [format_entry(record(index)).replace("PE   ", "PE   x") for index in range(200, 230)]
    return [
        write_entries(folder / "a.dat.gz", records, *bad),
        write_entries(folder / "b.dat", [*twins, *similar], *bad[:7]),
    ]


@pytest.mark.skipif(HAVE_BEAM, reason="apache-beam is installed")
def test_without_the_package_it_says_what_to_install(inputs, tmp_path, capsys):
    assert run("--input", *inputs, "--runner", "beam", "--output", tmp_path / "out") == 2
    assert "pip install -e '.[beam]'" in capsys.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.iterdir())


@needs_beam
@pytest.mark.parametrize("cluster", ["none", "minhash"])
def test_both_drivers_make_the_same_dataset(inputs, tmp_path, monkeypatch, cluster):
    fasta = tmp_path / "test.fasta"
    fasta.write_text(f">x\n{record(7).sequence}\n")
    command = [
        "--input",
        *inputs,
        "--cluster",
        cluster,
        "--exclude_fasta",
        fasta,
        "--test_fraction",
        "0.3",
        "--output",
    ]
    assert run(*command, tmp_path / "local") == 0
    monkeypatch.setattr(reading, "BATCH_BYTES", 3000)
    monkeypatch.setattr("data_pipelines.build.work_folder.RANGE_BYTES", 5000)
    assert (
        run(
            *command, tmp_path / "beam", "--runner", "beam", "--beam_options=--direct_num_workers=1"
        )
        == 0
    )
    assert digests(tmp_path / "beam") == digests(tmp_path / "local")
    result = json.loads((tmp_path / "beam" / "statistics.json").read_text())
    assert (result["rejected"], result["deduplicated"], result["excluded"]) == (37, 16, 1)


@needs_beam
def test_a_mistake_is_one_sentence(inputs, tmp_path, capsys):
    (tmp_path / "x.dat").write_text("hello")
    command = ["--runner", "beam", "--output", tmp_path / "out", "--input"]
    for source, sentence in (
        (
            tmp_path / "none.dat",
            "none.dat cannot be read (No such file or directory); check the path.",
        ),
        (tmp_path / "x.dat", "x.dat is not a UniProt flat file"),
    ):
        assert run(*command, inputs[0], source) == 2
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert sentence in error
        assert "while running" not in error
        assert [path.name for path in tmp_path.iterdir()] == ["x.dat"]


@needs_beam
@pytest.mark.soak
def test_50_000_entries_give_the_same_from_both_drivers(tmp_path):
    lengths = [40 + index % 200 for index in range(45_000)]
    own = [
        record(index, sequence=random_sequence(np.random.default_rng(index), n))
        for index, n in enumerate(lengths)
    ]
    again = [
        record(100_000 + index, sequence=own[9 * index].sequence, existence=4)
        for index in range(5000)
    ]
    source = write_entries(tmp_path / "many.dat.gz", [*own, *again])
    assert run("--input", source, "--output", tmp_path / "local", "--workers", "2") == 0
    assert run("--input", source, "--output", tmp_path / "beam", "--runner", "beam") == 0
    assert digests(tmp_path / "beam") == digests(tmp_path / "local")
