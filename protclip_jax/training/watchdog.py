"""A watchdog: tells when a run stands still, with the stacks of all threads and of the worker
processes."""

import faulthandler
import multiprocessing
import os
import pathlib
import signal
import sys
import threading
import time
from typing import Self


class Watchdog:
    """Within it, a phase of more than `seconds` is reported on stderr, again every `seconds`; 0
    reports nothing.

    It never ends the run: what stands still may be a slow file system, and what to do is the
    operator's choice.
    """

    def __init__(self, seconds: float):
        self._seconds = seconds
        self._phase, self._since = "start-up", time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def beat(self, phase: str) -> None:
        """A phase of the loop begins."""
        self._phase, self._since = phase, time.monotonic()

    def __enter__(self) -> Self:
        if self._seconds:
            self._thread.start()
        return self

    def __exit__(self, *exception) -> None:
        self._ended.set()
        if self._seconds:
            self._thread.join()

    def _watch(self) -> None:
        reported = self._since
        while not self._ended.wait(self._seconds / 4):
            phase, since, now = self._phase, self._since, time.monotonic()
            if now - max(since, reported) >= self._seconds:
                reported = now
                report(f"no progress for {now - since:.0f} s in {phase}")


def report(what: str) -> None:
    """Writes a sentence and the stacks of all threads to stderr; worker processes add their own."""
    workers = multiprocessing.active_children()
    message = (
        f"; worker processes: {', '.join(str(worker.pid) for worker in workers)}" if workers else ""
    )
    print(f"warning: {what}{message}; the stacks follow.", file=sys.stderr, flush=True)
    faulthandler.dump_traceback(file=sys.stderr)
    for worker in workers:
        if _tells_its_stack(worker.pid):
            os.kill(worker.pid, signal.SIGUSR1)


def _tells_its_stack(process: int) -> bool:
    """Whether SIGUSR1 is caught there, as `data_pipelines.common.processes.follow_parent`
    arranges; uncaught it would kill."""
    try:
        status = pathlib.Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGUSR1 - 1) & 1)
