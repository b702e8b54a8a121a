import gzip
import json

import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.download import proteome
from data_pipelines.download.__main__ import main
from tests.support.file_server import serve
from tests.support.proteome_service import UPID, ProteomeService


def fetch(service, folder):
    return proteome.download_proteome(UPID, folder, service.server.url, timeout=0.3, tries=3)


def assert_whole(service, folder):
    target = folder / f"{UPID}.dat.gz"
    assert gzip.decompress(target.read_bytes()).decode() == "".join(service.entries)
    known = json.loads((folder / f"{UPID}.dat.gz.provenance.json").read_text())
    assert (known["release"], known["entries"]) == (service.release, len(service.entries))
    assert len(list(folder.iterdir())) == 2


@pytest.fixture
def service(file_server, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    entries = [f"ID   E{k}\nAC   P{k};\n//\n" for k in range(8)]
    return ProteomeService(file_server, monkeypatch, entries)


def test_a_proteome_comes_in_pages(service, tmp_path, capsys):
    line = [f"proteome:{UPID}", "--output", str(tmp_path), "--base_url", service.server.url]
    for _ in range(2):
        assert main(line) == 0
        assert capsys.readouterr().out == f"{tmp_path}/{UPID}.dat.gz\n"
    assert_whole(service, tmp_path)
    assert service.cursors() == ["", "3", "6"]


def cut_gzip(handler, data, headers):
    serve(handler, data[:-9], headers=headers)


def error_page(handler, data, headers):
    serve(
        handler,
        gzip.compress(b"Error encountered when streaming data. Please try again later."),
        headers=headers,
    )


def two_entries(handler, data, headers):
    serve(handler, gzip.compress(b"ID\n//\nID\n//\n"), headers=headers)


def broken(handler, data, headers):
    serve(handler, data, sent=9, headers=headers)


@pytest.mark.parametrize("fault", [cut_gzip, error_page, two_entries, broken])
def test_a_page_that_is_not_whole_is_asked_for_again(service, tmp_path, fault):
    service.faults = {3: [fault] * 2}
    fetch(service, tmp_path)
    assert_whole(service, tmp_path)
    assert service.cursors() == ["", "3", "3", "3", "6"]


@pytest.mark.parametrize("left", [b"", b"part of a page"])
def test_a_proteome_goes_on_at_the_page_where_it_ended(service, tmp_path, left):
    service.faults = {6: [cut_gzip] * 3}
    with pytest.raises(UserError, match="file ended before.*3 attempts"):
        fetch(service, tmp_path)
    assert not (tmp_path / f"{UPID}.dat.gz").exists()
    with open(tmp_path / f"{UPID}.dat.gz.partial", "ab") as file:
        file.write(left)
    service.server.seen.clear()
    fetch(service, tmp_path)
    assert_whole(service, tmp_path)
    assert service.cursors() == ["6"]


def test_a_proteome_that_lost_noted_bytes_begins_again(service, tmp_path):
    service.faults = {6: [cut_gzip] * 3}
    with pytest.raises(UserError, match="3 attempts"):
        fetch(service, tmp_path)
    with open(tmp_path / f"{UPID}.dat.gz.partial", "ab") as file:
        file.truncate(5)
    fetch(service, tmp_path)
    assert_whole(service, tmp_path)


def test_a_release_that_changes_meanwhile(service, tmp_path):
    def change(handler, data, headers):
        serve(handler, data, headers=headers)
        service.release = "2026_04"

    service.faults = {3: [change]}
    with pytest.raises(UserError, match=r"from release 2026_03 .* to 2026_04"):
        fetch(service, tmp_path)
    assert not (tmp_path / f"{UPID}.dat.gz").exists()
    fetch(service, tmp_path)
    assert_whole(service, tmp_path)


def test_a_proteome_without_entries(service, tmp_path):
    service.entries = []
    with pytest.raises(UserError, match=f"no entries of proteome {UPID}"):
        fetch(service, tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def test_a_service_that_does_not_count(service, tmp_path):
    service.faults = {"ask": [lambda handler, data, headers: serve(handler, data)]}
    with pytest.raises(UserError, match="X-Total-Results"):
        fetch(service, tmp_path)
