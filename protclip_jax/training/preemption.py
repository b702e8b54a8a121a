"""SIGTERM and SIGINT: a training run that is told to stop saves first, unless there is nothing to save."""

import os
import signal
import threading
from typing import Self

EXIT_STOPPED = 75
"""Exit code of a run that a signal stopped; run again, it goes on."""


class PreemptionHandler:
    """Within it, a first SIGTERM or SIGINT sets `received`, so that the loop saves and ends; a second ends the process at once.

    Until `something_to_save` is set, the first one already ends it at once, with `EXIT_STOPPED`. A thread sees to that, as
    Python's own handlers wait for whatever runs outside of Python: a compilation, or a step that waits for another host.
    """

    NUMBERS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self):
        self.received = False
        self.something_to_save = False

    def __enter__(self) -> Self:
        arrived, self._message = os.pipe()
        os.set_blocking(self._message, False)
        self._told_before = signal.set_wakeup_fd(self._message, warn_on_full_buffer=False)
        self._handlers_before = {number: signal.signal(number, self._receive) for number in self.NUMBERS}
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
        requests = 0
        with open(arrived, "rb", buffering=0) as numbers:
            while number := numbers.read(1):
                requests += number[0] in self.NUMBERS
                name = signal.Signals(number[0]).name
                if requests == 2:
                    _end(
                        f"a second signal ({name}) ends the run at once; it goes on from its last checkpoint.", 128 + number[0]
                    )
                if requests == 1 and not self.something_to_save:
                    _end(f"stopped by {name} before the first step; there was nothing to save.", EXIT_STOPPED)


def _end(sentence: str, code: int) -> None:
    os.write(2, f"\n{sentence}\n".encode())
    os._exit(code)
