"""The hosts of one run: JAX finds them, they check that they run the same thing, and all end when one of them fails."""

import contextlib
import functools
import hashlib
import json
import os
import pathlib
import reprlib
import socket
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Collection, Iterator, Mapping

import jax
import numpy as np
from jax._src import distributed  # Who waits for whom, before the processes have joined, has no public name.
from jax.experimental import multihost_utils

from data_pipelines.common.errors import RunError, UserError
from protclip_jax.distributed import host_watch

JOIN_SECONDS = 180
"""Hosts that have not all arrived after so long are given up."""

NOTE_SECONDS = 15
"""A host that still waits for others after so long says so."""

FAREWELL_SECONDS = 5
"""A host that has given up stays for so long."""

COORDINATES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
"""Environment variables that name the cluster where JAX cannot detect it."""

_NO_CLUSTER = "coordinator_address should be defined"
"""In the error of `jax.distributed.initialize` where it detects no cluster."""

_TOO_LATE = "must be called before any JAX calls"
"""In its error where devices are in use, as in a notebook, or where a program trains more than once."""

_FIRST_SPECIAL_STEP = 0xFFFFFFF0
"""Slurm numbers from here on are batch scripts and interactive shells, which `srun` has not started as tasks."""


class HostsDiffer(UserError):
    """The hosts of a run were not started alike; every host raises it, with the same sentence."""


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Within it, this process is one of the hosts of a run, if JAX detects a cluster; else it is alone.

    JAX detects Cloud TPU slices, GKE, Slurm steps, Kubernetes jobs and Open MPI. Elsewhere, JAX_COORDINATOR_ADDRESS,
    JAX_NUM_PROCESSES and JAX_PROCESS_ID name the cluster. Call it before anything that needs a device.

    An exception that leaves it ends the processes of all hosts, with exit code 2 for a `UserError` and else 1, and so does the
    end of any process, with 1. The last line on stderr of each is one sentence that names the first to fail.

    Raises:
      UserError: the environment describes a cluster incompletely.
      RunError: JAX detected a cluster and could not ask it for the other hosts.
    """
    initialize()
    # Not `jax.process_count`, for which all hosts have to bring up their devices.
    if distributed.global_state.num_processes == 1:
        yield
        return
    watch = host_watch.start()
    try:
        yield
    except Exception as error:
        message = str(error)
        if not isinstance(error, UserError | RunError):
            traceback.print_exc()
            message = f"{type(error).__name__}: {error}"
            # A broken exchange has its cause in another host, which by then is known to be gone.
            time.sleep(1)
        if not isinstance(error, HostsDiffer):
            message = f"{host_watch.own_name()} failed: {message}"
        watch.end_all(" ".join(message.split()), code=2 if isinstance(error, UserError) else 1)
    watch.leave()


@functools.cache
def initialize() -> None:
    """Joins the other hosts, once in a process; does nothing where there is no cluster. Raises as `joined`."""
    environment = dict(os.environ)
    address, count, index = coordinates(environment)
    # JAX's own handler of SIGTERM would take the place of the run's.
    jax.config.update("jax_enable_preemption_service", False)
    arrived = threading.Event()
    threading.Thread(target=_wait, args=(arrived,), name="joining", daemon=True).start()
    try:
        with _hidden(_misleading(environment)), warnings.catch_warnings():
            # JAX warns in every pod without the `kubernetes` package; in those that need it, the error below says so.
            warnings.filterwarnings("ignore", message="(?s).*Kubernetes environment detected")
            jax.distributed.initialize(
                coordinator_address=address,
                num_processes=count,
                process_id=index,
                local_device_ids=_local_device_ids(environment),
                # This process ends itself first, with a sentence; JAX would abort it.
                initialization_timeout=JOIN_SECONDS + 30,
                heartbeat_timeout_seconds=host_watch.HEARTBEAT_SECONDS,
            )
    except Exception as error:
        if _TOO_LATE in str(error) and count is None:
            print("note: JAX was in use before this process could look for other hosts; it runs alone.", file=sys.stderr)
        elif _NO_CLUSTER not in str(error):
            raise RunError(
                f"this process cannot find the other hosts ({error}). If it is to run alone, set "
                "JAX_COORDINATOR_ADDRESS=localhost:9876, JAX_NUM_PROCESSES=1 and JAX_PROCESS_ID=0."
            ) from error
        elif {"JOB_COMPLETION_INDEX", "KUBERNETES_SERVICE_HOST"} <= environment.keys():
            raise UserError(
                "this pod belongs to an indexed Kubernetes job, and finding its other pods needs the package `kubernetes`; "
                "install protclip-jax[k8s]."
            ) from error
    finally:
        arrived.set()


def coordinates(environment: Mapping[str, str]) -> tuple[str | None, int | None, int | None]:
    """The address of process 0, the number of processes and this one's; None for what JAX is to detect.

    Raises:
      UserError: `COORDINATES` are incomplete or are not numbers.
    """
    address, count, index = (environment.get(name) for name in COORDINATES)
    if count is None and index is None:
        return address, None, None
    for name, value in zip(COORDINATES, (address, count, index), strict=True):
        if value is None:
            raise UserError(f"{name} is not set; set {', '.join(COORDINATES)} together, or none of them.")
    for name, value in zip(COORDINATES[1:], (count, index), strict=True):
        if not value.isdecimal():
            raise UserError(f"{name}={value} is not a whole number; correct it, or unset it.")
    if int(index) >= int(count):
        raise UserError(f"JAX_PROCESS_ID={index} must be below JAX_NUM_PROCESSES={count}; processes count from 0.")
    if not address.rpartition(":")[2].isdecimal() or ":" not in address:
        raise UserError(f"JAX_COORDINATOR_ADDRESS={address} has no port; write HOST:PORT, such as node1:9876.")
    return address, int(count), int(index)


def _local_device_ids(environment: Mapping[str, str]) -> list[int] | None:
    """None where the launcher started several processes on this host, each of which JAX gives one GPU; [] takes all GPUs."""
    on_host = 1
    if "SLURM_STEP_NODELIST" in environment:
        nodes = environment.get("SLURM_STEP_NUM_NODES") or environment.get("SLURM_JOB_NUM_NODES") or "1"
        on_host = int(environment.get("SLURM_NTASKS", "1")) / int(nodes)
    on_host = max(on_host, int(environment.get("OMPI_COMM_WORLD_LOCAL_SIZE", "1")))
    return None if on_host > 1 or "JAX_LOCAL_DEVICE_IDS" in environment else []


def _misleading(environment: Mapping[str, str]) -> set[str]:
    """Variables by which JAX would take this process for one of several, although its launcher started it alone."""
    step = environment.get("SLURM_STEP_ID", "0")
    names = {"SLURM_STEP_NODELIST"} if step.isdecimal() and int(step) >= _FIRST_SPECIAL_STEP else set()
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


def _wait(arrived: threading.Event) -> None:
    """Says that this process waits for others, and ends it after `JOIN_SECONDS`."""
    if arrived.wait(NOTE_SECONDS):
        return
    print(f"note: {_waiting()}.", file=sys.stderr, flush=True)
    if not arrived.wait(JOIN_SECONDS - NOTE_SECONDS):
        host_watch.tell(f"gave up after {JOIN_SECONDS} s: {_waiting()}. Start every host with the same line.")
        # Those that began to wait a little later still see this one.
        time.sleep(FAREWELL_SECONDS)
        os._exit(1)


def _waiting() -> str:
    """Who waits for whom, as far as this process can see."""
    state = distributed.global_state
    if state.coordinator_address is None:
        return f"{socket.gethostname()} is asking the cluster for the other hosts"
    waits = f"{host_watch.own_name()} of {state.num_processes} waits for the others"
    if state.process_id == 0:
        peers = _connected(int(state.coordinator_address.rpartition(":")[2]))
        here = f"{len(peers)} have arrived, from {', '.join(sorted(set(peers)))}" if peers else "none has arrived"
        return f"{waits} at {state.coordinator_address}; of the {state.num_processes}, {here}"
    host, _, port = state.coordinator_address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except OSError as error:
        return f"{waits}; process 0 does not answer at {state.coordinator_address} ({error.strerror or error})"
    return f"{waits}; process 0 answers at {state.coordinator_address}, and its log tells who has arrived"


def _connected(port: int) -> list[str]:
    """The addresses of the processes, this one included, that are connected to a port of this host; empty outside Linux."""
    peers = []
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        with contextlib.suppress(OSError):
            for line in pathlib.Path("/proc/net", table).read_text().splitlines()[1:]:
                _, ours, theirs, state = line.split()[:4]
                if int(ours.rpartition(":")[2], 16) == port and state == "01":
                    words = np.frombuffer(bytes.fromhex(theirs.partition(":")[0]), ">u4").astype("=u4")
                    peers.append(socket.inet_ntop(family, words.tobytes()).removeprefix("::ffff:"))
    return peers


def check_same(facts: Mapping[str, object]) -> None:
    """Checks that all hosts were started alike: same config, libraries and data. All hosts call it once they have joined.

    `facts` maps names to JSON values. Hosts compare a digest first; only where it differs do they exchange the facts.

    Raises:
      HostsDiffer: on every host, with one fact that differs and the processes that have each value.
    """
    if jax.process_count() == 1:
        return
    own = json.dumps({"host": socket.gethostname(), "facts": dict(facts)}, sort_keys=True, default=str).encode()
    digest = hashlib.sha256(json.dumps(dict(facts), sort_keys=True, default=str).encode()).digest()
    header = np.concatenate([np.frombuffer(digest, np.uint8).astype(np.int32), [len(own)]]).astype(np.int32)
    headers = multihost_utils.process_allgather(header)
    if (headers[:, :-1] == headers[0, :-1]).all():
        return
    padded = np.zeros(headers[:, -1].max(), np.uint8)
    padded[: len(own)] = np.frombuffer(own, np.uint8)
    texts = multihost_utils.process_allgather(padded)
    hosts = [json.loads(text[:length].tobytes()) for text, length in zip(texts, headers[:, -1], strict=True)]
    raise HostsDiffer(_difference(hosts))


def _difference(hosts: list[Mapping]) -> str:
    """The sentence on the first facts that differ between hosts, given in the order of their processes."""
    names = sorted(set().union(*(host["facts"] for host in hosts)))
    differing = [name for name in names if len({_shown(host, name) for host in hosts}) > 1]
    shown = []
    for name in differing[:3]:
        holders: dict[str, list[str]] = {}
        for index, host in enumerate(hosts):
            holders.setdefault(_shown(host, name), []).append(f"{index} ({host['host']})")
        shown.append(f"{name} is " + " and ".join(f"{value} on process {_some(who)}" for value, who in holders.items()))
    more = f"; {len(differing) - 3} more differ" if len(differing) > 3 else ""
    return f"the hosts were not started alike: {'; '.join(shown)}{more}. Start every host with the same line and files."


def _shown(host: Mapping, name: str) -> str:
    return reprlib.repr(host["facts"][name]) if name in host["facts"] else "absent"


def _some(processes: list[str]) -> str:
    return ", ".join(processes[:4]) + (f" and {len(processes) - 4} more" if len(processes) > 4 else "")
