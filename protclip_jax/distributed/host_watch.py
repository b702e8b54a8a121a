"""A connection from every host of a run to the first, by which all learn at once that one of them failed or is gone."""

import contextlib
import json
import os
import secrets
import socket
import sys
import threading
import time
from typing import NoReturn

from jax._src import distributed  # What hosts share before they compute together has no public name.

HEARTBEAT_SECONDS = 60
"""A host that hangs, or whose machine lost its power, is given up after so long: JAX itself ends the others then."""

_LATE = f"when one of them is gone, JAX ends the others after {HEARTBEAT_SECONDS} s."
_KEY = "protclip/centre"
_LONGEST_LINE = 1 << 16


def start() -> "_Centre | _Member | _Unwatched":
    """Connects this process, one of several that have joined, with the others."""
    try:
        return _Centre() if distributed.global_state.process_id == 0 else _Member()
    except OSError as error:
        print(f"warning: other hosts are not watched ({error}); {_LATE}", file=sys.stderr)
        return _Unwatched()


def own_name() -> str:
    """This process, for sentences: `process 3 (node7)`."""
    return f"process {distributed.global_state.process_id} ({socket.gethostname()})"


def end(told: str, code: int) -> NoReturn:
    """Ends this process with a sentence, at once: an orderly end would wait for the other hosts, and they for it."""
    tell(told)
    os._exit(code)


def tell(told: str) -> None:
    """Prints why this process ends."""
    print(f"\nerror: {told}", file=sys.stderr, flush=True)


def _gone(name: str) -> dict:
    return {"told": f"{name} is gone; run all hosts again, and they go on from the last checkpoint.", "code": 1}


class _Connection:
    """Messages between two processes, one JSON object a line."""

    def __init__(self, connected: socket.socket):
        self._socket = connected
        self._lines = connected.makefile("r", encoding="utf-8")

    def send(self, message: dict) -> None:
        with contextlib.suppress(OSError):
            self._socket.sendall(f"{json.dumps(message)}\n".encode())

    def receive(self) -> dict | None:
        """Waits for a message; None when the other process is gone, as its system closes the connection."""
        try:
            line = self._lines.readline(_LONGEST_LINE)
            return json.loads(line) if line.endswith("\n") else None
        except (OSError, ValueError):
            return None


class _Centre:
    """Process 0, to which all others hold a connection."""

    def __init__(self):
        dual = socket.has_dualstack_ipv6()
        server = socket.create_server(("", 0), family=socket.AF_INET6 if dual else socket.AF_INET, dualstack_ipv6=dual)
        self._token = secrets.token_hex()
        address = {"port": server.getsockname()[1], "token": self._token}
        distributed.global_state.client.key_value_set(_KEY, json.dumps(address))
        self._members: list[_Connection] = []
        self._ending = threading.Lock()
        threading.Thread(target=self._accept, args=(server,), name="hosts", daemon=True).start()

    def _accept(self, server: socket.socket) -> None:
        while True:
            connection = _Connection(server.accept()[0])
            threading.Thread(target=self._attend, args=(connection,), name="host", daemon=True).start()

    def _attend(self, connection: _Connection) -> None:
        hello = connection.receive()
        if hello is None or hello.get("token") != self._token:
            return
        self._members.append(connection)
        message = connection.receive() or _gone(hello["name"])
        if message["code"]:
            self.end_all(**message)

    def end_all(self, told: str, code: int) -> NoReturn:
        """Ends the processes of all hosts."""
        # Held to the end: the first call counts.
        self._ending.acquire()
        tell(told)
        for member in self._members:
            member.send({"told": told, "code": code})
        # JAX aborts a process that still runs when this one has ended.
        time.sleep(1)
        os._exit(code)

    def leave(self) -> None:
        """Ends without an error; what the others do then is their own affair."""
        for member in self._members:
            member.send({"code": 0})


class _Unwatched:
    """In the place of connections where a network lets none through: JAX's own heartbeat remains."""

    def end_all(self, told: str, code: int) -> NoReturn:
        """Ends this process, for want of which JAX ends the others."""
        end(told, code)

    def leave(self) -> None:
        """Nothing."""


class _Member:
    """Any other process."""

    def __init__(self):
        state = distributed.global_state
        host = state.coordinator_address.rpartition(":")[0].strip("[]")
        centre = json.loads(state.client.blocking_key_value_get(_KEY, 1000 * HEARTBEAT_SECONDS))
        connected = socket.create_connection((host, centre["port"]), timeout=HEARTBEAT_SECONDS)
        connected.settimeout(None)
        self._centre = _Connection(connected)
        self._centre.send({"token": centre["token"], "name": own_name()})
        threading.Thread(target=self._attend, name="hosts", daemon=True).start()

    def _attend(self) -> None:
        message = self._centre.receive() or _gone(f"process 0 ({distributed.global_state.coordinator_address})")
        if message["code"]:
            end(**message)

    def end_all(self, told: str, code: int) -> NoReturn:
        """Ends this process at once, and through process 0 those of all hosts."""
        self._centre.send({"told": told, "code": code})
        end(told, code)

    def leave(self) -> None:
        """Ends without an error."""
        self._centre.send({"code": 0})
