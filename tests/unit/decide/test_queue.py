"""The work queue has client-go's guarantees."""

import asyncio

from everstep_operator.queue import WorkQueue


def test_a_key_is_queued_once_and_worked_on_again_when_it_became_dirty_meanwhile() -> None:
    async def play() -> None:
        queue: WorkQueue[str] = WorkQueue(slowest_retry_s=1)
        queue.add("a")
        queue.add("a")
        assert len(queue) == 1
        assert await queue.get() == "a"
        queue.add("a")
        assert len(queue) == 0, "nobody else works on a key that is worked on"
        queue.done("a")
        assert await queue.get() == "a"
        queue.done("a")
        assert len(queue) == 0

    asyncio.run(play())


def test_a_key_added_for_later_comes_then_and_the_sooner_time_wins() -> None:
    async def play() -> None:
        queue: WorkQueue[str] = WorkQueue(slowest_retry_s=1)
        loop = asyncio.get_running_loop()
        begin = loop.time()
        queue.add_after("a", 30)
        queue.add_after("a", 0.05)
        queue.add_after("a", 60)
        assert await asyncio.wait_for(queue.get(), 5) == "a"
        assert 0.05 <= loop.time() - begin < 5
        queue.close()

    asyncio.run(play())


def test_waits_after_errors_double_up_to_a_limit_and_begin_anew() -> None:
    async def play() -> None:
        queue: WorkQueue[str] = WorkQueue(slowest_retry_s=0.3)
        assert [queue.retry("a") for _ in range(5)] == [0.05, 0.1, 0.2, 0.3, 0.3]
        queue.forget_errors("a")
        assert queue.retry("a") == 0.05
        queue.close()

    asyncio.run(play())


def test_workers_never_have_the_same_key_at_the_same_time() -> None:
    async def play() -> None:
        queue: WorkQueue[int] = WorkQueue(slowest_retry_s=1)
        held: set[int] = set()
        looks = 0

        async def work() -> None:
            nonlocal looks
            while True:
                key = await queue.get()
                assert key not in held
                held.add(key)
                await asyncio.sleep(0)
                looks += 1
                held.discard(key)
                queue.done(key)

        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(work()) for _ in range(4)]
            for number in range(1000):
                queue.add(number % 7)
                if number % 3 == 0:
                    await asyncio.sleep(0)
            while len(queue) or held:  # noqa: ASYNC110 - each turn lets the workers take theirs
                await asyncio.sleep(0)
            for worker in workers:
                worker.cancel()
        assert looks >= 7

    asyncio.run(play())
