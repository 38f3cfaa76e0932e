"""The workers beside everything else that the event loop has to do."""

import asyncio
from contextlib import suppress

from scheduledtask.controller.queue import WorkQueue
from scheduledtask.controller.reconciler import Reconciler
from scheduledtask.controller.store import Store
from scheduledtask.domain.values import Key
from tests.unit.builders import NOON
from tests.unit.kube.http_server import HttpServer


async def test_passes_that_await_nothing_let_others_have_their_turn() -> None:
    queue = WorkQueue()
    async with HttpServer([]) as api:
        reconciler = Reconciler(api, Store(queue.add), queue, lambda: NOON, lambda _: None, lambda _, __: None)
        for number in range(100):
            queue.add(Key("ns", f"gone-{number}"))
        working = asyncio.create_task(reconciler.work())
        turns = 0
        while len(queue):
            await asyncio.sleep(0)
            turns += 1
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
    assert turns >= 100
