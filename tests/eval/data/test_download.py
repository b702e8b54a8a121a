"""`python -m eval.data.download` against a local server with faults."""

import hashlib
import io
import json
import random
import zipfile

import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.download.plain_file import download_plain
from eval.benchmarks.families import BENCHMARKS
from eval.data import download
from eval.data.base.source import PublicFile
from eval.data.download import fetch, main, mirrored, sources_of
from tests.support.file_server import dropped, serve, status, without_ranges

DATA = random.Random(0).randbytes(200_000)
OTHER = random.Random(1).randbytes(len(DATA))
URL, PATH = "https://home.org/files/x.csv", "/home.org/files/x.csv"
FILE = PublicFile("x/x.csv", URL, hashlib.sha256(DATA).hexdigest())


@pytest.fixture
def server(file_server, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    file_server.files[PATH] = DATA
    return file_server


def get(server, folder, file=FILE, *, timeout=5, tries=3):
    return fetch(file, folder, licence="CC0", base_url=server.url, timeout=timeout, tries=tries)


def ranges(server):
    return [headers.get("Range") for _, headers in server.seen]


def archive(**members):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as files:
        for name, text in members.items():
            files.writestr(f"splits/{name}.csv", text)
    return content.getvalue()


def test_a_file_is_fetched_once_and_says_where_it_is_from(server, tmp_path):
    for _ in range(2):
        assert get(server, tmp_path).read_bytes() == DATA
    known = json.loads((tmp_path / "x/x.csv.provenance.json").read_text())
    assert (known["url"], known["licence"], known["sha256"]) == (
        f"{server.url}{PATH}",
        "CC0",
        FILE.sha256,
    )
    assert ranges(server) == [None]
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == [
        "x.csv",
        "x.csv.provenance.json",
    ]


@pytest.mark.parametrize("length", [True, False])
def test_broken_connections_and_ended_runs_go_on(server, tmp_path, length):
    server.faults[PATH] = [dropped(30_000)] * 2 + [
        lambda handler, data: serve(handler, data, sent=9_000, length=length)
    ]
    with pytest.raises(
        UserError, match="after 1 attempts; check the connection, then rerun the command"
    ):
        get(server, tmp_path, tries=1)
    assert (tmp_path / "x/x.csv.partial").stat().st_size == 30_000
    assert get(server, tmp_path).read_bytes() == DATA
    assert ranges(server)[:3] == [None, "bytes=30000-", "bytes=60000-"]


def test_a_file_that_has_changed_begins_anew(server, tmp_path):
    server.faults[PATH] = [dropped(30_000)]
    with pytest.raises(UserError):
        get(server, tmp_path, PublicFile("x/x.csv", URL), tries=1)
    server.files[PATH], server.tags[PATH] = OTHER, '"2"'
    assert get(server, tmp_path, PublicFile("x/x.csv", URL)).read_bytes() == OTHER
    assert ranges(server) == [None, "bytes=30000-", None]


def test_a_file_that_became_shorter_begins_anew(server, tmp_path):
    server.faults[PATH] = [dropped(30_000)]
    with pytest.raises(UserError):
        get(server, tmp_path, tries=1)
    server.files[PATH] = DATA[:100]
    file = PublicFile("x/x.csv", URL)
    assert get(server, tmp_path, file).read_bytes() == DATA[:100]


def test_a_server_without_ranges_sends_all_again(server, tmp_path):
    server.faults[PATH] = [dropped(30_000), without_ranges]
    assert get(server, tmp_path).read_bytes() == DATA


def test_passing_failures_are_tried_again_and_lasting_ones_reported(server, tmp_path):
    server.faults[PATH] = [status(503), status(429)]
    assert get(server, tmp_path).read_bytes() == DATA
    gone = PublicFile("y.csv", "https://home.org/files/y.csv")
    with pytest.raises(UserError, match=r"cannot download .*y.csv \(HTTP Error 404"):
        get(server, tmp_path, gone)
    assert not (tmp_path / "y.csv").exists()


def test_another_content_than_the_known_one_is_reported(server, tmp_path):
    server.files[PATH] = OTHER
    with pytest.raises(
        UserError,
        match=rf"x.csv has the SHA-256 {hashlib.sha256(OTHER).hexdigest()}, not {FILE.sha256}",
    ):
        get(server, tmp_path)
    digest = hashlib.md5(DATA).hexdigest()
    server.files["/x.zip"] = OTHER
    known = {"md5": digest, "licence": "CC0", "timeout": 5, "tries": 1}
    with pytest.raises(UserError, match=f"x.zip has the MD5 .*{digest}.*damaged"):
        download_plain(f"{server.url}/x.zip", tmp_path / "x.zip", **known)


def test_a_file_of_the_users_is_kept(server, tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x/x.csv").write_bytes(b"mine")
    with pytest.raises(
        UserError,
        match=r"x.csv exists and is not the file at http.*; remove it or choose another --output",
    ):
        get(server, tmp_path)
    assert (tmp_path / "x/x.csv").read_bytes() == b"mine"


def test_a_split_comes_out_of_its_archive(server, tmp_path):
    server.files["/home.org/splits.zip"] = archive(one="a,b\n", two="c\n")
    digest = hashlib.sha256(b"a,b\n").hexdigest()
    file = PublicFile("flip/one.csv", "https://home.org/splits.zip", digest, "splits/one.csv")
    for _ in range(2):
        assert get(server, tmp_path, file).read_text() == "a,b\n"
    assert len(server.seen) == 1
    (tmp_path / "flip/one.csv").write_text("mine")
    with pytest.raises(
        UserError, match=r"one.csv exists and is not splits/one.csv of .*splits.zip"
    ):
        get(server, tmp_path, file)
    with pytest.raises(UserError, match=r"splits.zip .*ZIP archive with splits/three.csv"):
        get(server, tmp_path, PublicFile("flip/three.csv", file.url, "", "splits/three.csv"))
    server.files["/home.org/torn.zip"] = archive(one="a,b\n")[:-30]
    with pytest.raises(UserError, match=r"torn.zip"):
        get(
            server,
            tmp_path,
            PublicFile("torn/one.csv", "https://home.org/torn.zip", "", "splits/one.csv"),
        )


def test_command_fetches_what_it_may_and_says_what_is_left(server, tmp_path, monkeypatch, capsys):
    of_shs27k, of_shs148k = (sources_of([name])[name][0] for name in ("shs27k", "shs148k"))
    files = (*of_shs27k.files, *of_shs148k.files)
    contents = {
        mirrored(file.url, server.url).removeprefix(server.url): file.path.encode()
        for file in files
    }
    server.files |= contents
    # The contents here are not the real ones, so that their digests are not asked for.
    monkeypatch.setattr(
        download,
        "file_sha256",
        lambda path: next(file.sha256 for file in files if path.match(file.path)),
    )
    line = [
        "shs27k",
        "shs148k",
        "--output",
        str(tmp_path / "public"),
        "--base_url",
        f"{server.url}/",
    ]
    assert main(line) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [str(tmp_path / "public" / file.path) for file in files]
    for file in files:
        assert (tmp_path / "public" / file.path).read_bytes() == file.path.encode()
    assert "shs27k: all files; licence of github.com/lvguofeng/GNN_PPI: MIT" in printed.err
    assert "shs148k: by hand: protein.actions.SHS148k.STRING.txt" in printed.err


def test_a_wrong_name_is_reported(tmp_path, capsys):
    assert main(["shs", "--output", str(tmp_path)]) == 2
    assert "unknown benchmark 'shs'; expected localisation" in capsys.readouterr().err


def test_fetched_files_go_where_the_template_names_them():
    """And each home has a licence, or says that none is stated."""
    for benchmark in BENCHMARKS.values():
        named = json.dumps(dict(benchmark.template))
        for source in sources_of([benchmark.name])[benchmark.name]:
            assert source.licence
            assert all(file.url.startswith("https://") for file in source.files)
        paths = [
            file.path
            for file in benchmark.source.files
            if "setHARD" not in file.path and "P62593" not in file.path
        ]
        assert [path for path in paths if f'"{path}"' not in named] == []
