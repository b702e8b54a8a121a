"""Objects of a bucket, against an emulator of Google Cloud Storage."""

import hashlib
import subprocess
import sys

import pytest

from data_pipelines.common.errors import RunError, UserError
from protclip_jax.checkpoints import bucket
from protclip_jax.checkpoints.bucket import BucketFolder, is_bucket


@pytest.fixture
def folder(gcs):
    return BucketFolder("gs://bucket/runs/a b")


def test_what_is_a_bucket():
    assert [path for path in ("gs://b/run", "s3://b/run", "gs:/b/run", "runs/gs", "/a:/b", "./gs:/b") if is_bucket(path)] == [
        "gs://b/run",
        "s3://b/run",
        "gs:/b/run",
    ]


@pytest.mark.parametrize(
    "url", ["gs:/bucket/run", "s3://bucket/run", "gs://", "gs://B/run", "gs://bucket/a//b", "gs://bucket/a*"]
)
def test_a_path_that_names_no_folder_is_refused(gcs, url):
    with pytest.raises(UserError, match="name one as gs://bucket/folder"):
        BucketFolder(url)


def test_without_gcsfs_its_absence_is_told(monkeypatch):
    bucket.file_system.cache_clear()
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(UserError, match=r"need gcsfs .*pip install 'protclip-jax\[gcs\]'"):
        BucketFolder("gs://bucket/run")


def test_objects_are_written_listed_read_and_removed(gcs, folder, tmp_path):
    contents = {"empty": b"", "d/é ü#1.json": b"{}", "d/large": bytes(range(256)) * 40_000}
    for name, content in contents.items():
        folder.write(name, content)
    assert gcs.objects["bucket/runs/a b/d/large"].content == contents["d/large"]
    assert folder.sizes() == {name: len(content) for name, content in contents.items()}
    assert {name: folder.read(name) for name in contents} == contents
    assert folder.read("absent") is None
    assert (folder / "d").sizes() == {"large": 10_240_000, "é ü#1.json": 2}
    assert folder.digests(contents) == {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}

    folder.download(contents, tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in contents} == contents
    (tmp_path / "empty").write_bytes(b"no longer")
    folder.upload(tmp_path / "empty", "again")
    assert folder.read("again") == b"no longer"

    folder.copy(BucketFolder("gs://bucket/runs/other"))
    assert BucketFolder("gs://bucket/runs/other").sizes() == folder.sizes()
    folder.remove(["again", "empty", "gone already"])
    assert sorted(folder.sizes()) == ["d/large", "d/é ü#1.json"]


def test_objects_whose_names_only_begin_alike_are_another_folders(gcs, folder):
    gcs.put("bucket/runs/a b-2/x", b"")
    gcs.put("bucket/runs/a b/", b"")
    gcs.put("bucket/runs/a b/d/", b"")
    folder.write("x", b"")
    assert folder.sizes() == {"x": 0}


def test_what_another_program_writes_is_seen_at_once(gcs, folder):
    assert folder.sizes() == {}
    gcs.put("bucket/runs/a b/config.json", b"{}")
    assert folder.sizes() == {"config.json": 2}


def test_what_fails_for_a_while_is_asked_again(gcs, folder):
    left = [503]
    gcs.fault = lambda method, path: left.pop() if left else None
    folder.write("x", b"content")
    assert not left
    assert folder.read("x") == b"content"


@pytest.mark.parametrize(
    "use",
    [
        lambda folder: folder.sizes(),
        lambda folder: folder.read("x"),
        lambda folder: folder.write("x", b""),
        lambda folder: folder.digests(["x"]),
        lambda folder: folder.remove(["x"]),
    ],
)
def test_a_refusal_is_one_sentence(gcs, folder, use):
    gcs.put("bucket/runs/a b/x", b"")
    gcs.fault = lambda method, path: 403
    with pytest.raises(RunError, match=r"^gs://bucket/runs/a b cannot be used \(no permission to read and write objects there"):
        use(folder)


def test_a_bucket_that_is_not_there_is_told(gcs):
    with pytest.raises(RunError, match=r"gs://nobodys/run cannot be used \(there is no such bucket"):
        BucketFolder("gs://nobodys/run").write("x", b"")


@pytest.mark.parametrize(
    "error", [ValueError("a mistake"), OSError(28, "No space left"), OSError("a reader's own"), UserError("a sentence")]
)
def test_errors_of_other_origin_pass(error):
    with pytest.raises(type(error)) as raised, bucket.report_errors("gs://bucket"):
        raise error
    assert raised.value is error


def test_nothing_of_it_is_imported_without_a_bucket():
    code = "import sys, train; sys.exit(bool({'gcsfs', 'aiohttp', 'google.cloud.storage'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
