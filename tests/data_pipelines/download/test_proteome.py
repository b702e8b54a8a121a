import gzip
import json

import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.download import proteome
from data_pipelines.download.__main__ import main
from tests.support.file_server import serve

UPID = "UP000005640"
SEARCH = "/uniprotkb/search"


class Service:
    """UniProt's search service over a few entries in pages of three, on a FileServer."""

    def __init__(self, server, monkeypatch, entries=8):
        monkeypatch.setattr(proteome, "PAGE_ENTRIES", 3)
        self.entries = [f"ID   E{k}\nAC   P{k};\n//\n" for k in range(entries)]
        self.release, self.server, self.faults = "2026_03", server, {}
        server.faults[SEARCH] = [self.answer] * 100

    def answer(self, handler, _):
        query = dict(pair.split("=") for pair in handler.path.partition("?")[2].split("&"))
        assert query["query"] == f"proteome:{UPID}"
        start, size = int(query.get("cursor", "0")), int(query["size"])
        text = "".join(self.entries[start : start + size]).encode()
        body = gzip.compress(text) if query.get("compressed") == "true" else b"P0\n"
        headers = {"X-Total-Results": str(len(self.entries)), "X-UniProt-Release": self.release}
        if start + size < len(self.entries):
            headers["Link"] = (
                f"<https://elsewhere/uniprotkb/search?cursor={start + size}&size={size}>; "
                'rel="next"'
            )
        fault = self.faults.get(("ask" if query["format"] == "list" else start), [])
        (fault.pop(0) if fault else serve)(handler, body, headers=headers)

    def fetch(self, folder):
        return proteome.download_proteome(UPID, folder, self.server.url, timeout=0.3, tries=3)

    def cursors(self):
        return [
            path.partition("cursor=")[2] for path, _ in self.server.seen if "format=txt" in path
        ]

    def assert_whole(self, folder):
        assert gzip.decompress((folder / f"{UPID}.dat.gz").read_bytes()).decode() == "".join(
            self.entries
        )
        known = json.loads((folder / f"{UPID}.dat.gz.provenance.json").read_text())
        assert (known["release"], known["entries"]) == (self.release, len(self.entries))
        assert len(list(folder.iterdir())) == 2


@pytest.fixture
def service(file_server, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    return Service(file_server, monkeypatch)


def test_a_proteome_comes_in_pages(service, tmp_path, capsys):
    line = [f"proteome:{UPID}", "--output", str(tmp_path), "--base_url", service.server.url]
    for _ in range(2):
        assert main(line) == 0
        assert capsys.readouterr().out == f"{tmp_path}/{UPID}.dat.gz\n"
    service.assert_whole(tmp_path)
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
    service.fetch(tmp_path)
    service.assert_whole(tmp_path)
    assert service.cursors() == ["", "3", "3", "3", "6"]


@pytest.mark.parametrize("left", [b"", b"part of a page"])
def test_a_proteome_goes_on_at_the_page_where_it_ended(service, tmp_path, left):
    service.faults = {6: [cut_gzip] * 3}
    with pytest.raises(UserError, match="file ended before.*3 attempts"):
        service.fetch(tmp_path)
    assert not (tmp_path / f"{UPID}.dat.gz").exists()
    with open(tmp_path / f"{UPID}.dat.gz.partial", "ab") as file:
        file.write(left)
    service.server.seen.clear()
    service.fetch(tmp_path)
    service.assert_whole(tmp_path)
    assert service.cursors() == ["6"]


def test_a_proteome_that_lost_noted_bytes_begins_again(service, tmp_path):
    service.faults = {6: [cut_gzip] * 3}
    with pytest.raises(UserError, match="3 attempts"):
        service.fetch(tmp_path)
    with open(tmp_path / f"{UPID}.dat.gz.partial", "ab") as file:
        file.truncate(5)
    service.fetch(tmp_path)
    service.assert_whole(tmp_path)


def test_a_release_that_changes_meanwhile(service, tmp_path):
    def change(handler, data, headers):
        serve(handler, data, headers=headers)
        service.release = "2026_04"

    service.faults = {3: [change]}
    with pytest.raises(UserError, match=r"from release 2026_03 .* to 2026_04"):
        service.fetch(tmp_path)
    assert not (tmp_path / f"{UPID}.dat.gz").exists()
    service.fetch(tmp_path)
    service.assert_whole(tmp_path)


def test_a_proteome_without_entries(service, tmp_path):
    service.entries = []
    with pytest.raises(UserError, match=f"no entries of proteome {UPID}"):
        service.fetch(tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def test_a_service_that_does_not_count(service, tmp_path):
    service.faults = {"ask": [lambda handler, data, headers: serve(handler, data)]}
    with pytest.raises(UserError, match="X-Total-Results"):
        service.fetch(tmp_path)
