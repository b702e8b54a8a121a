"""The hosts of one run: they find each other, and all end when one of them fails or is gone, each naming it."""

import contextlib
import json
import os
import secrets
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from typing import NoReturn

import jax
from jax._src import distributed  # What hosts share before they compute together has no public name.

from data_pipelines.errors import RunError, UserError

CLUSTER_VARIABLES = {"JAX_COORDINATOR_ADDRESS", "COORDINATOR_ADDRESS", "TPU_WORKER_HOSTNAMES", "SLURM_JOB_NUM_NODES"}
"""Environment variables of which at least one is set where JAX finds its other hosts by itself."""

HEARTBEAT_SECONDS = 60
"""A host that hangs, or whose machine lost its power, is given up after so long: JAX itself ends the others then."""

_LATE = f"when one of them is gone, JAX ends the others after {HEARTBEAT_SECONDS} s."
_KEY = "protclip/centre"
_LONGEST_LINE = 1 << 16


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Within it, this process is one of the hosts of a run, if the environment names a cluster; they end together.

    An exception that leaves it ends the processes of all hosts, with 2 as the exit code for a `UserError` and else 1, and so
    does the end of any process, with 1. The last line on stderr of each is one sentence that names the first to fail.
    On hosts that JAX does not know how to ask, JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID say it all.

    Raises:
      UserError: one of the two numbers is none.
    """
    if not os.environ.keys() & CLUSTER_VARIABLES:
        yield
        return
    # JAX's own handler of SIGTERM would take the place of the run's.
    jax.config.update("jax_enable_preemption_service", False)
    jax.distributed.initialize(
        num_processes=_number_in_environment("JAX_NUM_PROCESSES"),
        process_id=_number_in_environment("JAX_PROCESS_ID"),
        heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
    )
    try:
        others = _Centre() if distributed.global_state.process_id == 0 else _Member()
    except OSError as error:
        print(f"warning: other hosts are not watched ({error}); {_LATE}", file=sys.stderr)
        others = _Unwatched()
    try:
        yield
    except Exception as error:
        told = str(error)
        if not isinstance(error, UserError | RunError):
            traceback.print_exc()
            told = f"{type(error).__name__}: {error}"
            # An exchange that broke has its cause in another host, which by then is known to be gone.
            time.sleep(1)
        others.end_all(f"{_name()} failed: {' '.join(told.split())}", code=2 if isinstance(error, UserError) else 1)
    others.leave()


def _number_in_environment(name: str) -> int | None:
    text = os.environ.get(name)
    if text is not None and not text.isdecimal():
        raise UserError(f"{name}={text} is no number; set it to one, or unset it.")
    return None if text is None else int(text)


def _name() -> str:
    return f"process {distributed.global_state.process_id} ({socket.gethostname()})"


def _gone(name: str) -> dict:
    return {"told": f"{name} is gone; run all hosts again, and they go on from the last checkpoint.", "code": 1}


def _end(told: str, code: int) -> NoReturn:
    print(f"\nerror: {told}", file=sys.stderr, flush=True)
    os._exit(code)


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
        for member in self._members:
            member.send({"told": told, "code": code})
        # JAX aborts a process that still runs when this one has ended.
        time.sleep(1)
        _end(told, code)

    def leave(self) -> None:
        """Ends without an error; what the others do then is their own affair."""
        for member in self._members:
            member.send({"code": 0})


class _Unwatched:
    """In the place of connections where a network lets none through: JAX's own heartbeat remains."""

    def end_all(self, told: str, code: int) -> NoReturn:
        """Ends this process, for want of which JAX ends the others. An orderly end would wait for them, and they for it."""
        _end(told, code)

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
        self._centre.send({"token": centre["token"], "name": _name()})
        self._thread = threading.Thread(target=self._attend, name="hosts", daemon=True)
        self._thread.start()

    def _attend(self) -> None:
        message = self._centre.receive() or _gone(f"process 0 ({distributed.global_state.coordinator_address})")
        if message["code"]:
            _end(**message)

    def end_all(self, told: str, code: int) -> NoReturn:
        """Ends the processes of all hosts, or this one where process 0 is not there to do so."""
        self._centre.send({"told": told, "code": code})
        self._thread.join(HEARTBEAT_SECONDS)
        _end(told, code)

    def leave(self) -> None:
        """Ends without an error."""
        self._centre.send({"code": 0})
