"""Worker processes that take tasks from one iterator and give results in its order."""

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
"""(function, tasks) -> the results in the order of the tasks, which are taken from the iterable
a few ahead."""

_PARENTS = (signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)
"""Signals that a scheduler or terminal may send to all processes of a run."""

_AHEAD = 2
"""Tasks in flight for each worker: one at work, one waiting."""


@contextlib.contextmanager
def worker_processes(count: int) -> Iterator[OrderedMap]:
    """`count` processes for any number of ordered maps; 1 computes in this process. Functions and
    tasks are pickled.

    The processes end with the context, and by themselves when this process is killed.

    Raises:
      UserError: a process was killed, as the system does when memory runs out.
    """
    if count == 1:
        yield map
        return
    # Not forked from here: threads, such as a progress bar's, make that unsafe.
    context = multiprocessing.get_context("forkserver")
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=follow_parent)
    try:
        yield lambda function, tasks: _ordered(pool, function, tasks, ahead=_AHEAD * count)
    except BrokenProcessPool as error:
        raise UserError(
            "a worker process was killed, perhaps for want of memory: use fewer --workers."
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
    """Starts the process that tidies up after this one without a word of what it finds.

    A trainer that has to end at once leaves semaphores to it, and its own last words are to be
    the last.
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
    """Processes and threads that are started within it never see the signals that stop a run: their
    parent handles them.

    A terminal sends Ctrl-C to all, and Slurm its signals; a worker that gets one before
    `follow_parent` would end.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (*_PARENTS, signal.SIGTERM, signal.SIGUSR1))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def follow_parent() -> None:
    """Ties a worker process to its parent: the parent alone handles `_PARENTS`, and its death ends
    the worker.

    On SIGUSR1 the worker writes the stacks of its threads to stderr, for whoever wonders what it
    waits for.
    """
    faulthandler.register(signal.SIGUSR1)
    # Only now, where the worker was started without it.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
    for number in _PARENTS:
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)
