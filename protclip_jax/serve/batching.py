"""Computes requests together that arrive while the model is busy."""

import asyncio
import bisect
import contextlib
import operator
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Self

from protclip_jax.serve.limits import Limits

TOKENS_A_SECOND = 1000
"""A request of n tokens is due n / `TOKENS_A_SECOND` seconds after its arrival.

Short requests thus overtake long ones that have just arrived, but no request waits for all the
short ones that arrive after it.
"""


class Busy(Exception):
    """The queue is full."""


class _Entry(NamedTuple):
    due: float
    job: object
    tokens: int
    future: asyncio.Future


class Batcher:
    """A queue of jobs, and one thread that computes them in batches.

    `async with` starts the thread in the running event loop. On exit it finishes the batch it is
    computing and ends.
    """

    def __init__(self, work: Callable[[Sequence[object]], Sequence[object]], limits: Limits):
        """`work` returns the results of a list of jobs, in their order."""
        self._work, self._limits = work, limits
        self._waiting: list[_Entry] = []

    @property
    def waiting(self) -> int:
        """The number of jobs in the queue."""
        return len(self._waiting)

    async def answer(self, job: object, tokens: int) -> object:
        """Returns the result of a job of `tokens` tokens; cancelling the caller cancels the job.

        Raises:
          Busy: the queue is full.
          TimeoutError: there was no result within the limit.
        """
        if len(self._waiting) >= self._limits.waiting:
            raise Busy
        future = asyncio.get_running_loop().create_future()
        entry = _Entry(time.monotonic() + tokens / TOKENS_A_SECOND, job, tokens, future)
        bisect.insort(self._waiting, entry, key=operator.attrgetter("due"))
        self._arrived.set()
        try:
            async with asyncio.timeout(self._limits.seconds):
                return await future
        finally:
            self._waiting = [other for other in self._waiting if other is not entry]

    async def __aenter__(self) -> Self:
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *exception):
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._thread.shutdown()

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                batch = self._next_batch()
                results = await self._results([entry.job for entry in batch])
                for entry, result in zip(batch, results, strict=True):
                    if entry.future.done():
                        continue
                    if isinstance(result, Exception):
                        entry.future.set_exception(result)
                    else:
                        entry.future.set_result(result)

    def _next_batch(self) -> list[_Entry]:
        """Removes the job that is due first from the queue, and the next ones that still fit."""
        count, tokens = 1, self._waiting[0].tokens
        for entry in self._waiting[1:]:
            tokens += entry.tokens
            if tokens > self._limits.batch_tokens:
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    async def _results(self, jobs: Sequence[object]) -> Sequence[object]:
        """The result or exception of each job; if a batch fails, each job is retried alone."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._work, jobs)
        except Exception as error:
            return [error] if len(jobs) == 1 else [(await self._results([job]))[0] for job in jobs]
