"""What others ask of the process over HTTP: is it alive, is it ready, what has it measured?"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from scheduledtask.metrics import WATCH_AGE

OLDEST_SIGN = 300.0
"""Seconds without a sign of life after which a watch counts as dead: twice what it takes to notice and reconnect."""

log = structlog.get_logger("scheduledtask")


def _listen(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


class Watch(Protocol):
    """What is known of a watch's health."""

    @property
    def name(self) -> str: ...
    @property
    def age(self) -> float: ...


class Probes:
    """Serves /healthz, /readyz and /metrics."""

    def __init__(self, watches: Sequence[Watch], is_synced: Callable[[], bool]) -> None:
        self._watches = watches
        self._is_synced = is_synced
        application = web.Application()
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(application, access_log=None)
        for watch in watches:
            WATCH_AGE.labels(watch=watch.name).set_function(lambda watch=watch: watch.age)  # type: ignore[misc]

    async def serve(self, port: int) -> None:
        """Begin to listen on all addresses, IPv4 and IPv6. Raises OSError where the port is taken."""
        await self._runner.setup()
        listener = _listen(port)
        await web.SockSite(self._runner, listener).start()
        log.info("listening", port=listener.getsockname()[1])

    async def close(self) -> None:
        await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        """200 while every watch has given a sign of life lately; else 503, naming those that have not."""
        lines = [f"{watch.name}: last sign of life {watch.age:.0f} s ago" for watch in self._watches]
        dead = any(watch.age > OLDEST_SIGN for watch in self._watches)
        return web.Response(status=503 if dead else 200, text="\n".join([*lines, ""]))

    async def _readyz(self, _: web.Request) -> web.Response:
        synced = self._is_synced()
        return web.Response(status=200 if synced else 503, text="synced\n" if synced else "still listing\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        # Of ten thousand tasks it takes a second to write, in which watches have to be read.
        text = await asyncio.to_thread(generate_latest)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})
