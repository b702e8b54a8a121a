"""Requests that arrive while the model is busy are computed together, as it then is free for all
of them at once."""

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
"""How much later than its arrival a request is due: so much a token. A short question goes before a
long one that has just come, and no request waits for all the short ones that come after it."""


class Busy(Exception):
    """The queue is full."""


class _Entry(NamedTuple):
    due: float
    job: object
    tokens: int
    future: asyncio.Future


class Batcher:
    """One thread that works on lists of jobs, and the queue before it.

    `async with` starts it in the running event loop and ends it; what is computed when it ends
    is finished first.
    """

    def __init__(self, work: Callable[[Sequence[object]], Sequence[object]], limits: Limits):
        """`work` gives the result of every job, in their order."""
        self._work, self._limits = work, limits
        self._waiting: list[_Entry] = []

    @property
    def waiting(self) -> int:
        """Jobs in the queue."""
        return len(self._waiting)

    async def answer(self, job: object, tokens: int) -> object:
        """The result of a job of so many tokens. A caller that is cancelled takes the job out of
        the queue.

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
        """Takes out what is due first, and what follows it while the tokens suffice."""
        count, tokens = 1, self._waiting[0].tokens
        for entry in self._waiting[1:]:
            tokens += entry.tokens
            if tokens > self._limits.batch_tokens:
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    async def _results(self, jobs: Sequence[object]) -> Sequence[object]:
        """The result of each job, or the exception that it raises; what fails together is tried
        one by one."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._work, jobs)
        except Exception as error:
            return [error] if len(jobs) == 1 else [(await self._results([job]))[0] for job in jobs]
