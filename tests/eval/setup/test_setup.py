"""`protclip setup` against a local server: what it makes, what it skips, goes on with and refuses."""

import gzip
import hashlib
import json
import shutil
from types import SimpleNamespace

import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.download.release_file import METADATA
from eval.calibration import calibrate, fitting
from eval.setup import __main__ as setup
from eval.setup import estimate, steps
from eval.setup.estimate import Cost, known_extent, needed_disk
from eval.setup.plan_file import adopt_plan
from protclip_jax.index import __main__ as indexing
from protclip_jax.retrieval import SearchEngine
from protclip_jax.retrieval.index_folder import open_index
from tests.support import searching
from tests.support.file_server import dropped, status
from tests.support.proteome_service import UPID, ProteomeService

ENTRIES = 120
NAME = "uniprot_sprot.dat.gz"
RELEASE = """<metalink xmlns="http://www.metalinker.org/"><version>2026_03</version><files>
<file name="{name}"><size>{size}</size><verification><hash type="md5">{md5}</hash></verification>
</file></files></metalink>"""


def first_entries(sample_dataset, count):
    """The text of the sample's first entries."""
    text = gzip.decompress((sample_dataset / "sample.dat.gz").read_bytes()).decode()
    return [f"{entry}//\n" for entry in text.split("//\n")[:count]]


@pytest.fixture
def server(file_server, sample_dataset, monkeypatch):
    """A server of `ENTRIES` of the sample as Swiss-Prot."""
    data = gzip.compress("".join(first_entries(sample_dataset, ENTRIES)).encode(), mtime=0)
    stated = {"size": len(data), "md5": hashlib.md5(data).hexdigest()}
    file_server.files[f"/{NAME}"] = data
    file_server.files[f"/{METADATA}"] = RELEASE.format(name=NAME, **stated).encode()
    monkeypatch.setattr(estimate, "SPEED_COUNTS", (1,))
    return file_server


@pytest.fixture
def model(tmp_path):
    return searching.make_checkpoint(tmp_path / "model")


@pytest.fixture
def run(server, model, tmp_path):
    def command(*more, what="swissprot"):
        line = [what, "--model", str(model), "--output", str(tmp_path / "out")]
        return setup.main([*line, "--base_url", server.url, "--tries", "1", *more])

    return command


def fetched(server):
    return [path for path, _ in server.seen if path == f"/{NAME}"]


def test_one_command_makes_an_index_that_answers_with_confidence(
    run, server, model, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(fitting, "FEWEST_QUESTIONS", 3)
    assert run() == 0
    printed = capsys.readouterr()
    assert printed.out == f"{tmp_path}/out/index\n"
    steps_printed = [line for line in printed.err.splitlines() if line.startswith("step ")]
    numbers = [line.split(",")[0] for line in steps_printed]
    assert numbers == ["step 1 of 4", "step 2 of 4", "step 3 of 4", "step 4 of 4"]
    assert "whether it has learnt from these records is not known" in printed.err
    index = open_index(tmp_path / "out" / "index")
    records = json.loads((tmp_path / "out/protanno/statistics.json").read_text())["records"]
    assert len(index) == records > 100
    assert index.calibration is not None
    assert index.decoys is None
    engine = SearchEngine.load(model, index=tmp_path / "out" / "index")
    assert any(hit.confidence for hit in engine.ask_protein("MKTAYIAKQRQISFVKSHFSRQ"))
    report = json.loads((tmp_path / "out/calibration/report.json").read_text())
    assert report["provenance"]["held_out_of_training"] is False

    server.seen.clear()
    assert run() == 0
    assert capsys.readouterr().err.count("already done.") == 4
    assert server.seen == []


def test_each_step_that_was_stopped_goes_on(run, server, tmp_path, monkeypatch, capsys):
    size = len(server.files[f"/{NAME}"])
    server.faults[f"/{NAME}"] = [dropped(size // 2)]
    assert run() == 2
    assert "rerun the command" in capsys.readouterr().err
    with monkeypatch.context() as patched:
        patched.setattr(steps, "build", stopped)
        assert run() == 130
    assert [headers.get("Range") for path, headers in server.seen if path == f"/{NAME}"] == [
        None,
        f"bytes={size // 2}-",
    ]
    with monkeypatch.context() as patched:
        patched.setattr(indexing, "add", stopped)
        assert run() == 130
    assert "not calibrated: no table can be fitted" in capsys.readouterr().err
    partial = tmp_path / "out/index.partial"
    before = written(partial)
    assert before
    kept, add = [], indexing.add
    monkeypatch.setattr(
        indexing, "add", lambda *a, **k: kept.append(written(partial)) or add(*a, **k)
    )
    capsys.readouterr()
    assert run() == 0
    printed = capsys.readouterr().err
    assert printed.count("already done.") == 3, (
        "also the calibration, for which there is too little"
    )
    assert before.items() <= kept[0].items()
    assert open_index(tmp_path / "out/index").decoys is not None


def test_a_proteome_is_set_up_page_by_page(run, server, sample_dataset, tmp_path, monkeypatch):
    service = ProteomeService(server, monkeypatch, first_entries(sample_dataset, 60), page=25)
    service.faults = {50: [lambda handler, body, headers: status(503)(handler, body)]}
    what = f"proteome:{UPID}"
    assert run(what=what) == 2
    assert service.cursors() == ["", "25", "50"]

    server.seen.clear()
    assert run(what=what) == 0
    assert service.cursors() == ["50"], "finished pages are not downloaded again"
    index = open_index(tmp_path / "out" / "index")
    records = json.loads((tmp_path / "out/protanno/statistics.json").read_text())["records"]
    assert len(index) == records > 50
    assert index.decoys is not None, "too few proteins for a calibration"

    server.seen.clear()
    assert run(what=what) == 0
    assert server.seen == []


def test_a_proteome_too_small_to_hold_any_out_is_set_up(run, server, sample_dataset, monkeypatch):
    ProteomeService(server, monkeypatch, first_entries(sample_dataset, 4))
    assert run(what=f"proteome:{UPID}") == 0


def test_a_damaged_dataset_is_not_taken_for_one_that_is_too_small(run, monkeypatch, capsys):
    def damaged(*_, **__):
        raise UserError("the dataset's file is damaged")

    monkeypatch.setattr(calibrate, "fixed_pool", damaged)
    assert run() == 2
    assert "damaged" in capsys.readouterr().err


def written(folder):
    """When each part of an index was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.npz")}


def stopped(*_, **__):
    """In the place of a function: what Ctrl-C does."""
    raise KeyboardInterrupt


def test_a_disk_that_is_too_small_is_refused_before_anything_is_fetched(
    run, server, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100_000))
    assert run() == 2
    message = searching.printed(capsys)
    assert "only 0.0 GB are free" in message
    assert "--output on another disk" in message
    assert fetched(server) == []
    assert not (tmp_path / "out").exists()


def test_the_estimate_alone_makes_nothing(run, server, tmp_path, capsys):
    assert run("--estimate_only") == 0
    printed = capsys.readouterr().err
    assert "tokens per second here." in printed
    assert [line.split(":")[0].strip() for line in printed.splitlines()[1:5]] == list(
        steps.steps_of(None)
    )
    assert fetched(server) == []
    assert not (tmp_path / "out").exists()


def test_memory_that_is_too_small_is_reported(run, monkeypatch, capsys):
    monkeypatch.setattr(estimate, "memory_bytes", lambda: 1e6)
    assert run("--estimate_only") == 0
    assert "warning: this takes about 1.1 GB of memory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("trembl", "TrEMBL is too large to set up"),
        ("uniref", "'uniref'; expected swissprot, trembl, or a proteome"),
    ],
)
def test_what_cannot_be_set_up_is_one_sentence(run, capsys, what, message):
    assert run(what=what) == 2
    assert message in searching.printed(capsys)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (None, "out exists and is not a setup; name another --output."),
        ({"format_version": 2}, "has format version 2, but this program reads 1"),
        (
            {"format_version": 1, "what": "proteome:UP000000001"},
            "out is the setup of proteome:UP000000001, not of swissprot",
        ),
        (
            {"format_version": 1, "what": "swissprot", "checkpoint": "abc"},
            "out was started with another model; pass that model as --model",
        ),
    ],
)
def test_another_folder_is_not_gone_on_with(tmp_path, plan, message):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / ("setup.json" if plan else "mine.txt")).write_text(json.dumps(plan))
    with pytest.raises(UserError, match=message):
        adopt_plan(folder, what="swissprot", checkpoint="def")


def test_a_model_that_cannot_be_calibrated_is_refused(run, model, capsys, monkeypatch):
    (model / "protclip_config.json").write_text("{}")
    assert run() == 2
    assert "cannot store the calibration; convert it with" in searching.printed(capsys)
    (model / "protclip_config.json").unlink()
    monkeypatch.setattr(setup, "stored_groups", lambda *_: {"protein"})
    assert run() == 2
    assert "has no protein_projection, text, text_projection parameters" in searching.printed(
        capsys
    )


def test_disk_is_that_of_the_step_which_needs_most():
    costs = [Cost(10, 10, 0, 0), Cost(50, 20, 0, 0), Cost(0, 0, 0, 0), Cost(35, 30, 0, 0)]
    assert needed_disk(costs) == 65
    assert needed_disk(costs[1:]) == 55
    assert needed_disk(costs[:2], held=15) == 45
    assert needed_disk([]) == 0


def test_entries_and_bytes_tell_each_other():
    assert known_extent(660_000_000, None) == (573_913, 660_000_000)
    assert known_extent(None, 6_000) == (6_000, 36_000_000)
