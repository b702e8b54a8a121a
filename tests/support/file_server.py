"""A local HTTP server of files that knows ranges and can be told to fail."""

import contextlib
import http.server
import threading
from urllib.parse import urlsplit


class FileServer(http.server.ThreadingHTTPServer):
    """Serves `files` (path → bytes). `faults[path]` lists what to do instead, once each; `seen` are
    the requests.

    A fault is a function of the request handler and the file's bytes (None = no such file).
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.faults, self.tags, self.seen = {}, {}, {}, []
        self.stopped = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        """Clients that hang up are part of the tests."""


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = urlsplit(self.path).path
        self.server.seen.append((self.path, dict(self.headers)))
        faults = self.server.faults.get(path, [])
        (faults.pop(0) if faults else serve)(self, self.server.files.get(path))

    def log_message(self, *args):
        """Says nothing."""


def serve(handler, data, *, sent=None, ranges=True, length=True, headers=()):
    """The file or the asked part of it; the connection ends after `sent` bytes."""
    if data is None:
        return status(404)(handler, data)
    tag = handler.server.tags.get(urlsplit(handler.path).path, '"1"')
    asked = (
        handler.headers.get("Range")
        if ranges and handler.headers.get("If-Range") in (None, tag)
        else None
    )
    start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
    if start and start >= len(data):
        return status(416)(handler, data)
    handler.send_response(206 if asked else 200)
    if asked:
        handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
    if length:
        handler.send_header("Content-Length", str(len(data) - start))
    for name, value in {"ETag": tag, **dict(headers)}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(data[start:] if sent is None else data[start : start + sent])


def status(code, **headers):
    def answer(handler, data):
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def dropped(sent):
    return lambda handler, data: serve(handler, data, sent=sent)


def without_ranges(handler, data):
    serve(handler, data, ranges=False)


def silent(handler, data):
    """Says nothing until the test ends."""
    handler.server.stopped.wait(10)


@contextlib.contextmanager
def running():
    server = FileServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.stopped.set()
        server.shutdown()
        thread.join()
        server.server_close()
