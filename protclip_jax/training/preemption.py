"""Signals: a training run that is to stop saves first, unless there is nothing to save."""

import os
import select
import signal
import threading
import time
from typing import Self

EXIT_STOPPED = 75
"""Exit code of a run that a signal stopped; run again, it goes on."""


SAME_SECONDS = 1.0
"""Signals this soon after the first are that one: a scheduler may send it to a process more than
once."""


class PreemptionHandler:
    """Within it, a first signal sets `received`, so that the loop saves and ends; a second one ends
    the process at once.

    Until `something_to_save` is set, the first one already ends it at once, with `EXIT_STOPPED`. A
    thread sees to that, as Python's own handlers wait for whatever runs outside of Python: a
    compilation, or a step that waits for another host.

    SIGUSR1 and SIGUSR2 are those that Slurm's `--signal` and submitit send before a time limit,
    SIGHUP comes when a terminal is lost. One that `nohup` has the process ignore stays ignored.
    """

    NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP)

    def __init__(self):
        self.received = False
        self.something_to_save = False

    def __enter__(self) -> Self:
        arrived, self._message = os.pipe()
        os.set_blocking(self._message, False)
        self._told_before = signal.set_wakeup_fd(self._message, warn_on_full_buffer=False)
        ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        self._numbers = [
            number for number in self.NUMBERS if not (number == signal.SIGHUP and ignored)
        ]
        self._handlers_before = {
            number: signal.signal(number, self._receive) for number in self._numbers
        }
        threading.Thread(target=self._watch, args=(arrived,), name="signals", daemon=True).start()
        return self

    def __exit__(self, *exception) -> None:
        for number, handler in self._handlers_before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._told_before)
        os.close(self._message)

    def _receive(self, number, frame) -> None:
        del number, frame
        self.received = True

    def _watch(self, arrived: int) -> None:
        """Reads the number of every signal as it arrives, until the pipe is closed."""
        first = None
        with open(arrived, "rb", buffering=0) as numbers:
            while number := numbers.read(1):
                if number[0] not in self._numbers:
                    continue
                if number[0] == signal.SIGHUP:
                    _silence_lost_terminal()
                name = signal.Signals(number[0]).name
                if first is not None and time.monotonic() - first >= SAME_SECONDS:
                    _end(
                        f"a second signal ({name}) ends the run at once; it goes on from its "
                        "last checkpoint.",
                        128 + number[0],
                    )
                first = first or time.monotonic()
                if not self.something_to_save:
                    _end(
                        f"stopped by {name} before the first step; there was nothing to save.",
                        EXIT_STOPPED,
                    )


def _silence_lost_terminal() -> None:
    """Sends what is still to be printed nowhere if the terminal, or the reader of a pipe, is
    gone: each write would fail."""
    for stream in (1, 2):
        poll = select.poll()
        poll.register(stream, 0)
        if poll.poll(0):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)


def _end(sentence: str, code: int) -> None:
    os.write(2, f"\n{sentence}\n".encode())
    os._exit(code)
