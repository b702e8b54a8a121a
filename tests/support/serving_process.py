"""The serve command as a process, and requests to it."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import NamedTuple

from tests.support.compilation import QUICK_COMPILATION
from tests.support.paths import ROOT

"""A tiny model is compiled far longer than it runs."""
START_SECONDS = 120


class Response(NamedTuple):
    """What a server answered."""

    status: int
    headers: Message
    body: str

    def json(self) -> dict:
        return json.loads(self.body)


def response_of(request: str | urllib.request.Request, *, timeout: float = 60) -> Response:
    """The answer to a request, whatever its status."""
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return Response(answer.status, answer.headers, answer.read().decode())
    except urllib.error.HTTPError as error:
        return Response(error.code, error.headers, error.read().decode())


class Server(NamedTuple):
    """A running server: its process, its address without the token, and the token."""

    process: subprocess.Popen
    address: str
    token: str

    def ask(self, path: str, body: dict | None = None, *, timeout: float = 60) -> tuple[int, dict]:
        """Status and answer of a request."""
        request = urllib.request.Request(self.address + path.removeprefix("/"))
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        response = response_of(request, timeout=timeout)
        return response.status, response.json()

    def resident_mib(self) -> float:
        """Memory of the process."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


@contextlib.contextmanager
def serving(*arguments: str, log: Path, xla_flags: str = QUICK_COMPILATION) -> Iterator[Server]:
    """`python -m protclip_jax.serve` on a free port; killed at the end if it has not ended."""
    command = [sys.executable, "-m", "protclip_jax.serve", "--port", "0", *map(str, arguments)]
    with open(log, "w") as file:
        process = subprocess.Popen(
            command, cwd=ROOT, stderr=file, env=os.environ | {"XLA_FLAGS": xla_flags}
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not (found := re.search(r"serving on (\S+/)(?:#token=(\S+))?", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield Server(process, found[1], urllib.parse.unquote(found[2] or ""))
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
