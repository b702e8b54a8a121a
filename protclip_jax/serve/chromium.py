"""Controls a headless Chromium through a pipe with the DevTools protocol."""

import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import BinaryIO

from data_pipelines.common.errors import RunError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WAIT_SECONDS = 300.0
_ARGUMENTS = (
    "--headless",
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
_WITH_PIPES = """
import fcntl, os, sys
above = [fcntl.fcntl(int(pipe), fcntl.F_DUPFD, 10) for pipe in sys.argv[1:3]]
for number, pipe in zip((3, 4), above):
    os.dup2(pipe, number)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Starts a browser with the pipes on descriptors 3 and 4, where the protocol expects them."""


def find_chromium() -> str | None:
    """The path of an installed Chromium or Chrome; None if there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Chromium:
    """An open page of a browser; `opened` starts one."""

    def __init__(self, commands: BinaryIO, answers: BinaryIO):
        self._commands, self._answers = commands, answers
        self._numbers, self._session = itertools.count(1), None
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]

    def screen(self, width: int, height: int, *, is_phone: bool, scheme: str) -> None:
        """Sets the screen: its size in pixels, phone or desktop, and `light` or `dark` colours."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone}
        self._call("Emulation.setDeviceMetricsOverride", **size)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self._call("Emulation.setEmulatedMedia", features=[feature])

    def open(self, address: str) -> None:
        """Opens an address, even if it differs from the current one only after '#'."""
        self._call("Page.navigate", url="about:blank")
        self._call("Page.navigate", url=address)

    def evaluate(self, expression: str) -> object:
        """The value of an expression in the page; None if it fails."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> object:
        """The value of an expression once it is true; raises RunError on a timeout."""
        end = time.monotonic() + WAIT_SECONDS
        while not (value := self.evaluate(expression)):
            if time.monotonic() > end:
                raise RunError(
                    f"Chromium did not show {expression} within {WAIT_SECONDS:.0f} s; open the "
                    "page in a browser to see why."
                )
            time.sleep(0.1)
        return value

    def screen_shot(self) -> bytes:
        """The visible part of the page, as PNG."""
        return base64.b64decode(self._call("Page.captureScreenshot")["data"])

    def whole_page(self) -> bytes:
        """The whole page, including what needs scrolling, as PNG."""
        size = self._call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self._call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    def _call(self, method: str, **parameters: object) -> dict:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._commands.write(json.dumps(message).encode() + b"\0")
        self._commands.flush()
        for answer in self._messages():
            if answer.get("id") == number and "result" in answer:
                return answer["result"]
            if answer.get("id") == number:
                raise RunError(f"Chromium refused {method}: {answer['error']['message']}.")
        raise RunError("Chromium stopped unexpectedly; run it in a terminal to see why.")

    def _messages(self) -> Iterator[dict]:
        """Yields the browser's messages until it ends."""
        received = b""
        while byte := self._answers.read(1):
            if byte != b"\0":
                received += byte
                continue
            yield json.loads(received)
            received = b""


@contextlib.contextmanager
def opened(path: str) -> Iterator[Chromium]:
    """Starts a browser with an empty profile; it ends with the context."""
    (read_commands, commands), (answers, write_answers) = os.pipe(), os.pipe()
    pipes = (str(read_commands), str(write_answers))
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = [*_ARGUMENTS, *root, f"--user-data-dir={profile}"]
        process = subprocess.Popen(
            [sys.executable, "-c", _WITH_PIPES, *pipes, path, *options],
            pass_fds=(read_commands, write_answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read_commands)
        os.close(write_answers)
        with open(commands, "wb") as writing, open(answers, "rb") as reading:
            try:
                yield Chromium(writing, reading)
            finally:
                process.terminate()
                process.wait()
