"""An HTTP server on this machine that answers as it is told, to see what the operator's client makes of it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from aiohttp import web
from kubernetes.aio import client

from scheduledtask.kube.api import KubernetesApi

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class HttpServer:
    """Gives `answers` one after the other, and after the last a watch that stays silent; `silent` is set then.

    An async context manager that gives a client.
    """

    answers: list[Answer]
    requests: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    """Method, path, query and JSON body of each request."""

    async def __aenter__(self) -> KubernetesApi:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        self.silent, self._stop = asyncio.Event(), asyncio.Event()
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._api = KubernetesApi(self.configuration)
        return self._api

    @property
    def configuration(self) -> client.Configuration:
        """The way to it, while it listens."""
        return client.Configuration(host=f"http://127.0.0.1:{self._runner.addresses[0][1]}")

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stop.set()
        await self._api.close()
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.requests.append((request.method, request.path, dict(request.query), json.loads(body) if body else None))
        if self.answers:
            return await self.answers.pop(0)(request)
        response = await lines()(request)
        self.silent.set()
        await self._stop.wait()
        return response


def says(body: bytes, status: int = 200) -> Answer:
    """An answer of JSON."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, content_type="application/json")

    return answer


def lines(*events: bytes, piece: int = 2**16) -> Answer:
    """A watch that sends these lines, in pieces of so many bytes, and then ends."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        data = b"".join(event + b"\n" for event in events)
        for start in range(0, len(data), piece):
            await response.write(data[start : start + piece])
        return response

    return answer


def event(kind: str, body: bytes) -> bytes:
    """One line of a watch."""
    return b'{"type": "' + kind.encode() + b'", "object": ' + body + b"}"


def status(code: int, message: str, **details: int) -> bytes:
    """A metav1.Status."""
    return json.dumps({"kind": "Status", "code": code, "message": message, "details": details}).encode()
