"""What `doctor` prints about this machine and about a checkpoint."""

import importlib.util
import platform

import jax
import pytest

from protclip_jax import ProtCLIP
from protclip_jax.doctor import __main__ as doctor
from protclip_jax.doctor import machine
from protclip_jax.retrieval.calibration import FILE, Calibration, Table, to_text
from tests.support import searching


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return searching.make_checkpoint(tmp_path_factory.mktemp("doctor") / "c")


def test_versions_devices_and_parts_are_reported(capsys):
    assert doctor.main([]) == 0
    shown = capsys.readouterr().out
    assert f"  Python: {platform.python_version()}\n" in shown
    assert f"  JAX: {len(jax.devices())} × cpu (cpu)\n" in shown
    assert "GiB free" in shown
    assert "  search: installed\n" in shown
    assert "Checkpoint" not in shown


def test_what_is_missing_is_reported_with_its_fix(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        machine.importlib.util, "find_spec", lambda name: None if name == "faiss" else find(name)
    )
    found = dict(machine.extras())["search"]
    assert found.startswith("faiss missing")
    assert "`pip install -e '.[search]'`" in found
    monkeypatch.setattr(machine.resource, "getrlimit", lambda which: (100, 100))
    assert "`ulimit" in dict(machine.resources())["open files"]


def test_what_a_checkpoint_can_do_and_lacks(checkpoint, capsys):
    assert doctor.main(["--checkpoint", str(checkpoint)]) == 0
    shown = capsys.readouterr().out
    assert "  search with a text, describe a protein: yes\n" in shown
    assert "  calibrated: no: hits have no confidence" in shown
    assert "  evaluated: no: " in shown
    table = Table("text", "family", (1.0, 0.0), (), (0.5,), (0.4,), (30,), 0.1)
    calibration = Calibration(ProtCLIP.load(checkpoint).fingerprint, (table,))
    (checkpoint / FILE).write_text(to_text(calibration, {}))
    assert doctor.main(["--checkpoint", str(checkpoint)]) == 0
    assert "  calibrated: text/family\n" in capsys.readouterr().out
    (checkpoint / FILE).write_text(to_text(calibration, {"provenance": {"step": 10**6}}))
    assert doctor.main(["--checkpoint", str(checkpoint)]) == 0
    assert (
        f"  calibrated: no: {checkpoint / FILE} was measured for another step or model; remove"
        in capsys.readouterr().out
    )


def test_a_path_that_is_no_checkpoint_is_one_sentence(tmp_path, capsys):
    assert doctor.main(["--checkpoint", str(tmp_path / "absent")]) == 2
    assert "absent does not exist" in searching.printed(capsys)
