"""The HTTP server: its socket, its limits, and an end that answers whoever is waiting."""

import signal
import socket
from typing import Literal

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from data_pipelines.common.errors import UserError
from protclip_jax.serve import descriptors
from protclip_jax.serve.limits import Limits
from protclip_jax.serve.log_filter import log_sparingly

KEEP_ALIVE_SECONDS = 15
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = [
    ("content-security-policy", CONTENT_SECURITY_POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    ("cache-control", "no-store"),
]
"""What every answer tells browsers."""


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that listens on an address; raises UserError where that is taken or not this
    machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(descriptors.BACKLOG)
    except (OSError, OverflowError) as error:
        bound.close()
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"--host={host} --port={port} cannot be used ({reason}); choose another, --port "
            "0 takes a free one."
        ) from error
    return bound


class BoundedProtocol(H11Protocol):
    """uvicorn's protocol, which also closes a connection above `most`, and one that asks nothing
    within the time that it would be kept alive without a request.

    uvicorn's own `limit_concurrency` answers requests with 503 and leaves connections open that
    send none.
    """

    most = descriptors.CONNECTIONS

    def connection_made(self, transport) -> None:
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()
            return
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )


def bounded_protocol(most: int) -> type[BoundedProtocol]:
    """The protocol of a server with at most so many open connections."""
    return type("BoundedProtocol", (BoundedProtocol,), {"most": most})


def configured(app, limits: Limits, *, lifespan: Literal["on", "off"] = "on") -> uvicorn.Server:
    """The server of an application, not yet running.

    Args:
      lifespan: "off" for an application that has nothing to begin and to end.
    """
    room = descriptors.room_for_connections()
    config = uvicorn.Config(
        app,
        http=bounded_protocol(room.open),
        ws="none",
        loop="asyncio",
        lifespan=lifespan,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        headers=HEADERS,
        limit_concurrency=room.answered,
        backlog=room.backlog,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(limits.seconds) + 5,
    )
    log_sparingly()
    return uvicorn.Server(config)


def run(app, bound: socket.socket, limits: Limits) -> None:
    """Serves until SIGTERM or SIGINT; then takes no more connections and answers the requests
    that it has."""
    # uvicorn raises the signal again when it has ended, for whoever handled it before.
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        configured(app, limits).run(sockets=[bound])
    finally:
        signal.signal(signal.SIGTERM, before)
