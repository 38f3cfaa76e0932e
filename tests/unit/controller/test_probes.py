"""What the process answers over HTTP."""

import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest_asyncio

from scheduledtask.controller.probes import OLDEST_SIGN, Probes


@dataclass
class Watch:
    name: str
    age: float = 0.0


@dataclass
class Process:
    """What the probes look at, and where they answer."""

    watches: tuple[Watch, ...]
    url: str
    synced: bool = False


@pytest_asyncio.fixture(loop_scope="function")
async def process() -> AsyncIterator[Process]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    made = Process((Watch("jobs"), Watch("pods")), f"http://127.0.0.1:{port}")
    probes = Probes(made.watches, lambda: made.synced)
    await probes.serve(port)
    yield made
    await probes.close()


async def get(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


async def test_it_is_alive_while_every_watch_is(process: Process) -> None:
    process.watches[0].age = OLDEST_SIGN
    status, text = await get(f"{process.url}/healthz")
    assert status == 200
    assert text == "jobs: last sign of life 300 s ago\npods: last sign of life 0 s ago\n"


async def test_one_silent_watch_makes_it_dead_and_is_named(process: Process) -> None:
    process.watches[1].age = OLDEST_SIGN + 1
    status, text = await get(f"{process.url}/healthz")
    assert status == 503
    assert "pods: last sign of life 301 s ago" in text


async def test_it_is_ready_once_everything_is_listed(process: Process) -> None:
    assert await get(f"{process.url}/readyz") == (503, "still listing\n")
    process.synced = True
    assert await get(f"{process.url}/readyz") == (200, "synced\n")


async def test_metrics_are_in_the_format_of_prometheus(process: Process) -> None:
    process.watches[0].age = 12.0
    status, text = await get(f"{process.url}/metrics")
    assert status == 200
    assert 'scheduledtask_watch_age_seconds{watch="jobs"} 12.0' in text
    assert "# TYPE scheduledtask_api_requests_total counter" in text
