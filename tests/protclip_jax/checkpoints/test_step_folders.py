"""Steps of a `checkpoints/` folder: the same behaviour on a disk and in a bucket."""

import random

import pytest
from etils import epath

from data_pipelines.common.bucket import bucket_folder
from data_pipelines.common.errors import UserError
from protclip_jax.checkpoints import checksums
from protclip_jax.checkpoints.best import judge_all
from protclip_jax.checkpoints.step_folders import (
    complete_steps,
    remove,
    remove_unfinished,
    seal,
    set_aside,
    written_steps,
)

FILES = {"params/d/array": bytes(range(256)) * 20, "params/empty": b"", "data/x": b"x"}


@pytest.fixture(params=["folder", "bucket"])
def checkpoints(request, tmp_path):
    if request.param == "folder":
        return epath.Path(tmp_path / "checkpoints")
    request.getfixturevalue("gcs")
    return bucket_folder("gs://bucket/a run/checkpoints")


def write(folder, name, content):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def begin(checkpoints, step):
    """Writes a step as Orbax does."""
    for name, content in FILES.items():
        write(checkpoints / str(step), name, content)
    return checkpoints / str(step)


def complete(checkpoints, step):
    seal(begin(checkpoints, step), f'{{"metrics": {{"x": {step}}}, "best": {{}}}}')
    return checkpoints / str(step)


def test_a_step_counts_once_it_is_sealed(checkpoints):
    assert written_steps(checkpoints) == complete_steps(checkpoints) == []
    complete(checkpoints, 10)
    step = begin(checkpoints, 3)
    assert (written_steps(checkpoints), complete_steps(checkpoints)) == ([3, 10], [10])
    seal(step, "{}")
    assert complete_steps(checkpoints) == [3, 10]
    assert checksums.find_damage(step) is checksums.find_damage(step, under="params/") is None
    assert checksums.list_files(step).keys() == {*FILES, "metrics.json", "SHA256SUMS"}


def test_both_are_sealed_alike(tmp_path, gcs):
    folders = epath.Path(tmp_path), bucket_folder("gs://bucket/run")
    seals = [(complete(folder, 3) / checksums.CHECKSUMS).read_bytes() for folder in folders]
    assert seals[0] == seals[1]


@pytest.mark.parametrize("name", [*FILES, "metrics.json", "SHA256SUMS"])
def test_every_damage_is_found(checkpoints, name):
    step, rng = complete(checkpoints, 3), random.Random(0)
    content = (step / name).read_bytes()
    flipped = [_flipped(content, rng) for _ in range(5)]
    for damaged in {b"", content[:-1], content + b"\0", *flipped} - {content}:
        (step / name).write_bytes(damaged)
        assert checksums.find_damage(step), damaged[:20]
    (step / name).write_bytes(content)
    assert checksums.find_damage(step) is None
    (step / name).unlink()
    assert checksums.find_damage(step) == f"{name} is missing"


def _flipped(content, rng):
    if not content:
        return b"\0"
    flipped = bytearray(content)
    flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def test_a_file_that_the_seal_does_not_list_is_damage(checkpoints):
    step = complete(checkpoints, 3)
    write(step, "params/more", b"")
    assert checksums.find_damage(step) == "params/more is not in SHA256SUMS"
    assert checksums.find_damage(step, under="data/") is None
    (step / "params/more").unlink()
    write(step, "params/.nfs01", b"a file system's own")
    assert checksums.find_damage(step) is None


def test_metrics_that_are_no_object_judge_nothing(checkpoints):
    complete(checkpoints, 2)
    seal(begin(checkpoints, 3), "[]")
    judged = judge_all(checkpoints, [2, 3])
    assert (judged[2].metrics, judged[3]) == ({"x": 2}, None)


def test_what_was_cut_off_is_removed_and_nothing_else(checkpoints):
    complete(checkpoints, 3)
    write(begin(checkpoints, 4), "commit_success.txt", b"")
    begin(checkpoints, 5)
    for name in ("notes/read.me", "2.damaged/params/x"):
        write(checkpoints, name, b"")
    remove_unfinished(checkpoints)
    assert written_steps(checkpoints) == [3, 4]
    assert {"notes/read.me", "2.damaged/params/x"} <= checksums.list_files(checkpoints).keys()


def test_removing_takes_one_step(checkpoints):
    complete(checkpoints, 3)
    step = complete(checkpoints, 30)
    remove(checkpoints / "3")
    assert written_steps(checkpoints) == [30]
    assert checksums.find_damage(step) is None


def test_steps_are_set_aside_whole(checkpoints):
    complete(checkpoints, 4)
    for expected in ("3.damaged", "3.damaged-2", "3.damaged-3"):
        complete(checkpoints, 3)
        aside = set_aside(checkpoints, 3)
        assert aside == checkpoints / expected
        assert written_steps(checkpoints) == [4]
        assert checksums.find_damage(aside) is None


def test_a_step_under_another_name_is_reported_and_left_alone(checkpoints):
    """It was taken for step 7, which is not there, and then for damaged."""
    complete(checkpoints, "007")
    for find in (written_steps, complete_steps):
        with pytest.raises(UserError, match=r"checkpoints/007 .*rename it to 7\.$"):
            find(checkpoints)
    complete(checkpoints, 7)
    assert written_steps(checkpoints) == complete_steps(checkpoints) == [7]
    remove_unfinished(checkpoints)
    assert (checkpoints / "007" / checksums.CHECKSUMS).exists()
