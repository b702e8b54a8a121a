"""The HTTP server: its socket, its limits, and a shutdown that answers pending requests."""

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
"""Headers of every answer."""


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that listens on an address.

    Raises:
      UserError: the address is in use or does not belong to this machine.
    """
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
            f"--host={host} --port={port} cannot be used ({reason}); choose another address, or a "
            "free port with --port 0."
        ) from error
    return bound


class BoundedProtocol(H11Protocol):
    """uvicorn's protocol, which also closes excess and silent connections.

    A connection is closed if more than `most` are open, or if it sends no request within the
    keep-alive time. uvicorn's own `limit_concurrency` answers requests with 503, and leaves
    connections open that send none.
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
    """The protocol of a server with at most `most` open connections."""
    return type("BoundedProtocol", (BoundedProtocol,), {"most": most})


def configured(app, limits: Limits, *, lifespan: Literal["on", "off"] = "on") -> uvicorn.Server:
    """Configures the server of an application without starting it.

    Args:
      lifespan: "off" for an application without startup and shutdown.
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
    """Serves until SIGTERM or SIGINT, then stops accepting and answers pending requests."""
    # When it ends, uvicorn raises the signal again for the handler that was there before.
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        configured(app, limits).run(sockets=[bound])
    finally:
        signal.signal(signal.SIGTERM, before)
