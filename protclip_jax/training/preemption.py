"""Signal handling: a training run saves before it stops, unless there is nothing to save."""

import os
import select
import signal
import threading
import time
from typing import Self

EXIT_STOPPED = 75
"""Exit code of a run stopped by a signal; rerunning the command resumes it."""


SAME_SECONDS = 1.0
"""Signals within this time after the first count as the same signal, because a scheduler may send
it to a process more than once."""


class PreemptionHandler:
    """Lets the first signal stop the run after a save, and a second one at once.

    The first signal sets `received`, on which the training loop saves and ends. Until
    `something_to_save` is set, the first signal ends the process at once, with `EXIT_STOPPED`. A
    thread does this, because Python's signal handlers wait for native code, such as a compilation
    or a step that waits for another host.

    Slurm's `--signal` and submitit send SIGUSR1 or SIGUSR2 before a time limit; SIGHUP arrives when
    the terminal is lost. SIGHUP stays ignored under `nohup`.
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
        """Reads the number of each signal as it arrives, until the pipe is closed."""
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
                        f"a second signal ({name}) ended the run at once; rerun the command to "
                        "continue from its last checkpoint.",
                        128 + number[0],
                    )
                first = first or time.monotonic()
                if not self.something_to_save:
                    _end(
                        f"stopped by {name} before the first step, with nothing to save.",
                        EXIT_STOPPED,
                    )


def _silence_lost_terminal() -> None:
    """Redirects output to /dev/null if the terminal, or a pipe's reader, is gone.

    Every write would fail otherwise.
    """
    for stream in (1, 2):
        poll = select.poll()
        poll.register(stream, 0)
        if poll.poll(0):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)


def _end(sentence: str, code: int) -> None:
    os.write(2, f"\n{sentence}\n".encode())
    os._exit(code)
