"""The seal of a folder finds every single damage to it."""

import errno
import os
import random
import shutil
import subprocess

import pytest

from data_pipelines.common.errors import UserError
from protclip_jax.checkpoints import checksums
from tests.support.damage import DAMAGES, files, flip_bit, remove


@pytest.fixture
def sealed(tmp_path):
    folder, rng = tmp_path / "sealed", random.Random(0)
    for name, size in {
        "a": 5000,
        "params/d/array": 3000,
        "params/empty": 0,
        "params/two words": 10,
        "data/x": 1,
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(rng.randbytes(size))
    checksums.write(folder)
    return folder


def test_what_is_intact_is_found_so(sealed):
    assert checksums.find_damage(sealed) is None
    assert checksums.find_damage(sealed, under="params/") is None
    (sealed / ".nfs0001").write_text("a file system's own")
    assert checksums.find_damage(sealed) is None


def test_sha256sum_reads_the_seal(sealed):
    if shutil.which("sha256sum") is None:
        pytest.skip("no sha256sum here")
    check = ["sha256sum", "--check", "--strict", "--quiet", checksums.CHECKSUMS]
    assert subprocess.run(check, cwd=sealed).returncode == 0
    flip_bit(sealed / "a", random.Random(0))
    assert subprocess.run(check, cwd=sealed, capture_output=True).returncode == 1


@pytest.mark.parametrize("rounds", [50, pytest.param(5000, marks=pytest.mark.soak)])
def test_every_damage_to_any_file_is_found(sealed, tmp_path, rounds):
    rng = random.Random(1)
    for _ in range(rounds):
        damage = rng.choice(DAMAGES)
        chosen = rng.choice(
            [path for path in files(sealed) if damage is remove or path.stat().st_size]
        )
        content = chosen.read_bytes()
        damage(chosen, rng)
        assert checksums.find_damage(sealed) is not None, (damage.__name__, chosen)
        chosen.write_bytes(content)
    assert checksums.find_damage(sealed) is None


@pytest.mark.parametrize("name", ["added", "params/added"])
def test_a_file_that_was_added_is_damage(sealed, name):
    (sealed / name).write_text("")
    assert checksums.find_damage(sealed) == f"{name} is not in SHA256SUMS"


def test_only_what_is_asked_for_counts(sealed):
    shutil.rmtree(sealed / "data")
    assert checksums.find_damage(sealed) == "data/x is missing"
    assert checksums.find_damage(sealed, under="params/") is None
    assert checksums.find_damage(sealed, under="optimizer/") == "SHA256SUMS lists no optimizer/"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"word\n", None])
def test_without_a_readable_seal_nothing_is_intact(sealed, content):
    if content is None:
        (sealed / checksums.CHECKSUMS).unlink()
    else:
        (sealed / checksums.CHECKSUMS).write_bytes(content)
    assert "SHA256SUMS" in checksums.find_damage(sealed)
    assert "SHA256SUMS" in checksums.find_damage(sealed, under="params/")


def test_the_seal_leads_to_no_file_outside(sealed, tmp_path):
    (tmp_path / "secret").write_text("x")
    with open(sealed / checksums.CHECKSUMS, "a") as file:
        file.write(f"{'0' * 64}  ../secret\n")
    assert checksums.find_damage(sealed) == "../secret is missing"


def fail(monkeypatch, owner, name, code):
    """Makes a function fail as the system's own do."""

    def refuse(*arguments, **options):
        raise OSError(code, os.strerror(code), "some/file")

    monkeypatch.setattr(owner, name, refuse)


@pytest.mark.parametrize(("owner", "name"), [(os, "scandir"), (checksums, "_digest")])
@pytest.mark.parametrize("code", [errno.EACCES, errno.EMFILE])
def test_what_may_not_be_read_is_not_said_to_be_damaged(sealed, monkeypatch, owner, name, code):
    """A run would otherwise set it aside."""
    fail(monkeypatch, owner, name, code)
    with pytest.raises(
        UserError, match=rf"some/file cannot be read \({os.strerror(code)}\); check its permissions"
    ):
        checksums.find_damage(sealed)


def test_what_the_disk_cannot_read_is_damaged(sealed, monkeypatch):
    fail(monkeypatch, checksums, "_digest", errno.EIO)
    assert checksums.find_damage(sealed) == "a cannot be read: Input/output error"
