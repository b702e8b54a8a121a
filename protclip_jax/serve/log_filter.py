"""Limits the server's log to one copy of each message a minute, so that visitors cannot fill it."""

import errno
import logging
import time

QUIET_SECONDS = 60.0
LOGGERS = ("uvicorn.error", "asyncio")
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_SENTENCE = "cannot accept connections (%s); raise the limit of open files (`ulimit -n`)."


class OnceAMinute(logging.Filter):
    """Drops messages already logged within the last minute, whatever their arguments.

    Replaces the traceback of exhausted descriptors with one sentence.
    """

    def __init__(self):
        super().__init__()
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, OSError) and error.errno in _EXHAUSTED:
            record.msg, record.args, record.exc_info = _SENTENCE, (error.strerror,), None
        elif error is not None:
            return True
        now = time.monotonic()
        is_new = now - self._last.get(record.msg, -QUIET_SECONDS) >= QUIET_SECONDS
        if is_new:
            self._last[record.msg] = now
        return is_new


_FILTER = OnceAMinute()


def log_sparingly() -> None:
    """Adds the filter to the loggers of the HTTP server."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_FILTER)
