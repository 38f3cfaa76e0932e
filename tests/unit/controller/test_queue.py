"""Keys that wait for a pass: each once, never two passes over one at the same time, failures with growing pauses."""

import asyncio
from contextlib import suppress

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from scheduledtask.controller.queue import FIRST_PAUSE, LONGEST_PAUSE, WorkQueue
from scheduledtask.domain.values import Key

A, B, C = (Key("ns", name) for name in "abc")
SOON = 5.0
"""Seconds after which a test gives up waiting."""


async def get(queue: WorkQueue) -> Key:
    return await asyncio.wait_for(queue.get(), SOON)


class TestOrder:
    async def test_keys_come_in_the_order_in_which_they_were_added(self) -> None:
        queue = WorkQueue()
        for key in (B, A, C):
            queue.add(key)
        assert [await get(queue) for _ in range(3)] == [B, A, C]

    async def test_a_key_waits_once_however_often_it_is_added(self) -> None:
        queue = WorkQueue()
        for _ in range(5):
            queue.add(A)
        assert len(queue) == 1

    async def test_a_key_that_is_worked_on_waits_for_the_end_of_the_pass(self) -> None:
        queue = WorkQueue()
        queue.add(A)
        await get(queue)
        queue.add(A)
        queue.add(A)
        assert len(queue) == 0
        queue.done(A)
        assert len(queue) == 1
        assert await get(queue) == A

    async def test_a_key_without_news_does_not_come_again(self) -> None:
        queue = WorkQueue()
        queue.add(A)
        queue.done(await get(queue))
        assert len(queue) == 0


class TestWaiting:
    async def test_a_worker_that_waits_gets_the_next_key(self) -> None:
        queue = WorkQueue()
        worker = asyncio.create_task(get(queue))
        await asyncio.sleep(0)
        queue.add(A)
        assert await worker == A

    async def test_every_waiting_worker_gets_a_key_of_its_own(self) -> None:
        queue = WorkQueue()
        workers = [asyncio.create_task(get(queue)) for _ in range(3)]
        await asyncio.sleep(0)
        for key in (A, B, C):
            queue.add(key)
        assert set(await asyncio.gather(*workers)) == {A, B, C}

    async def test_a_worker_that_was_cancelled_takes_no_key_along(self) -> None:
        queue = WorkQueue()
        cancelled, other = asyncio.create_task(get(queue)), asyncio.create_task(get(queue))
        await asyncio.sleep(0)
        cancelled.cancel()
        with suppress(asyncio.CancelledError):
            await cancelled
        queue.add(A)
        assert await other == A

    async def test_a_worker_that_comes_by_just_then_may_be_faster(self) -> None:
        queue = WorkQueue()
        waiting = asyncio.create_task(get(queue))
        await asyncio.sleep(0)
        queue.add(A)
        assert await queue.get() == A
        queue.add(B)
        assert await waiting == B


class TestTimers:
    async def test_a_key_comes_when_its_time_is_there(self) -> None:
        queue = WorkQueue()
        queue.add_after(A, 0.02)
        assert len(queue) == 0
        assert await get(queue) == A

    async def test_a_time_in_the_past_is_now(self) -> None:
        queue = WorkQueue()
        queue.add_after(A, -3600)
        assert await get(queue) == A

    async def test_a_later_time_replaces_an_earlier_one_and_the_other_way_round(self) -> None:
        queue = WorkQueue()
        queue.add_after(A, 0)
        queue.add_after(A, 3600)
        queue.add_after(B, 3600)
        queue.add_after(B, 0)
        assert await get(queue) == B
        assert len(queue) == 0
        queue.cancel_timer(A)

    async def test_a_forgotten_time_does_not_come(self) -> None:
        queue = WorkQueue()
        queue.add_after(A, 0)
        queue.cancel_timer(A)
        queue.cancel_timer(A)
        queue.add_after(B, 0.01)
        assert await get(queue) == B
        assert len(queue) == 0

    async def test_news_come_before_the_time_that_is_set(self) -> None:
        queue = WorkQueue()
        queue.add_after(A, 3600)
        queue.add(A)
        assert await get(queue) == A
        queue.cancel_timer(A)


class TestFailures:
    async def test_the_pause_doubles_with_each_failure_up_to_a_limit(self) -> None:
        queue = WorkQueue()
        pauses = [queue.add_after_failure(A) for _ in range(100)]
        queue.cancel_timer(A)
        assert pauses[:4] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE, 8 * FIRST_PAUSE]
        assert pauses[-1] == LONGEST_PAUSE
        assert pauses == sorted(pauses)

    async def test_a_good_pass_starts_the_pauses_anew(self) -> None:
        queue = WorkQueue()
        for _ in range(5):
            queue.add_after_failure(A)
        queue.forget_failures(A)
        assert queue.add_after_failure(A) == FIRST_PAUSE
        queue.cancel_timer(A)

    async def test_keys_fail_each_for_itself(self) -> None:
        queue = WorkQueue()
        queue.add_after_failure(A)
        assert queue.add_after_failure(B) == FIRST_PAUSE
        queue.cancel_timer(A)
        queue.cancel_timer(B)

    async def test_the_api_server_may_ask_for_a_longer_pause(self) -> None:
        queue = WorkQueue()
        assert queue.add_after_failure(A, at_least=7) == 7
        queue.cancel_timer(A)


class Passes(RuleBasedStateMachine):
    """Adds, gets and dones in any order, against a model of two sets."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.queue = WorkQueue()
        self.news: set[Key] = set()
        self.active: set[Key] = set()

    @rule(key=st.sampled_from([A, B, C]))
    def add(self, key: Key) -> None:
        self.queue.add(key)
        self.news.add(key)

    @precondition(lambda self: self.news - self.active)
    @rule()
    def get(self) -> None:
        key = self.loop.run_until_complete(get(self.queue))
        assert key in self.news - self.active
        self.news.remove(key)
        self.active.add(key)

    @precondition(lambda self: self.active)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.active)))
        self.queue.done(key)
        self.active.remove(key)

    @invariant()
    def what_has_news_and_is_not_worked_on_waits(self) -> None:
        assert len(self.queue) == len(self.news - self.active)

    def teardown(self) -> None:
        self.loop.close()


Passes.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestPasses = Passes.TestCase
