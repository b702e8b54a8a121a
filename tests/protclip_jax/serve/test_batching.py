"""The queue before the model: batches, its limit, who leaves, who waits too long, and failures."""

import asyncio
import threading

import pytest

from protclip_jax.serve import batching
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
        async with Batcher(slow, Limits(waiting=3, batch_tokens=2)) as batcher:
            first = asyncio.create_task(batcher.answer(0, 1))
            await asyncio.sleep(0.05)
            others = [asyncio.create_task(batcher.answer(number, 1)) for number in (1, 2, 3)]
            await asyncio.sleep(0.05)
            with pytest.raises(Busy):
                await batcher.answer(4, 1)
            slow.go.set()
            return await asyncio.gather(first, *others)

    assert asyncio.run(run()) == ["done 0", "done 1", "done 2", "done 3"]
    assert slow.jobs == [[0], [1, 2], [3]]


def test_who_leaves_is_not_computed_for_and_who_waits_too_long_is_reported():
    slow = Slow()

    async def run():
        async with Batcher(slow, Limits(seconds=1.5)) as batcher:
            first = asyncio.create_task(batcher.answer(0, 1))
            await asyncio.sleep(0.05)
            leaver = asyncio.create_task(batcher.answer(1, 1))
            stayer = asyncio.create_task(batcher.answer(2, 1))
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
            assert await batcher.answer(3, 1) == "done 3"

    asyncio.run(run())
    assert slow.jobs == [[0], [3]]


def test_a_failure_is_reported_to_its_job_and_not_to_those_it_was_computed_with():
    def work(jobs):
        if "bad" in jobs:
            raise ValueError("no")
        return jobs

    async def run():
        async with Batcher(work, Limits()) as batcher:
            asked = [batcher.answer(job, 1) for job in ("good", "bad", "better")]
            first, failed, last = await asyncio.gather(*asked, return_exceptions=True)
            assert isinstance(failed, ValueError)
            return first, last, await batcher.answer("next", 1)

    assert asyncio.run(run()) == ("good", "better", "next")


def test_a_short_job_goes_before_long_ones_and_a_batch_counts_tokens():
    slow = Slow()

    async def run():
        async with Batcher(slow, Limits(batch_tokens=100)) as batcher:
            asked = [("under way", 1), ("long", 5000), ("longer", 6000), ("short", 60)]
            asked += [("shorter", 20), ("middle", 50)]
            tasks = []
            for job, tokens in asked:
                tasks.append(asyncio.create_task(batcher.answer(job, tokens)))
                await asyncio.sleep(0.01)
            slow.go.set()
            return await asyncio.gather(*tasks)

    assert len(asyncio.run(run())) == 6
    assert slow.jobs == [["under way"], ["shorter", "short"], ["middle"], ["long"], ["longer"]]


def test_a_long_job_does_not_wait_for_all_the_short_ones_that_come_after_it(monkeypatch):
    monkeypatch.setattr(batching, "TOKENS_A_SECOND", 100_000)
    slow = Slow()

    async def run():
        async with Batcher(slow, Limits(batch_tokens=100)) as batcher:
            tasks = [asyncio.create_task(batcher.answer("under way", 1))]
            await asyncio.sleep(0.01)
            tasks.append(asyncio.create_task(batcher.answer("long", 5000)))
            await asyncio.sleep(0.1)
            tasks.append(asyncio.create_task(batcher.answer("late", 60)))
            await asyncio.sleep(0.01)
            slow.go.set()
            await asyncio.gather(*tasks)

    asyncio.run(run())
    assert slow.jobs == [["under way"], ["long"], ["late"]]
