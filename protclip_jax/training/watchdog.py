"""A watchdog that reports a stalled run, with the stacks of all threads and worker processes."""

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
    """Reports on stderr each phase that takes more than `seconds`, and again every `seconds`.

    0 turns it off. It never ends the run: the cause may be a slow file system, and the operator
    decides what to do.
    """

    def __init__(self, seconds: float):
        self._seconds = seconds
        self._phase, self._since = "start-up", time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def beat(self, phase: str) -> None:
        """Records that a phase of the loop begins."""
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
    """Writes a message and the stacks of all threads to stderr; worker processes add their own."""
    workers = multiprocessing.active_children()
    processes = ", ".join(str(worker.pid) for worker in workers)
    message = f"; worker processes: {processes}" if workers else ""
    print(f"warning: {what}{message}; the stacks follow.", file=sys.stderr, flush=True)
    faulthandler.dump_traceback(file=sys.stderr)
    for worker in workers:
        if _tells_its_stack(worker.pid):
            os.kill(worker.pid, signal.SIGUSR1)


def _tells_its_stack(process: int) -> bool:
    """Whether the process handles SIGUSR1; otherwise the signal would kill it.

    `data_pipelines.common.processes.follow_parent` installs the handler.
    """
    try:
        status = pathlib.Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGUSR1 - 1) & 1)
