"""Requests that arrive while the model is busy are computed together, as it then is free for all
of them at once."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from protclip_jax.serve.limits import Limits


class Busy(Exception):
    """The queue is full."""


class Batcher:
    """One thread that works on lists of jobs, and the queue before it.

    `async with` starts it in the running event loop and ends it; what is computed when it ends
    is finished first.
    """

    def __init__(self, work: Callable[[Sequence[object]], Sequence[object]], limits: Limits):
        """`work` gives the result of every job, in their order."""
        self._work, self._limits = work, limits
        self._waiting: deque[tuple[object, asyncio.Future]] = deque()

    @property
    def waiting(self) -> int:
        """Jobs in the queue."""
        return len(self._waiting)

    async def answer(self, job: object) -> object:
        """The job's result. A caller that is cancelled takes the job out of the queue.

        Raises:
          Busy: the queue is full.
          TimeoutError: there was no result within the limit.
        """
        if len(self._waiting) >= self._limits.waiting:
            raise Busy
        future = asyncio.get_running_loop().create_future()
        entry = (job, future)
        self._waiting.append(entry)
        self._arrived.set()
        try:
            async with asyncio.timeout(self._limits.seconds):
                return await future
        finally:
            with contextlib.suppress(ValueError):
                self._waiting.remove(entry)

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
                count = min(len(self._waiting), self._limits.batch)
                jobs, futures = zip(*(self._waiting.popleft() for _ in range(count)), strict=True)
                for future, result in zip(futures, await self._results(jobs), strict=True):
                    if future.done():
                        continue
                    if isinstance(result, Exception):
                        future.set_exception(result)
                    else:
                        future.set_result(result)

    async def _results(self, jobs: Sequence[object]) -> Sequence[object]:
        """The result of each job, or the exception that it raises; what fails together is tried
        one by one."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._work, jobs)
        except Exception as error:
            return [error] if len(jobs) == 1 else [(await self._results([job]))[0] for job in jobs]
