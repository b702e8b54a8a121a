"""Worker processes that map a function over an iterable and keep the order of the results."""

import contextlib
import faulthandler
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker

from data_pipelines.common.errors import UserError

OrderedMap = Callable[[Callable, Iterable], Iterator]
"""(function, tasks) → the results in task order; tasks are drawn from the iterable a few ahead."""

_PARENTS = (signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)
"""Signals that a scheduler or terminal may send to all processes of a run."""

_AHEAD = 2
"""Tasks in flight per worker: one running, one waiting."""


@contextlib.contextmanager
def worker_processes(count: int) -> Iterator[OrderedMap]:
    """Starts `count` worker processes for ordered maps; 1 runs in this process instead.

    Functions and tasks are pickled. The workers exit with the context, or when this process is
    killed.

    Raises:
      UserError: a worker was killed, as the system does when memory runs out.
    """
    if count == 1:
        yield map
        return
    # Forking this process is unsafe because of threads, such as a progress bar's.
    context = multiprocessing.get_context("forkserver")
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=follow_parent)
    try:
        yield lambda function, tasks: _ordered(pool, function, tasks, ahead=_AHEAD * count)
    except BrokenProcessPool as error:
        raise UserError(
            "a worker process was killed, probably out of memory; use fewer --workers."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _ordered(
    pool: ProcessPoolExecutor, function: Callable, tasks: Iterable, *, ahead: int
) -> Iterator:
    waiting = deque()
    for task in tasks:
        waiting.append(pool.submit(function, task))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def start_silent_tracker() -> None:
    """Starts multiprocessing's resource tracker with its warnings turned off.

    A trainer that must exit at once leaves semaphores for it to clean up, and the trainer's own
    last message should stay the last line.
    """
    before = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, (before, "ignore:resource_tracker")))
    try:
        resource_tracker.ensure_running()
    finally:
        del os.environ["PYTHONWARNINGS"]
        if before is not None:
            os.environ["PYTHONWARNINGS"] = before


@contextlib.contextmanager
def started_without_signals() -> Iterator[None]:
    """Starts processes and threads with the stop signals of a run blocked; the parent handles them.

    A terminal sends Ctrl-C to every process, and Slurm does the same with its signals. A worker
    that received one before `follow_parent` would exit.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (*_PARENTS, signal.SIGTERM, signal.SIGUSR1))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def follow_parent() -> None:
    """Ties a worker process to its parent, which handles `_PARENTS` and takes it down.

    On SIGUSR1 the worker writes its threads' stacks to stderr, to show where it hangs.
    """
    faulthandler.register(signal.SIGUSR1)
    # SIGUSR1 stays blocked until its handler is in place (`started_without_signals`).
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
    for number in _PARENTS:
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)
