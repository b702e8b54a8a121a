"""UniProt's search service for one proteome, on a local server."""

import gzip

from data_pipelines.download import proteome
from tests.support.file_server import serve

UPID = "UP000005640"
SEARCH = "/uniprotkb/search"


class ProteomeService:
    """Answers like UniProt's search service, in pages of a few entries.

    Attributes:
      entries: the flat-file text of each entry.
      release: the release that the service names.
      faults: what to do instead of an answer, by the first entry of a page, or "ask" for the count.
      server: the `FileServer` that it runs on.
    """

    def __init__(self, server, monkeypatch, entries, page=3):
        monkeypatch.setattr(proteome, "PAGE_ENTRIES", page)
        self.entries, self.release = entries, "2026_03"
        self.server, self.faults = server, {}
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

    def cursors(self):
        return [
            path.partition("cursor=")[2] for path, _ in self.server.seen if "format=txt" in path
        ]
