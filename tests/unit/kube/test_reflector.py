"""A mirror of one kind of object follows lists and watches, and finds its way back when they break."""

import asyncio
from collections.abc import Set
from contextlib import suppress
from typing import Any

import msgspec

from scheduledtask.domain.values import Key
from scheduledtask.kube.reflector import Reflector, Resource, list_into
from scheduledtask.kube.wire import JobObject, Metadata
from tests.unit.kube import wire_objects as wire
from tests.unit.kube.http_server import HttpServer, event, lines, says, status

JOBS = Resource(JobObject, "/apis/batch/v1", "jobs", None, (("labelSelector", "scheduledtask.dev/task"),))
SOON = 20.0
"""Seconds after which a test gives up waiting."""


class Mirror:
    """A sink that keeps the versions of what it holds by name, and can be waited for. It reads every object."""

    def __init__(self) -> None:
        self.held: dict[str, str] = {}
        self.lists: list[int] = []
        self._changed = asyncio.Event()

    def put(self, item: JobObject) -> None:
        self.held[item.value().name] = item.metadata.resource_version
        self._changed.set()

    def remove(self, metadata: Metadata) -> None:
        self.held.pop(metadata.name, None)
        self._changed.set()

    def keep_only(self, listed: Set[Key], version: int) -> None:
        names = {key.name for key in listed}
        self.held = {name: held for name, held in self.held.items() if name in names}
        self.lists.append(version)
        self._changed.set()

    async def holds(self, held: dict[str, str], lists: list[int]) -> None:
        """Wait until this is what it holds, after lists of these versions."""
        async with asyncio.timeout(SOON):
            while (self.held, self.lists) != (held, lists):
                self._changed.clear()
                await self._changed.wait()


def job(name: str, version: int, **more: Any) -> bytes:
    return wire.job(name=name, resourceVersion=str(version), **more)


def listing(version: int, *jobs: bytes, more: str = "") -> bytes:
    metadata = f'{{"resourceVersion": "{version}", "continue": "{more}"}}'.encode()
    return b'{"metadata": ' + metadata + b', "items": [' + b",".join(jobs) + b"]}"


async def mirrored(server: HttpServer, held: dict[str, str], lists: list[int]) -> Reflector[JobObject]:
    """Run a reflector until its sink holds this and it watches on, all answers of the server being given."""
    mirror = Mirror()
    async with server as api:
        reflector = Reflector(api, JOBS, mirror)
        assert not reflector.synced.is_set()
        running = asyncio.create_task(reflector.run())
        try:
            await mirror.holds(held, lists)
            await asyncio.wait_for(server.silent.wait(), SOON)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
    assert reflector.synced.is_set()
    return reflector


def watched_from(server: HttpServer) -> list[str]:
    """The resource versions from which watches were opened."""
    return [query["resourceVersion"] for _, _, query, _ in server.requests if "watch" in query]


async def test_a_list_in_pages_is_one_list_and_keeps_its_selectors() -> None:
    server = HttpServer([says(listing(7, job("a", 1), more="next")), says(listing(7, job("b", 2)))])
    mirror = Mirror()
    mirror.put(msgspec.json.decode(job("gone", 1), type=JobObject))
    async with server as api:
        assert await list_into(mirror, api, JOBS) == "7"
    assert (mirror.held, mirror.lists) == ({"a": "1", "b": "2"}, [7])
    assert [query.get("continue") for _, _, query, _ in server.requests] == [None, "next"]
    assert all(query["labelSelector"] == "scheduledtask.dev/task" for _, _, query, _ in server.requests)


async def test_a_watch_goes_on_where_the_list_ended() -> None:
    server = HttpServer(
        [
            says(listing(10, job("a", 1), job("b", 2))),
            lines(
                event("ADDED", job("c", 11)),
                event("MODIFIED", job("a", 12)),
                event("DELETED", job("b", 13)),
                event("BOOKMARK", b'{"kind": "Job", "metadata": {"resourceVersion": "20"}, "spec": {}}'),
            ),
        ]
    )
    await mirrored(server, {"a": "12", "c": "11"}, [10])
    assert watched_from(server) == ["10", "20"]


async def test_lines_are_put_together_from_any_pieces() -> None:
    large = job("a", 12, annotations={"note": "ü" * 50_000})
    server = HttpServer([says(listing(10)), lines(event("ADDED", large), event("ADDED", job("b", 13)), piece=7001)])
    await mirrored(server, {"a": "12", "b": "13"}, [10])


# The cases of one test run side by side: each waits out the pauses that keep a reflector from being a burden.


async def test_a_place_that_is_lost_is_found_again_by_a_new_list() -> None:
    losses = {
        "told in the watch": lines(event("ERROR", status(410, "too old resource version"))),
        "told in place of the watch": says(status(410, "too old resource version"), 410),
    }
    servers = {
        name: HttpServer([says(listing(10, job("a", 1))), loss, says(listing(30, job("b", 25)))])
        for name, loss in losses.items()
    }
    await asyncio.gather(*(mirrored(server, {"b": "25"}, [10, 30]) for server in servers.values()))
    for name, server in servers.items():
        assert watched_from(server)[-1] == "30", name


async def test_other_trouble_needs_no_new_list() -> None:
    troubles = {
        "an error": says(status(500, "etcd leader changed"), 500),
        "an answer that is no JSON": says(b"<html>bad gateway</html>", 502),
        "an error within the watch": lines(event("ERROR", status(500, "broken"))),
        "a line that was cut off": lines(b'{"type": "ADDED", "obj'),
        "an end without a word": lines(),
    }
    servers = {
        name: HttpServer([says(listing(10, job("a", 1))), trouble, lines(event("ADDED", job("b", 11)))])
        for name, trouble in troubles.items()
    }
    await asyncio.gather(*(mirrored(server, {"a": "1", "b": "11"}, [10]) for server in servers.values()))
    for name, server in servers.items():
        assert watched_from(server)[:2] == ["10", "10"], name


async def test_a_job_with_odd_annotations_does_not_stop_it() -> None:
    odd = {"batch.kubernetes.io/cronjob-scheduled-timestamp": "soon"}
    server = HttpServer([says(listing(10, job("odd", 1, annotations=odd))), lines(event("ADDED", job("b", 11)))])
    await mirrored(server, {"odd": "1", "b": "11"}, [10])


async def test_its_age_is_the_time_since_the_last_sign_of_life() -> None:
    now = [100.0]
    async with HttpServer([]) as api:
        reflector = Reflector(api, JOBS, Mirror(), clock=lambda: now[0])
        now[0] = 130.0
        assert (reflector.name, reflector.age) == ("jobs", 30.0)
