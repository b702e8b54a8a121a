import contextlib
import fcntl
import hashlib
import json
import random
import resource
import subprocess
import sys
import urllib.request
from functools import partial

import pytest

from data_pipelines.common.errors import RunError, UserError
from data_pipelines.download.__main__ import main
from data_pipelines.download.release_file import METADATA, download_file
from tests.support.file_server import dropped, serve, silent, status, without_ranges

NAME = "uniprot_sprot.dat.gz"
DATA = random.Random(0).randbytes(200_000)
OTHER = random.Random(1).randbytes(len(DATA))


@pytest.fixture
def waits(monkeypatch):
    """The seconds between tries, which pass at once."""
    seconds = []
    monkeypatch.setattr("time.sleep", seconds.append)
    return seconds


@pytest.fixture
def server(file_server, waits):
    publish(file_server, DATA)
    return file_server


def publish(server, data, *, release="2026_03", md5=None, size=None):
    server.files[f"/{NAME}"] = data
    md5 = md5 or hashlib.md5(data).hexdigest()
    server.files[f"/{METADATA}"] = metalink(release, md5=md5, size=size or len(data))


def metalink(release, *, md5, size, name=NAME):
    return f"""<?xml version="1.0" encoding="UTF-8"?>
    <metalink version="3.0" xmlns="http://www.metalinker.org/" type="dynamic"><version>{release}</version><files>
    <file name="uniprot.xsd"><size>1</size><verification><hash type="md5">{"0" * 32}</hash></verification></file>
    <file name="{name}"><size>{size}</size><verification><hash type="md5">{md5}</hash></verification>
    <resources><url type="https" location="us" preference="100">https://elsewhere/{name}</url></resources></file>
    </files></metalink>""".encode()


def fetch(server, folder, *, timeout=0.3, tries=3):
    return download_file(NAME, folder, server.url, timeout, tries)


def refused(server, folder, *words, timeout=0.3, tries=3, error=UserError):
    """Downloads in vain: one sentence with these words, and nothing that looks finished."""
    with pytest.raises(error) as caught:
        fetch(server, folder, timeout=timeout, tries=tries)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message
    assert not (folder / NAME).exists()


def ranges(server):
    return [headers.get("Range") for path, headers in server.seen if path == f"/{NAME}"]


def assert_whole(folder, data=DATA, *, release="2026_03"):
    """The file, what says where it is from, and nothing else."""
    assert (folder / NAME).read_bytes() == data
    known = json.loads((folder / f"{NAME}.provenance.json").read_text())
    expected = {"release": release, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    assert {key: known[key] for key in expected} == expected
    assert "CC BY 4.0" in known["licence"]
    assert sorted(path.name for path in folder.iterdir()) == [NAME, f"{NAME}.provenance.json"]


def test_command_fetches_a_file_once(server, tmp_path, capsys):
    line = [
        "swissprot",
        "--output",
        str(tmp_path / "new" / "folder"),
        "--base_url",
        f"{server.url}/",
    ]
    for _ in range(2):
        assert main(line) == 0
        assert capsys.readouterr().out == f"{tmp_path}/new/folder/{NAME}\n"
    assert_whole(tmp_path / "new" / "folder")
    assert ranges(server) == [None]


def test_any_number_of_broken_connections(server, tmp_path):
    server.faults[f"/{NAME}"] = [dropped(30_000)] * 5
    fetch(server, tmp_path)
    assert_whole(tmp_path)
    assert ranges(server) == [None, *(f"bytes={30_000 * k}-" for k in range(1, 6))]


@pytest.mark.parametrize("length", [True, False])
def test_an_ended_run_goes_on(server, tmp_path, length):
    server.faults[f"/{NAME}"] = [
        lambda handler, data: serve(handler, data, sent=70_000, length=length)
    ]
    refused(server, tmp_path, NAME, "rerun", timeout=60, tries=1)
    assert (tmp_path / f"{NAME}.partial").stat().st_size == 70_000
    fetch(server, tmp_path)
    assert_whole(tmp_path)
    assert ranges(server) == [None, "bytes=70000-"]


def test_a_killed_run_goes_on(server, tmp_path):
    def stuck(handler, data):
        serve(handler, data, sent=50_000)
        handler.wfile.flush()
        silent(handler, data)

    server.faults[f"/{NAME}"] = [stuck]
    line = [
        sys.executable,
        "-m",
        "data_pipelines.download",
        "swissprot",
        "--output",
        tmp_path,
        "--base_url",
        server.url,
    ]
    process = subprocess.Popen(line, stderr=subprocess.DEVNULL)
    received = tmp_path / f"{NAME}.partial"
    while not (received.exists() and received.stat().st_size == 50_000):
        assert process.poll() is None
        server.stopped.wait(0.02)
    process.kill()
    process.wait()
    fetch(server, tmp_path)
    assert_whole(tmp_path)
    assert ranges(server) == [None, "bytes=50000-"]


def test_a_server_that_knows_no_ranges(server, tmp_path):
    server.faults[f"/{NAME}"] = [dropped(30_000), without_ranges]
    fetch(server, tmp_path)
    assert_whole(tmp_path)


@pytest.mark.parametrize("sizes", [[30_000] * 10, [60_000, 30_000] * 5])
def test_a_server_that_never_gets_further_ends_the_run(server, tmp_path, sizes):
    server.faults[f"/{NAME}"] = [partial(serve, sent=size, ranges=False) for size in sizes]
    refused(server, tmp_path, f"{sizes[2]} of 200000 bytes", "3 attempts")
    assert len(ranges(server)) == 3


def test_a_part_that_was_not_asked_for_is_dropped(server, tmp_path):
    def other_part(handler, data):
        handler.headers.replace_header("Range", "bytes=10-")
        serve(handler, data)

    server.faults[f"/{NAME}"] = [dropped(30_000), other_part]
    fetch(server, tmp_path)
    assert_whole(tmp_path)
    assert ranges(server)[2] is None


def test_an_unsatisfiable_range_costs_nothing_that_has_come(server, tmp_path):
    server.faults[f"/{NAME}"] = [dropped(30_000), status(416)]
    refused(server, tmp_path, "416")
    fetch(server, tmp_path)
    assert_whole(tmp_path)
    assert ranges(server)[-1] == "bytes=30000-"


def test_a_new_release_between_two_runs_begins_again(server, tmp_path):
    server.faults[f"/{NAME}"] = [dropped(70_000)]
    refused(server, tmp_path, timeout=60, tries=1)
    publish(server, OTHER, release="2026_04")
    fetch(server, tmp_path)
    assert_whole(tmp_path, OTHER, release="2026_04")
    assert ranges(server) == [None, None]


def test_a_file_changed_between_two_connections_is_refused(server, tmp_path):
    def change(handler, data):
        serve(handler, data, sent=70_000)
        server.files[f"/{NAME}"] = OTHER

    server.faults[f"/{NAME}"] = [change]
    refused(server, tmp_path, "MD5", hashlib.md5(DATA).hexdigest(), "rerun")
    publish(server, OTHER)
    fetch(server, tmp_path)
    assert_whole(tmp_path, OTHER)


def test_wrong_checksum(server, tmp_path):
    publish(server, DATA, md5="0" * 32)
    refused(server, tmp_path, "MD5", "0" * 32)
    publish(server, DATA)
    fetch(server, tmp_path)
    assert_whole(tmp_path)
    assert ranges(server) == [None, None]


def test_wrong_size(server, tmp_path):
    publish(server, DATA, size=len(DATA) + 1)
    refused(server, tmp_path, "200000 bytes", "200001", "try again later")


def test_a_foreign_page_costs_nothing_that_has_come(server, tmp_path):
    server.faults[f"/{NAME}"] = [
        dropped(70_000),
        lambda handler, data: serve(handler, b"log in", ranges=False),
    ]
    refused(server, tmp_path, "6 bytes")
    fetch(server, tmp_path)
    assert_whole(tmp_path)
    assert ranges(server)[-1] == "bytes=70000-"


def test_more_bytes_than_reported(server, tmp_path):
    server.files[f"/{NAME}"] = DATA + b"more"
    server.faults[f"/{NAME}"] = [lambda *args: serve(*args, length=False)]
    fetch(server, tmp_path)
    assert_whole(tmp_path)


@pytest.mark.parametrize("path", [f"/{NAME}", f"/{METADATA}"])
@pytest.mark.parametrize("code", [404, 403])
def test_a_missing_file(server, tmp_path, path, code):
    server.faults[path] = [status(code)]
    refused(server, tmp_path / "folder", f"{server.url}{path}", str(code), "--base_url")


@pytest.mark.parametrize("path", [f"/{NAME}", f"/{METADATA}"])
def test_a_busy_server_is_asked_again(server, tmp_path, path):
    server.faults[path] = [status(503), status(429), dropped(100)]
    fetch(server, tmp_path, tries=4)
    assert_whole(tmp_path)


def test_waits_grow_up_to_two_minutes(server, tmp_path, waits):
    server.faults[f"/{NAME}"] = [status(503)] * 9
    refused(server, tmp_path, "503", tries=9)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 120]


def test_a_silent_server(server, tmp_path):
    server.faults[f"/{NAME}"] = [silent, dropped(30_000)]
    fetch(server, tmp_path)
    assert_whole(tmp_path)
    server.faults[f"/{METADATA}"] = [silent] * 2
    refused(server, tmp_path / "other", "timed out", timeout=0.2, tries=2)


def test_no_server_at_all(waits, tmp_path):
    with pytest.raises(UserError, match="refused.*2 attempts"):
        download_file(NAME, tmp_path, "http://127.0.0.1:1", timeout=1, tries=2)


def test_redirection_keeps_the_range(server, tmp_path):
    server.files["/moved"] = DATA
    server.faults[f"/{NAME}"] = [dropped(30_000), status(302, Location="/moved")]
    fetch(server, tmp_path)
    assert_whole(tmp_path)
    assert server.seen[-1][1]["Range"] == "bytes=30000-"


def test_redirection_to_another_scheme_is_refused(server, tmp_path, monkeypatch):
    whole = urllib.request.urlopen

    def redirected(asked, timeout):
        """As from an HTTPS server that redirects to plain HTTP."""
        asked.full_url = asked.full_url.replace("https://mirror", server.url)
        return whole(asked, timeout=timeout)

    monkeypatch.setattr("urllib.request.urlopen", redirected)
    with pytest.raises(UserError, match=rf"https://mirror/{METADATA} redirects .*--base_url"):
        download_file(NAME, tmp_path, "https://mirror", timeout=1, tries=1)


def test_redirection_to_a_local_file_is_refused(server, tmp_path):
    server.faults[f"/{METADATA}"] = [status(302, Location="file:///etc/passwd")]
    refused(server, tmp_path, "file:///etc/passwd", "--base_url")


@contextlib.contextmanager
def largest_file(size):
    """No file of this process can grow beyond it, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_disk_that_takes_no_more(server, tmp_path):
    with largest_file(80_000):
        refused(
            server, tmp_path, f"{NAME}.partial", "File too large", "free some space", error=RunError
        )
    assert (tmp_path / f"{NAME}.partial").stat().st_size == 80_000
    fetch(server, tmp_path)
    assert_whole(tmp_path)
    assert ranges(server)[-1] == "bytes=80000-"


def test_an_output_that_is_no_folder(server, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(RunError, match="taken"):
        fetch(server, tmp_path / "taken")


def test_two_runs_at_once(server, tmp_path):
    with open(tmp_path / f"{NAME}.partial", "ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        refused(server, tmp_path, "another run")
    fetch(server, tmp_path)


def test_bytes_of_unknown_origin_are_not_gone_on_with(server, tmp_path):
    (tmp_path / f"{NAME}.partial").write_bytes(b"unknown")
    (tmp_path / f"{NAME}.partial.json").write_text("[")
    fetch(server, tmp_path)
    assert_whole(tmp_path)
    assert ranges(server) == [None]


def test_a_partial_file_of_another_program_is_kept(server, tmp_path):
    (tmp_path / f"{NAME}.partial").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"\.partial .*another program"):
        fetch(server, tmp_path)
    assert (tmp_path / f"{NAME}.partial").read_bytes() == b"mine"


def test_more_bytes_than_the_file_has_are_not_gone_on_with(server, tmp_path):
    server.faults[f"/{NAME}"] = [dropped(70_000)]
    refused(server, tmp_path, timeout=60, tries=1)
    with open(tmp_path / f"{NAME}.partial", "ab") as file:
        file.write(DATA)
    fetch(server, tmp_path)
    assert_whole(tmp_path)


def test_a_file_of_the_same_name_is_kept(server, tmp_path):
    known = {"release": "2026_03", "md5": hashlib.md5(DATA).hexdigest(), "sha256": "0"}
    (tmp_path / NAME).write_bytes(b"mine")
    for _ in range(2):
        with pytest.raises(UserError, match="exists and is not UniProt's current .*2026_03"):
            fetch(server, tmp_path)
        (tmp_path / f"{NAME}.provenance.json").write_text(json.dumps(known))
    assert (tmp_path / NAME).read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"<html><body>Welcome<br></html>", "not a metalink"),
        (b"<metalink/>", "lacks"),
        (metalink("2026_03", md5="0" * 32, size=1, name="uniprot_trembl.dat.gz"), "lacks"),
        (metalink("", md5="0" * 32, size=1), "lacks"),
        (b"<metalink><version>1</version><size>1</size><hash type='md5'/></metalink>", "lacks"),
        (metalink("2026_03", md5="0" * 31, size=1), "lacks"),
        (metalink("2026_03", md5="0" * 32, size="many"), "lacks"),
    ],
)
def test_metadata_that_say_nothing(server, tmp_path, document, message):
    server.files[f"/{METADATA}"] = document
    refused(server, tmp_path, message, METADATA, "--base_url")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            ["uniref", "--output", "x"],
            "expected swissprot, trembl, or a proteome such as proteome:UP",
        ),
        (["proteome:9606", "--output", "x"], "expected swissprot"),
        (["swissprot", "--output", "x", "--tries", "0"], "above 0"),
        (["swissprot", "--output", "x", "--base_url", "ftp://ftp.uniprot.org"], "not an http"),
        (["swissprot", "--output", "x", "--base_url", "http://a b"], "not an http"),
        (["swissprot", "--output", "x", "--base_url", "http://a:b"], "base_url"),
    ],
)
def test_mistakes_in_the_line(capsys, line, message):
    try:
        code = main(line)
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert message in capsys.readouterr().err
