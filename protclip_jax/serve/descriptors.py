"""How many connections the limit of open files (`ulimit -n`) leaves room for."""

import os
import resource
from typing import NamedTuple

from data_pipelines.common.errors import UserError

CONNECTIONS, BACKLOG = 1024, 2048
"""The most that a server takes, however many files it may open."""
RESERVED = 64
"""Descriptors for what is opened while the server runs: files of the page, logs, pipes."""
LEAST = 8


class Room(NamedTuple):
    """Connections of a server.

    Attributes:
      answered: open at once; requests of one more get 503.
      open: open at once; one more is closed without an answer.
      backlog: accepted at once, which may come on top of `open` for a moment.
    """

    answered: int
    open: int
    backlog: int


def room_for_connections() -> Room:
    """What the limit of open files leaves.

    Raises:
      UserError: it leaves next to nothing.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = _free_descriptors(limit)
    backlog, answered = min(BACKLOG, free // 4), min(CONNECTIONS, free // 2)
    if answered < LEAST:
        raise UserError(
            f"the limit of open files, {limit}, leaves no room for connections; raise it to at "
            f"least {limit - free + 4 * LEAST} (`ulimit -n`)."
        )
    return Room(answered, min(2 * answered, free - backlog), backlog)


def _free_descriptors(limit: int) -> int:
    if limit == resource.RLIM_INFINITY:
        return 2 * CONNECTIONS + BACKLOG
    return limit - len(os.listdir("/dev/fd")) - RESERVED
