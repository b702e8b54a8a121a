"""Training into a bucket, as real processes against an emulator of Google Cloud Storage."""

import re

import pytest

from tests.training_runs import TINY, assert_identical, finish, kill_session, log_file, start, wait_for

URL, OBJECTS = "gs://bucket/runs/first", "bucket/runs/first/"
STEPS, HOSTS = 6, 2


def options(steps):
    return [*TINY, f"--config.total_steps={steps}"]


@pytest.fixture(scope="module")
def straight(sample_dataset, tmp_path_factory):
    """The workdir of an uninterrupted run of as many hosts in a folder."""
    workdir = tmp_path_factory.mktemp("straight") / "run"
    assert finish(start(sample_dataset, workdir, *options(STEPS), hosts=HOSTS)) == [0, 0]
    return workdir


def sealed(gcs):
    """The steps of the bucket that are complete."""
    found = (re.fullmatch(rf"{OBJECTS}checkpoints/(\d+)/SHA256SUMS", name) for name in gcs.names(OBJECTS))
    return sorted(int(match[1]) for match in found if match)


def fetched(gcs, folder):
    """The workdir as files of a folder, without what is no workdir's."""
    for name in gcs.names(OBJECTS):
        path = folder / name.removeprefix(OBJECTS)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gcs.objects[name].content)
    return folder


def last_line(log, host=0):
    return log_file(log, host).read_text().splitlines()[-1]


def test_a_run_that_was_killed_and_refused_leaves_in_a_bucket_what_one_leaves_in_a_folder(
    sample_dataset, straight, gcs, tmp_path
):
    log = tmp_path / "run"
    killed = start(sample_dataset, URL, *options(STEPS), hosts=HOSTS, log=log)
    wait_for(lambda: sealed(gcs), killed)
    for process in killed:
        kill_session(process)
    assert max(sealed(gcs)) < STEPS

    # What the bucket refuses while a step is written ends the run, in a sentence, with the steps before it intact.
    step = max(sealed(gcs)) + 2
    gcs.fault = lambda method, path: 403 if method != "GET" and f"{step}%2Fparams" in path.replace("/", "%2F") else None
    assert finish(start(sample_dataset, URL, *options(STEPS), hosts=HOSTS, log=log)) == [1, 1]
    assert f" failed: --workdir={URL} cannot be used (no permission" in last_line(log)
    assert last_line(log).endswith("run the same line again: it goes on from the last checkpoint.")
    assert max(sealed(gcs)) == step - 2

    # Now and then it is busy, as buckets are.
    asked = iter(range(10**6))
    gcs.fault = lambda method, path: 503 if next(asked) % 200 == 7 else None
    assert finish(start(sample_dataset, URL, *options(STEPS), hosts=HOSTS, log=log)) == [0, 0]
    assert_identical(fetched(gcs, tmp_path / "fetched"), straight)
    assert not list((tmp_path / "fetched").rglob("*.partial"))


def test_the_last_to_begin_has_the_workdir_and_the_other_ends(sample_dataset, gcs, tmp_path):
    first = start(sample_dataset, URL, *options(4000), log=tmp_path / "first")
    wait_for(lambda: sealed(gcs), first)
    second = start(sample_dataset, URL, *options(4000), "--config.checkpoint_every=4", log=tmp_path / "second")
    try:
        assert finish(first) == [1]
        assert f"--workdir={URL} was taken over by " in last_line(tmp_path / "first")
        before = len(sealed(gcs)), max(sealed(gcs))
        wait_for(lambda: max(sealed(gcs)) > before[1] + 4, second)
    finally:
        for process in second:
            kill_session(process)


def test_a_bucket_that_cannot_be_written_is_told_before_training(sample_dataset, gcs, tmp_path):
    gcs.fault = lambda method, path: 403
    assert finish(start(sample_dataset, URL, log=tmp_path / "run")) == [2]
    assert last_line(tmp_path / "run").startswith(f"error: --workdir={URL} cannot be used (no permission")
