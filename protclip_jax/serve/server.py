"""The HTTP server: its socket, clients that are too slow, and an end that answers whoever is waiting."""

import asyncio
import signal
import socket

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from data_pipelines.common.errors import UserError
from protclip_jax.serve.limits import Limits

CONNECTIONS = 1024
KEEP_ALIVE_SECONDS = 15


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket of an address, which does not listen yet; raises UserError where it is taken or not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except (OSError, OverflowError) as error:
        bound.close()
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"--host={host} --port={port} cannot be used ({reason}); choose another, --port 0 takes a free one."
        ) from error
    return bound


def impatient_protocol(limits: Limits) -> type[H11Protocol]:
    """HTTP that closes a connection whose request headers do not arrive in time: else they would pile up."""

    class Impatient(H11Protocol):
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport) -> None:
            super().connection_made(transport)
            self._wait()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is not None and not self.cycle.response_complete:
                self._stop_waiting()
            elif self._timer is None:
                self._wait()

        def connection_lost(self, error: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(error)

        def _wait(self) -> None:
            self._timer = self.loop.call_later(limits.header_seconds, self._give_up)

        def _stop_waiting(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _give_up(self) -> None:
            self._timer = None
            if self.cycle is None or self.cycle.response_complete:
                self.transport.close()

    return Impatient


def configured(app, limits: Limits) -> uvicorn.Server:
    """The server of an application, not yet running."""
    config = uvicorn.Config(
        app,
        http=impatient_protocol(limits),
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(limits.seconds) + 5,
    )
    return uvicorn.Server(config)


def run(app, bound: socket.socket, limits: Limits) -> None:
    """Serves until SIGTERM or SIGINT; then takes no more connections and answers the requests that it has."""
    # uvicorn raises the signal again when it has ended, for whoever handled it before.
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        configured(app, limits).run(sockets=[bound])
    finally:
        signal.signal(signal.SIGTERM, before)
