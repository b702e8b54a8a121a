"""Training into a bucket, as real processes against an emulator of Google Cloud Storage."""

import errno
import os
import re
import shutil

import pytest

from data_pipelines.common.errors import RunError, UserError
from protclip_jax.checkpoints.bucket_workdir import BucketWorkdir
from tests.support.training_runs import (
    TINY,
    assert_identical,
    finish,
    kill_session,
    log_file,
    start,
    wait_for,
)

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
    found = (
        re.fullmatch(rf"{OBJECTS}checkpoints/(\d+)/SHA256SUMS", name) for name in gcs.names(OBJECTS)
    )
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


def test_a_run_that_was_killed_leaves_in_a_bucket_what_one_leaves_in_a_folder(
    sample_dataset, straight, gcs, tmp_path
):
    log = tmp_path / "run"
    killed = start(sample_dataset, URL, *options(STEPS), hosts=HOSTS, log=log)
    wait_for(lambda: sealed(gcs), killed)
    for process in killed:
        kill_session(process)
    assert max(sealed(gcs)) < STEPS

    # Now and then it is busy, as buckets are.
    asked = iter(range(10**6))
    gcs.fault = lambda method, path: 503 if next(asked) % 200 == 7 else None
    assert finish(start(sample_dataset, URL, *options(STEPS), hosts=HOSTS, log=log)) == [0, 0]
    assert_identical(fetched(gcs, tmp_path / "fetched"), straight)
    assert not list((tmp_path / "fetched").rglob("*.partial"))


@pytest.mark.soak
def test_what_the_bucket_refuses_ends_the_run_with_the_steps_before_it_intact(
    sample_dataset, straight, gcs, tmp_path
):
    log = tmp_path / "run"
    gcs.fault = lambda method, path: (
        403 if method != "GET" and "4%2Fparams" in path.replace("/", "%2F") else None
    )
    first, other = finish(start(sample_dataset, URL, *options(STEPS), hosts=HOSTS, log=log))
    # The other host has the same error, or JAX ends it when the first is gone.
    assert first == 1
    assert other
    assert f" failed: --workdir={URL} cannot be used (no permission" in last_line(log)
    assert last_line(log).endswith(" from the last checkpoint.")
    assert sealed(gcs) == [2]
    gcs.fault = lambda method, path: None
    assert finish(start(sample_dataset, URL, *options(STEPS), hosts=HOSTS, log=log)) == [0, 0]
    assert_identical(fetched(gcs, tmp_path / "fetched"), straight)


def test_the_last_to_begin_has_the_workdir_and_the_other_ends(sample_dataset, gcs, tmp_path):
    first = start(sample_dataset, URL, *options(4000), log=tmp_path / "first")
    wait_for(lambda: sealed(gcs), first)
    second = start(
        sample_dataset, URL, *options(4000), "--config.checkpoint_every=4", log=tmp_path / "second"
    )
    try:
        assert finish(first) == [1]
        assert f"--workdir={URL} was taken over by " in last_line(tmp_path / "first")
        before = len(sealed(gcs)), max(sealed(gcs))
        wait_for(lambda: max(sealed(gcs)) > before[1] + 4, second)
    finally:
        for process in second:
            kill_session(process)


@pytest.fixture
def position(gcs):
    with BucketWorkdir(URL) as position:
        position.begin()
        yield position


def test_what_another_process_has_removed_is_reported_as_its_taking_over(gcs, position):
    with (
        pytest.raises(
            RunError, match="something in it was removed.*resumes from the last checkpoint"
        ),
        position.report_errors(),
    ):
        raise FileNotFoundError(f"{URL}/checkpoints/2/params")
    own = gcs.objects[f"{OBJECTS}owner"].content
    gcs.put(f"{OBJECTS}owner", b"other (process 7, 00)")
    with pytest.raises(RunError, match="was taken over by other"), position.report_errors():
        raise FileNotFoundError(f"{URL}/checkpoints/2/params")
    gcs.fault = lambda method, path: 403
    with pytest.raises(RunError, match="no permission"), position.report_errors():
        raise FileNotFoundError(f"{URL}/checkpoints/2/params")
    gcs.fault = lambda method, path: None
    gcs.put(f"{OBJECTS}owner", own)


def test_a_folder_of_the_bucket_with_files_of_somebody_else_is_no_workdir(gcs):
    gcs.put(f"{OBJECTS}metrics.jsonl", b"mine")
    with (
        pytest.raises(
            UserError, match=f"--workdir={URL} holds metrics.jsonl, which training would overwrite"
        ),
        BucketWorkdir(URL) as position,
    ):
        position.begin()
    assert gcs.names(OBJECTS) == [f"{OBJECTS}metrics.jsonl"]


def test_only_what_has_changed_is_copied(gcs, position):
    (position.folder / "config.json").write_text("{}")
    position.share()
    assert gcs.objects[f"{OBJECTS}config.json"].content == b"{}"
    before = dict(gcs.objects)
    position.share()
    assert gcs.objects == before
    (position.folder / "metrics.jsonl").write_text('{"step": 1}\n')
    (position.folder / "config.json.partial").write_text("{")
    position.share()
    assert gcs.objects.pop(f"{OBJECTS}metrics.jsonl").content == b'{"step": 1}\n'
    assert gcs.objects == before


def test_a_file_that_is_kept_is_copied_once_and_found_by_its_name(gcs, position):
    (position.folder / "faults").mkdir()
    (position.folder / "faults/step.json").write_text("{}")
    assert position.keep(position.folder / "faults/step.json") == f"{URL}/faults/step.json"
    before = dict(gcs.objects)
    assert before[f"{OBJECTS}faults/step.json"].content == b"{}"
    position.share()
    assert gcs.objects == before


def test_a_run_that_fails_leaves_its_metrics_and_names_the_bucket(gcs):
    def fail():
        with BucketWorkdir(URL) as position:
            position.begin()
            (position.folder / "metrics.jsonl").write_text('{"step": 1}\n')
            folders.append(position.folder)
            raise RunError(f"{position.folder}/config.json is bad")

    folders = []
    with pytest.raises(RunError, match=f"^{URL}/config.json is bad$"):
        fail()
    (folder,) = folders
    (temporary,) = (parent for parent in folder.parents if parent.name.startswith("protclip-"))
    assert not temporary.exists()
    assert gcs.objects[f"{OBJECTS}metrics.jsonl"].content == b'{"step": 1}\n'
    with BucketWorkdir(URL) as position:
        position.begin()
        assert (position.folder / "metrics.jsonl").read_text() == '{"step": 1}\n'


def test_a_local_folder_that_was_removed_ends_the_run(gcs, position):
    shutil.rmtree(position.folder)
    with pytest.raises(RunError, match="set TMPDIR"):
        position.share()
    position.folder.mkdir()


def test_a_local_disk_that_is_full_is_reported(gcs, position):
    with (
        pytest.raises(RunError, match="the temporary folder .* cannot be written .No space left"),
        position.report_errors(),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_bucket_that_cannot_be_written_is_reported_before_training(sample_dataset, gcs, tmp_path):
    gcs.fault = lambda method, path: 403
    assert finish(start(sample_dataset, URL, log=tmp_path / "run")) == [2]
    assert last_line(tmp_path / "run").startswith(
        f"error: --workdir={URL} cannot be used (no permission"
    )
