"""Objects of a bucket, against an emulator of Google Cloud Storage."""

import subprocess
import sys

import pytest

from data_pipelines.common import bucket
from data_pipelines.common.bucket import bucket_folder, is_bucket
from data_pipelines.common.errors import RunError, UserError
from protclip_jax.checkpoints import checksums


@pytest.fixture
def folder(gcs):
    return bucket_folder("gs://bucket/runs/a b")


def test_what_is_a_bucket():
    assert [
        path
        for path in ("gs://b/run", "s3://b/run", "gs:/b/run", "runs/gs", "/a:/b", "./gs:/b")
        if is_bucket(path)
    ] == [
        "gs://b/run",
        "s3://b/run",
        "gs:/b/run",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "gs:/bucket/run",
        "s3://bucket/run",
        "gs://",
        "gs://B/run",
        "gs://bucket/a//b",
        "gs://bucket/a*",
    ],
)
def test_a_path_that_names_no_folder_is_refused(gcs, url):
    with pytest.raises(UserError, match="gs://bucket/folder"):
        bucket_folder(url)


def test_without_gcsfs_its_absence_is_reported(monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(UserError, match=r"need gcsfs .*pip install -e '\.\[gcs\]'"):
        bucket_folder("gs://bucket/run")


def test_files_are_listed_and_downloaded(gcs, folder, tmp_path):
    contents = {"empty": b"", "d/é ü#1.json": b"{}", "d/large": bytes(range(256)) * 40_000}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    assert gcs.objects["bucket/runs/a b/d/large"].content == contents["d/large"]
    sizes = {name: about["size"] for name, about in checksums.list_files(folder).items()}
    assert sizes == {name: len(content) for name, content in contents.items()}
    bucket.download(folder, contents, tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in contents} == contents


def test_objects_whose_names_only_begin_alike_are_another_folders(gcs, folder):
    for name in ("a b-2/x", "a b/", "a b/d/"):
        gcs.put(f"bucket/runs/{name}", b"")
    (folder / "x").write_bytes(b"")
    assert checksums.list_files(folder).keys() == {"x"}


def test_what_another_program_writes_is_seen_at_once(gcs, folder):
    assert not checksums.list_files(folder)
    assert not (folder / "config.json").exists()
    gcs.put("bucket/runs/a b/config.json", b"{}")
    assert checksums.list_files(folder).keys() == {"config.json"}
    assert (folder / "config.json").exists()


def test_what_fails_for_a_while_is_asked_again(gcs, folder):
    left = [503]
    gcs.fault = lambda method, path: left.pop() if left else None
    (folder / "x").write_bytes(b"content")
    assert not left
    assert (folder / "x").read_bytes() == b"content"


@pytest.mark.parametrize(
    "use",
    [
        checksums.list_files,
        checksums.find_damage,
        lambda folder: (folder / "x").read_bytes(),
        lambda folder: (folder / "x").write_bytes(b""),
        lambda folder: folder.rename(folder.parent / "y"),
    ],
)
def test_a_refusal_is_one_sentence(gcs, folder, use):
    gcs.put("bucket/runs/a b/x", b"")
    gcs.fault = lambda method, path: 403
    message = (
        r"^gs://bucket/runs/a b cannot be used \(no permission to read and write objects there"
    )
    with pytest.raises(RunError, match=message), bucket.report_errors(str(folder)):
        use(folder)


def test_a_refusal_is_not_taken_for_damage(gcs, folder):
    (folder / "x").write_bytes(b"content")
    checksums.write(folder)
    gcs.fault = lambda method, path: 403 if "%2Fx" in path or "/x" in path else None
    with pytest.raises(OSError, match="Forbidden"):
        checksums.find_damage(folder)


def test_a_bucket_that_is_not_there_is_reported(gcs):
    message = r"gs://nobodys/run cannot be used \(.*bucket"
    with pytest.raises(RunError, match=message), bucket.report_errors("gs://nobodys/run"):
        (bucket_folder("gs://nobodys/run") / "x").write_bytes(b"")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a mistake"),
        OSError(28, "No space left"),
        OSError("a reader's own"),
        UserError("a sentence"),
    ],
)
def test_errors_of_other_origin_pass(error):
    with pytest.raises(type(error)) as raised, bucket.report_errors("gs://bucket"):
        raise error
    assert raised.value is error


def test_nothing_of_it_is_imported_without_a_bucket():
    code = (
        "import sys, train; sys.exit(bool({'gcsfs', 'aiohttp', 'google.cloud.storage'} & "
        "set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
