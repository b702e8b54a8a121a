"""The hosts of a run: joins them through JAX, and checks that they were started alike.

A host that fails exits at once with its own exit code; JAX's heartbeats end the others.
"""

import contextlib
import functools
import hashlib
import json
import os
import reprlib
import socket
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Collection, Iterator, Mapping
from typing import NoReturn

import jax
import numpy as np
from jax.experimental import multihost_utils

from data_pipelines.common.errors import RunError, UserError, one_line

JOIN_SECONDS = 180
"""Seconds after which a host stops waiting for others to join."""

NOTE_SECONDS = 15
"""Seconds after which a waiting host says so."""

HEARTBEAT_SECONDS = 60
"""Seconds without a heartbeat after which JAX ends the other hosts."""

FAREWELL_SECONDS = 2
"""Seconds that process 0 stays alive after a failure. JAX aborts the others as soon as it is gone,
and some of them may be about to exit with an error message of their own."""

COORDINATES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
"""Environment variables that describe the cluster if JAX cannot detect it."""

_NO_CLUSTER = "coordinator_address should be defined"
"""Part of the error from `jax.distributed.initialize` if it detects no cluster."""

_TOO_LATE = "must be called before any JAX calls"
"""Part of its error if devices are in use already, as in a notebook or a second training run."""

_FIRST_SPECIAL_STEP = 0xFFFFFFF0
"""Slurm step ids from here on are batch scripts and interactive shells, not tasks of `srun`."""


class HostsDiffer(UserError):
    """The hosts of a run were started differently; all of them raise it with the same message."""


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Makes this process a host of the run if JAX detects a cluster; otherwise it runs alone.

    JAX detects Cloud TPU slices, GKE, Slurm steps, Kubernetes jobs and Open MPI. For other
    clusters, set JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID. Enter this context
    before anything that needs a device; it initialises the devices of all hosts.

    An exception that leaves the context ends this host at once, with an error message on stderr and
    exit code 2 for a `UserError`, otherwise 1. JAX then aborts the other hosts, at the latest after
    `HEARTBEAT_SECONDS` without a heartbeat. `HostsDiffer`, which all hosts raise, is re-raised.

    Raises:
      UserError: the environment describes a cluster incompletely.
      RunError: JAX detected a cluster but could not query it for the other hosts.
    """
    initialize()
    several, index = jax.distributed.is_initialized(), None
    try:
        if several:
            # Initialises the devices, for which the hosts wait for each other.
            several = jax.process_count() > 1
            index = jax.process_index()
        yield
    except HostsDiffer:
        raise
    except Exception as error:
        if not several:
            raise
        _end_failed(index, error)


def _end_failed(index: int | None, error: Exception) -> NoReturn:
    """Ends this process, one of several, after an error; `index` is None if unknown."""
    message = str(error)
    if not isinstance(error, UserError | RunError):
        traceback.print_exception(error)
        message = one_line(f"{type(error).__name__}: {error}")
    if index == 0:
        time.sleep(FAREWELL_SECONDS)
    _end(f"{_name(index)} failed: {message}", 2 if isinstance(error, UserError) else 1)


def _end(message: str, code: int) -> NoReturn:
    """Prints an error and exits at once; an orderly exit would wait for the other hosts."""
    print(f"\nerror: {message}", file=sys.stderr, flush=True)
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    os._exit(code)


def _name(index: int | None) -> str:
    """Names this process for messages: `process 3 (node7)`."""
    host = socket.gethostname()
    return host if index is None else f"process {index} ({host})"


@functools.cache
def initialize() -> None:
    """Joins the other hosts, once per process; does nothing without a cluster.

    Raises: as `joined`.
    """
    environment = dict(os.environ)
    address, count, index = coordinates(environment)
    # JAX would otherwise replace the run's own SIGTERM handler.
    jax.config.update("jax_enable_preemption_service", False)
    arrived, waiting = threading.Event(), _waiting(address, count, index)
    threading.Thread(target=_wait, args=(arrived, waiting), name="joining", daemon=True).start()
    try:
        with _hidden(_misleading(environment)), warnings.catch_warnings():
            # JAX gives this warning in every pod without the `kubernetes` package. The error below
            # covers the pods that need it.
            warnings.filterwarnings("ignore", message="(?s).*Kubernetes environment detected")
            jax.distributed.initialize(
                coordinator_address=address,
                num_processes=count,
                process_id=index,
                local_device_ids=_local_device_ids(environment),
                # JAX's timeout would abort the process. This one exits earlier with a message.
                initialization_timeout=JOIN_SECONDS + 30,
                heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            )
    except Exception as error:
        if _TOO_LATE in str(error) and count is None:
            message = "JAX was initialised before this process could join a cluster; it runs alone."
            print(f"note: {message}", file=sys.stderr)
        elif _NO_CLUSTER not in str(error):
            raise RunError(
                f"this process cannot find the other hosts ({error}); to run it alone, set "
                "JAX_COORDINATOR_ADDRESS=localhost:9876, JAX_NUM_PROCESSES=1 and JAX_PROCESS_ID=0."
            ) from error
        elif {"JOB_COMPLETION_INDEX", "KUBERNETES_SERVICE_HOST"} <= environment.keys():
            raise UserError(
                "this pod belongs to an indexed Kubernetes job, and finding its other pods needs "
                "the `kubernetes` package; install protclip-jax[k8s]."
            ) from error
    finally:
        arrived.set()


def coordinates(environment: Mapping[str, str]) -> tuple[str | None, int | None, int | None]:
    """The address of process 0, the number of processes and this one's index.

    None stands for values that JAX detects.

    Raises:
      UserError: `COORDINATES` are incomplete or not numbers.
    """
    address, count, index = (environment.get(name) for name in COORDINATES)
    if count is None and index is None:
        return address, None, None
    for name, value in zip(COORDINATES, (address, count, index), strict=True):
        if value is None:
            together = ", ".join(COORDINATES)
            raise UserError(f"{name} is not set; set all of {together}, or none of them.")
    for name, value in zip(COORDINATES[1:], (count, index), strict=True):
        if not value.isdecimal():
            raise UserError(f"{name}={value} is not a whole number; correct or unset it.")
    if int(index) >= int(count):
        below = f"below JAX_NUM_PROCESSES={count}"
        raise UserError(f"JAX_PROCESS_ID={index} must be {below}; processes count from 0.")
    if not address.rpartition(":")[2].isdecimal() or ":" not in address:
        given = f"JAX_COORDINATOR_ADDRESS={address}"
        raise UserError(f"{given} has no port; use HOST:PORT, such as node1:9876.")
    return address, int(count), int(index)


def _local_device_ids(environment: Mapping[str, str]) -> list[int] | None:
    """The `local_device_ids` for `jax.distributed.initialize`; [] selects all GPUs of this host.

    None if the launcher started several processes on this host; JAX then gives each one GPU.
    """
    on_host = 1
    if "SLURM_STEP_NODELIST" in environment:
        nodes = environment.get("SLURM_STEP_NUM_NODES") or environment.get("SLURM_JOB_NUM_NODES")
        on_host = int(environment.get("SLURM_NTASKS", "1")) / int(nodes or "1")
    on_host = max(on_host, int(environment.get("OMPI_COMM_WORLD_LOCAL_SIZE", "1")))
    return None if on_host > 1 or "JAX_LOCAL_DEVICE_IDS" in environment else []


def _misleading(environment: Mapping[str, str]) -> set[str]:
    """Variables from which JAX would wrongly conclude that this process is one of several."""
    step = environment.get("SLURM_STEP_ID", "0")
    special = step.isdecimal() and int(step) >= _FIRST_SPECIAL_STEP
    names = {"SLURM_STEP_NODELIST"} if special else set()
    # A pod without an index does not belong to a group, and may have no access to the cluster API.
    return names if "JOB_COMPLETION_INDEX" in environment else names | {"KUBERNETES_SERVICE_HOST"}


@contextlib.contextmanager
def _hidden(names: Collection[str]) -> Iterator[None]:
    """Removes the variables from the process's environment within the context."""
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def _wait(arrived: threading.Event, waiting: str) -> None:
    """Reports that this process waits for others, and ends it after `JOIN_SECONDS`."""
    if arrived.wait(NOTE_SECONDS):
        return
    print(f"note: {waiting}.", file=sys.stderr, flush=True)
    if not arrived.wait(JOIN_SECONDS - NOTE_SECONDS):
        start_alike = "start every host with the same command"
        _end(f"gave up after {JOIN_SECONDS} s: {waiting}; {start_alike}.", 1)


def _waiting(address: str | None, count: int | None, index: int | None) -> str:
    """Describes who waits, as far as the `coordinates` are known."""
    own = _name(index) if count is None else f"{_name(index)} of {count}"
    return f"{own} is waiting for the others" + (f" at {address}" if address else "")


def check_same(facts: Mapping[str, object]) -> None:
    """Checks that all hosts were started alike: same config, libraries and data.

    All hosts call it once they have joined. `facts` maps names to JSON values. Hosts first compare
    a digest, and exchange the facts only if it differs.

    Raises:
      HostsDiffer: on every host; names up to three facts that differ, and the processes with each
        value.
    """
    if jax.process_count() == 1:
        return
    facts = dict(facts)
    host = {"host": socket.gethostname(), "facts": facts}
    own = json.dumps(host, sort_keys=True, default=str).encode()
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).digest()
    header = np.concatenate([np.frombuffer(digest, np.uint8), [len(own)]]).astype(np.int32)
    headers = multihost_utils.process_allgather(header)
    if (headers[:, :-1] == headers[0, :-1]).all():
        return
    padded = np.zeros(headers[:, -1].max(), np.uint8)
    padded[: len(own)] = np.frombuffer(own, np.uint8)
    texts = zip(multihost_utils.process_allgather(padded), headers[:, -1], strict=True)
    hosts = [json.loads(text[:length].tobytes()) for text, length in texts]
    raise HostsDiffer(_difference(hosts))


def _difference(hosts: list[Mapping]) -> str:
    """The message about the first facts that differ between hosts, which are in process order."""
    names = sorted(set().union(*(host["facts"] for host in hosts)))

    def differs(name):
        return len({_shown(host, name) for host in hosts}) > 1

    differing = [name for name in names if differs(name)]
    shown = "; ".join(_values(hosts, name) for name in differing[:3])
    more = f"; {len(differing) - 3} more differ" if len(differing) > 3 else ""
    advice = "start every host with the same command and files"
    return f"the hosts were not started alike: {shown}{more}; {advice}."


def _values(hosts: list[Mapping], name: str) -> str:
    """A fact's values, each with the processes that have it."""
    holders: dict[str, list[str]] = {}
    for index, host in enumerate(hosts):
        holders.setdefault(_shown(host, name), []).append(f"{index} ({host['host']})")
    values = (f"{value} on process {_some(who)}" for value, who in holders.items())
    return f"{name} is {' and '.join(values)}"


def _shown(host: Mapping, name: str) -> str:
    return reprlib.repr(host["facts"][name]) if name in host["facts"] else "absent"


def _some(processes: list[str]) -> str:
    more = f" and {len(processes) - 4} more" if len(processes) > 4 else ""
    return ", ".join(processes[:4]) + more
