"""The hosts of one run: JAX finds them, they check that they run the same thing.

A host that fails ends at once with its own exit code; JAX's heartbeats end the others.
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
"""Hosts that have not all arrived after so long are given up."""

NOTE_SECONDS = 15
"""A host that still waits for others after so long says so."""

HEARTBEAT_SECONDS = 60
"""JAX ends the other hosts of one that it has not heard of for so long."""

FAREWELL_SECONDS = 2
"""Process 0 stays for so long when it has failed: as soon as it is gone, JAX aborts the others,
of which some may be about to end with a sentence of their own."""

COORDINATES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
"""Environment variables that name the cluster where JAX cannot detect it."""

_NO_CLUSTER = "coordinator_address should be defined"
"""In the error of `jax.distributed.initialize` where it detects no cluster."""

_TOO_LATE = "must be called before any JAX calls"
"""In its error where devices are in use, as in a notebook, or where a program trains twice."""

_FIRST_SPECIAL_STEP = 0xFFFFFFF0
"""Slurm numbers from here on are batch scripts and interactive shells, not tasks of `srun`."""


class HostsDiffer(UserError):
    """The hosts of a run were not started alike; all of them raise it, with the same sentence."""


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Within it, this process is one host of a run if JAX detects a cluster; else it is alone.

    JAX detects Cloud TPU slices, GKE, Slurm steps, Kubernetes jobs and Open MPI. Elsewhere,
    JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID name the cluster. Call it before
    anything that needs a device; it brings up the devices of all hosts.

    An exception that leaves it ends this host at once, with a sentence on stderr and exit code 2
    for a `UserError`, else 1. The others are then aborted by JAX, at the latest when it has not
    heard of this one for `HEARTBEAT_SECONDS`. `HostsDiffer`, which all hosts raise, is passed on.

    Raises:
      UserError: the environment describes a cluster incompletely.
      RunError: JAX detected a cluster and could not ask it for the other hosts.
    """
    initialize()
    several, index = jax.distributed.is_initialized(), None
    try:
        if several:
            # Brings up the devices, for which the hosts wait for each other.
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
    """Ends this process, one of several, for an error; its number is None if it is not known."""
    told = str(error)
    if not isinstance(error, UserError | RunError):
        traceback.print_exception(error)
        told = one_line(f"{type(error).__name__}: {error}")
    if index == 0:
        time.sleep(FAREWELL_SECONDS)
    _end(f"{_name(index)} failed: {told}", 2 if isinstance(error, UserError) else 1)


def _end(told: str, code: int) -> NoReturn:
    """Ends this process with a sentence, and at once: an orderly end waits for the others."""
    print(f"\nerror: {told}", file=sys.stderr, flush=True)
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    os._exit(code)


def _name(index: int | None) -> str:
    """This process, for sentences: `process 3 (node7)`."""
    host = socket.gethostname()
    return host if index is None else f"process {index} ({host})"


@functools.cache
def initialize() -> None:
    """Joins the other hosts, once in a process; does nothing where there is no cluster.

    Raises: as `joined`.
    """
    environment = dict(os.environ)
    address, count, index = coordinates(environment)
    # JAX's own handler of SIGTERM would take the place of the run's.
    jax.config.update("jax_enable_preemption_service", False)
    arrived, waiting = threading.Event(), _waiting(address, count, index)
    threading.Thread(target=_wait, args=(arrived, waiting), name="joining", daemon=True).start()
    try:
        with _hidden(_misleading(environment)), warnings.catch_warnings():
            # JAX warns in every pod without the `kubernetes` package; in those that need it, the
            # error below says so.
            warnings.filterwarnings("ignore", message="(?s).*Kubernetes environment detected")
            jax.distributed.initialize(
                coordinator_address=address,
                num_processes=count,
                process_id=index,
                local_device_ids=_local_device_ids(environment),
                # This process ends itself first, with a sentence; JAX would abort it.
                initialization_timeout=JOIN_SECONDS + 30,
                heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            )
    except Exception as error:
        if _TOO_LATE in str(error) and count is None:
            told = "JAX was in use before this process could look for other hosts; it runs alone."
            print(f"note: {told}", file=sys.stderr)
        elif _NO_CLUSTER not in str(error):
            raise RunError(
                f"this process cannot find the other hosts ({error}). If it is to run alone, set "
                "JAX_COORDINATOR_ADDRESS=localhost:9876, JAX_NUM_PROCESSES=1 and JAX_PROCESS_ID=0."
            ) from error
        elif {"JOB_COMPLETION_INDEX", "KUBERNETES_SERVICE_HOST"} <= environment.keys():
            raise UserError(
                "this pod belongs to an indexed Kubernetes job, and finding its other pods needs "
                "the package `kubernetes`; install protclip-jax[k8s]."
            ) from error
    finally:
        arrived.set()


def coordinates(environment: Mapping[str, str]) -> tuple[str | None, int | None, int | None]:
    """Process 0's address, the number of processes and this one's; None for what JAX detects.

    Raises:
      UserError: `COORDINATES` are incomplete or are not numbers.
    """
    address, count, index = (environment.get(name) for name in COORDINATES)
    if count is None and index is None:
        return address, None, None
    for name, value in zip(COORDINATES, (address, count, index), strict=True):
        if value is None:
            together = ", ".join(COORDINATES)
            raise UserError(f"{name} is not set; set {together} together, or none of them.")
    for name, value in zip(COORDINATES[1:], (count, index), strict=True):
        if not value.isdecimal():
            raise UserError(f"{name}={value} is not a whole number; correct it, or unset it.")
    if int(index) >= int(count):
        below = f"below JAX_NUM_PROCESSES={count}"
        raise UserError(f"JAX_PROCESS_ID={index} must be {below}; processes count from 0.")
    if not address.rpartition(":")[2].isdecimal() or ":" not in address:
        given = f"JAX_COORDINATOR_ADDRESS={address}"
        raise UserError(f"{given} has no port; write HOST:PORT, such as node1:9876.")
    return address, int(count), int(index)


def _local_device_ids(environment: Mapping[str, str]) -> list[int] | None:
    """What `jax.distributed.initialize` is told: [] takes all GPUs of this host.

    None where the launcher started several processes on it, each of which JAX gives one GPU.
    """
    on_host = 1
    if "SLURM_STEP_NODELIST" in environment:
        nodes = environment.get("SLURM_STEP_NUM_NODES") or environment.get("SLURM_JOB_NUM_NODES")
        on_host = int(environment.get("SLURM_NTASKS", "1")) / int(nodes or "1")
    on_host = max(on_host, int(environment.get("OMPI_COMM_WORLD_LOCAL_SIZE", "1")))
    return None if on_host > 1 or "JAX_LOCAL_DEVICE_IDS" in environment else []


def _misleading(environment: Mapping[str, str]) -> set[str]:
    """Variables by which JAX would take a process that was started alone for one of several."""
    step = environment.get("SLURM_STEP_ID", "0")
    special = step.isdecimal() and int(step) >= _FIRST_SPECIAL_STEP
    names = {"SLURM_STEP_NODELIST"} if special else set()
    # A pod without an index is not one of several that work together, and may not ask the cluster.
    return names if "JOB_COMPLETION_INDEX" in environment else names | {"KUBERNETES_SERVICE_HOST"}


@contextlib.contextmanager
def _hidden(names: Collection[str]) -> Iterator[None]:
    """Within it, the process's environment lacks these variables."""
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def _wait(arrived: threading.Event, waiting: str) -> None:
    """Says that this process waits for others, and ends it after `JOIN_SECONDS`."""
    if arrived.wait(NOTE_SECONDS):
        return
    print(f"note: {waiting}.", file=sys.stderr, flush=True)
    if not arrived.wait(JOIN_SECONDS - NOTE_SECONDS):
        _end(f"gave up after {JOIN_SECONDS} s: {waiting}. Start every host with the same line.", 1)


def _waiting(address: str | None, count: int | None, index: int | None) -> str:
    """Who waits, as far as its `coordinates` tell."""
    own = _name(index) if count is None else f"{_name(index)} of {count}"
    return f"{own} waits for the others" + (f" at {address}" if address else "")


def check_same(facts: Mapping[str, object]) -> None:
    """Checks that all hosts were started alike: same config, libraries and data.

    All hosts call it once they have joined. `facts` maps names to JSON values. Hosts compare a
    digest first; only where it differs do they exchange the facts.

    Raises:
      HostsDiffer: on every host, with up to three facts that differ and the processes that have
        each value.
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
    raise HostsDiffer(_difference([json.loads(text[:length].tobytes()) for text, length in texts]))


def _difference(hosts: list[Mapping]) -> str:
    """The sentence on the first facts that differ between hosts, in the order of processes."""
    names = sorted(set().union(*(host["facts"] for host in hosts)))
    differing = [name for name in names if len({_shown(host, name) for host in hosts}) > 1]
    told = "; ".join(_values(hosts, name) for name in differing[:3])
    more = f"; {len(differing) - 3} more differ" if len(differing) > 3 else ""
    advice = "Start every host with the same line and files."
    return f"the hosts were not started alike: {told}{more}. {advice}"


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
