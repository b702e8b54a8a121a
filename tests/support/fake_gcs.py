"""An emulator of Google Cloud Storage's JSON API in memory, as far as gcsfs, TensorStore and Orbax
speak it; stdlib only.

It serves from threads of the test's process, whatever processes the test starts; the test looks
into `objects`, and makes requests fail through `fault`.
"""

import base64
import contextlib
import datetime
import hashlib
import http.server
import itertools
import json
import re
import sys
import threading
import urllib.parse
from typing import NamedTuple


class Stored(NamedTuple):
    """An object."""

    content: bytes
    generation: int
    updated: str


class FakeGCS:
    """A server of the named buckets; a context manager. `environment` is what processes need to
    find it.

    Attributes:
      objects: the objects by their `bucket/name`.
      fault: a function of the method and the path with its query, called before each request is
        answered; what it returns, if anything, is the status that is answered instead.
      requests: the method and path of each request.
    """

    def __init__(self, *buckets):
        self.buckets, self.objects, self.requests = set(buckets), {}, []
        self.fault = lambda method, path: None
        self.lock = threading.RLock()
        self._generations, self._sessions = itertools.count(1_000_000), {}

    def __enter__(self):
        handler = type("Handler", (_Handler,), {"store": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exception):
        self._server.shutdown()
        self._server.server_close()

    @property
    def environment(self):
        url = f"http://127.0.0.1:{self._server.server_port}"
        without_credentials = {"GOOGLE_AUTH_TOKEN_FOR_TESTING": "none", "NO_GCE_CHECK": "true"}
        return {
            "STORAGE_EMULATOR_HOST": url,
            "TENSORSTORE_GCS_HTTP_URL": url,
            **without_credentials,
        }

    def names(self, prefix=""):
        """The sorted `bucket/name` of the objects that begin so."""
        with self.lock:
            return sorted(name for name in self.objects if name.startswith(prefix))

    def put(self, name, content):
        """Stores an object under its `bucket/name`."""
        with self.lock:
            now = datetime.datetime.now(datetime.UTC).isoformat().replace("+00:00", "Z")
            self.objects[name] = stored = Stored(bytes(content), next(self._generations), now)
            return stored

    def begin_session(self, name, query):
        """A resumable upload; its id."""
        session = f"session-{next(self._generations)}"
        self._sessions[session] = (name, query, bytearray())
        return session

    def session(self, session):
        """The name, query and content so far of a resumable upload."""
        return self._sessions[session]


class _Refused(Exception):
    pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that is killed says nothing of it."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    store: FakeGCS
    protocol_version = "HTTP/1.1"
    # Small answers must not wait for the client's acknowledgement of their header.
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, *arguments):
        pass

    def answer(self, status, body=b"", **headers):
        body = json.dumps(body).encode() if isinstance(body, dict) else body
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def handle_request(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.store.requests.append((self.command, self.path))
        try:
            if status := self.store.fault(self.command, self.path):
                raise _Refused(status)
            self.route(body)
        except _Refused as refused:
            status = refused.args[0]
            self.answer(
                status,
                {"error": {"code": status, "message": f"refused with {status}"}},
                Content_Type="application/json",
            )
        except ConnectionError:
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = handle_request

    def route(self, body):
        path, _, text = self.path.partition("?")
        query = dict(urllib.parse.parse_qsl(text))
        if path == "/batch/storage/v1":
            return self.batch(body)
        if match := re.fullmatch(r"/session/([\w-]+)", path):
            return self.upload_part(match[1], body)
        match = re.fullmatch(
            r"/(?:(upload|download)/)?storage/v1/b/([^/]+)(?:/o(?:/([^/]+))?)?"
            r"(/rewriteTo/b/([^/]+)/o/([^/]+)|/moveTo/o/([^/]+))?",
            path,
        )
        if not match:
            raise _Refused(404)
        kind, bucket, name, rewritten, *target, moved = match.groups()
        if bucket not in self.store.buckets:
            raise _Refused(404)
        full = f"{bucket}/{urllib.parse.unquote(name)}" if name else None
        if kind == "upload":
            return self.upload(bucket, query, body)
        if moved:
            return self.move(full, f"{bucket}/{urllib.parse.unquote(moved)}")
        if rewritten:
            return self.rewrite(full, "/".join(map(urllib.parse.unquote, target)))
        if name is None:
            return (
                self.listing(bucket, query)
                if path.endswith("/o")
                else self.answer(200, {"name": bucket, "id": bucket})
            )
        return self.object(full, query, media=kind == "download" or query.get("alt") == "media")

    def object(self, name, query, *, media):
        with self.store.lock:
            stored = self.found(name)
            self.check(name, query)
            if self.command == "DELETE":
                del self.store.objects[name]
                return self.answer(204)
        if not media:
            return self.answer(200, describe(name, stored), Content_Type="application/json")
        shown = {
            "x-goog-generation": stored.generation,
            "ETag": str(stored.generation),
            "Content_Type": "application/octet-stream",
        }
        if asked := re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range") or ""):
            size = len(stored.content)
            first = int(asked[1]) if asked[1] else max(0, size - int(asked[2]))
            last = min(size - 1, int(asked[2])) if asked[1] and asked[2] else size - 1
            if first > last:
                raise _Refused(416)
            part = stored.content[first : last + 1]
            return self.answer(206, part, Content_Range=f"bytes {first}-{last}/{size}", **shown)
        return self.answer(200, stored.content, **shown)

    def found(self, name):
        try:
            return self.store.objects[name]
        except KeyError:
            raise _Refused(404) from None

    def check(self, name, query):
        """Generation 0 stands for an object that is not there."""
        now = self.store.objects[name].generation if name in self.store.objects else 0
        if "ifGenerationMatch" in query and int(query["ifGenerationMatch"]) != now:
            raise _Refused(412)
        if "ifGenerationNotMatch" in query and int(query["ifGenerationNotMatch"]) == now:
            raise _Refused(304)

    def save(self, name, query, content):
        with self.store.lock:
            self.check(name, query)
            stored = self.store.put(name, content)
        self.answer(200, describe(name, stored), Content_Type="application/json")

    def upload(self, bucket, query, body):
        kind, name = query["uploadType"], query.get("name")
        if kind == "media":
            return self.save(f"{bucket}/{name}", query, body)
        if kind == "multipart":
            # Metadata and content, each below a header of its own, which a blank line ends.
            boundary = re.search(r"boundary=['\"]?([^'\";]+)", self.headers["Content-Type"])[
                1
            ].encode()
            _, metadata, content, _ = re.split(rb"(?:\r?\n)?--" + re.escape(boundary), body)
            metadata, content = (
                re.split(rb"\r?\n\r?\n", part, maxsplit=1)[1] for part in (metadata, content)
            )
            return self.save(f"{bucket}/{name or json.loads(metadata)['name']}", query, content)
        name = name or json.loads(body or b"{}")["name"]
        session = self.store.begin_session(f"{bucket}/{name}", query)
        self.answer(200, Location=f"http://{self.headers['Host']}/session/{session}")

    def upload_part(self, session, body):
        name, query, content = self.store.session(session)
        placed = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", self.headers["Content-Range"])
        if placed[1]:
            content[int(placed[1]) :] = body
        if placed[3] == "*" or len(content) < int(placed[3]):
            return self.answer(308, Range=f"bytes=0-{len(content) - 1}")
        self.save(name, query, content)

    def rewrite(self, source, target):
        with self.store.lock:
            stored = self.store.put(target, self.found(source).content)
        self.answer(
            200,
            {"done": True, "resource": describe(target, stored)},
            Content_Type="application/json",
        )

    def move(self, source, target):
        with self.store.lock:
            stored = self.store.put(target, self.found(source).content)
            del self.store.objects[source]
        self.answer(200, describe(target, stored), Content_Type="application/json")

    def listing(self, bucket, query):
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter")
        first, end = query.get("startOffset", ""), query.get("endOffset")
        items, folders = [], set()
        with self.store.lock:
            for full in self.store.names(f"{bucket}/{prefix}"):
                name = full.removeprefix(f"{bucket}/")
                if name < first or (end and name >= end):
                    continue
                head, found, _ = (
                    name[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
                )
                if found:
                    folders.add(prefix + head + delimiter)
                else:
                    items.append(describe(full, self.store.objects[full]))
        start = int(query.get("pageToken", 0))
        stop = start + int(query.get("maxResults", 1000))
        page = {"items": items[start:stop], "prefixes": sorted(folders) if start == 0 else []}
        more = {"nextPageToken": str(stop)} if stop < len(items) else {}
        self.answer(
            200, {"kind": "storage#objects", **page, **more}, Content_Type="application/json"
        )

    def batch(self, body):
        boundary = re.search(r"boundary=['\"]?([^'\";]+)", self.headers["Content-Type"])[1]
        answers = []
        for part in body.decode().split(f"--{boundary}"):
            if asked := re.search(r"DELETE /storage/v1/b/([^/]+)/o/([^/? ]+)", part):
                name = "/".join(map(urllib.parse.unquote, asked.groups()))
                with self.store.lock, contextlib.suppress(KeyError):
                    del self.store.objects[name]
                number = re.search(r"Content-ID: <?([^>\r\n]+)>?", part)
                answers.append(
                    "--batch_out\r\nContent-Type: application/http\r\n"
                    f"Content-ID: <response-{number[1] if number else 0}>\r\n\r\n"
                    "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n\r\n"
                )
        text = "".join(answers) + "--batch_out--\r\n"
        self.answer(200, text.encode(), Content_Type="multipart/mixed; boundary=batch_out")


def describe(full, stored):
    """An object's metadata as the API gives them."""
    bucket, _, name = full.partition("/")
    return {
        "kind": "storage#object",
        "bucket": bucket,
        "name": name,
        "id": f"{full}/{stored.generation}",
        "size": str(len(stored.content)),
        "generation": str(stored.generation),
        "metageneration": "1",
        "updated": stored.updated,
        "timeCreated": stored.updated,
        "md5Hash": base64.b64encode(
            hashlib.md5(stored.content, usedforsecurity=False).digest()
        ).decode(),
        "etag": str(stored.generation),
        "contentType": "application/octet-stream",
        "storageClass": "STANDARD",
    }
