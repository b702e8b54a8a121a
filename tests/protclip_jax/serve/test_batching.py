"""The queue before the model: batches, its limit, who leaves, who waits too long, and failures."""

import asyncio
import threading

import pytest

from protclip_jax.serve.batching import Batcher, Busy
from protclip_jax.serve.limits import Limits


class Slow:
    """Work that takes until it is let go, and remembers its jobs."""

    def __init__(self):
        self.jobs, self.go = [], threading.Event()

    def __call__(self, jobs):
        self.go.wait(10)
        self.jobs.append(list(jobs))
        return [f"done {job}" for job in jobs]


def test_what_waits_is_computed_together_and_more_than_the_queue_holds_is_refused():
    slow = Slow()

    async def run():
        async with Batcher(slow, Limits(waiting=3, batch=2)) as batcher:
            first = asyncio.create_task(batcher.answer(0))
            await asyncio.sleep(0.05)
            others = [asyncio.create_task(batcher.answer(number)) for number in (1, 2, 3)]
            await asyncio.sleep(0.05)
            with pytest.raises(Busy):
                await batcher.answer(4)
            slow.go.set()
            return await asyncio.gather(first, *others)

    assert asyncio.run(run()) == ["done 0", "done 1", "done 2", "done 3"]
    assert slow.jobs == [[0], [1, 2], [3]]


def test_who_leaves_is_not_computed_for_and_who_waits_too_long_is_told():
    slow = Slow()

    async def run():
        async with Batcher(slow, Limits(seconds=1.5)) as batcher:
            first = asyncio.create_task(batcher.answer(0))
            await asyncio.sleep(0.05)
            leaver = asyncio.create_task(batcher.answer(1))
            stayer = asyncio.create_task(batcher.answer(2))
            await asyncio.sleep(0.05)
            leaver.cancel()
            await asyncio.sleep(0.02)
            assert batcher.waiting == 1
            with pytest.raises(TimeoutError):
                await stayer
            assert batcher.waiting == 0
            with pytest.raises(TimeoutError):
                await first
            slow.go.set()
            await asyncio.sleep(0.05)
            assert await batcher.answer(3) == "done 3"

    asyncio.run(run())
    assert slow.jobs == [[0], [3]]


def test_a_failure_is_told_to_its_job_and_not_to_those_it_was_computed_with():
    def work(jobs):
        if "bad" in jobs:
            raise ValueError("no")
        return jobs

    async def run():
        async with Batcher(work, Limits()) as batcher:
            asked = [batcher.answer(job) for job in ("good", "bad", "better")]
            first, failed, last = await asyncio.gather(*asked, return_exceptions=True)
            assert isinstance(failed, ValueError)
            return first, last, await batcher.answer("next")

    assert asyncio.run(run()) == ("good", "better", "next")
