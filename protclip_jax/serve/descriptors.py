"""The number of connections that the limit of open files (`ulimit -n`) allows."""

import os
import resource
from typing import NamedTuple

from data_pipelines.common.errors import UserError

CONNECTIONS, BACKLOG = 1024, 2048
"""The maximum for a server, whatever the limit of open files."""
RESERVED = 64
"""Descriptors reserved for files that the server opens while it runs: the page's, logs, pipes."""
LEAST = 8


class Room(NamedTuple):
    """Limits on a server's connections.

    Attributes:
      answered: maximum of open connections whose requests are answered; requests beyond get 503.
      open: maximum of open connections; further ones are closed without an answer.
      backlog: connections accepted at once, which may briefly exceed `open` by this number.
    """

    answered: int
    open: int
    backlog: int


def room_for_connections() -> Room:
    """The connections that the limit of open files allows.

    Raises:
      UserError: the limit is too low.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = _free_descriptors(limit)
    backlog, answered = min(BACKLOG, free // 4), min(CONNECTIONS, free // 2)
    if answered < LEAST:
        raise UserError(
            f"the limit of {limit} open files leaves no room for connections; raise it to at "
            f"least {limit - free + 4 * LEAST} (`ulimit -n`)."
        )
    return Room(answered, min(2 * answered, free - backlog), backlog)


def _free_descriptors(limit: int) -> int:
    if limit == resource.RLIM_INFINITY:
        return 2 * CONNECTIONS + BACKLOG
    return limit - len(os.listdir("/dev/fd")) - RESERVED
