"""An HTTP proxy between one operator and the API server, which does what `faults` decides.

The operator talks plain HTTP to it, with a token of its own, which is passed on; the proxy talks TLS to the API server.
Answers are passed on whole, those of watches line by line.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web
from yarl import URL

from tests.faults.calls import Call, read_call
from tests.faults.faults import (
    Delay,
    Disturb,
    EndWatch,
    Fault,
    HeldLines,
    Kill,
    LoseReply,
    Moment,
    Refuse,
    Stale,
    Weather,
    error_event,
    status,
)
from tests.faults.sessions import tls_session

HOP_BY_HOP = ("host", "connection", "transfer-encoding", "content-length", "keep-alive", "date", "server")


@dataclass(frozen=True)
class Reply:
    """An answer of the API server, whole."""

    code: int
    headers: dict[str, str]
    body: bytes

    def response(self) -> web.Response:
        return web.Response(status=self.code, headers=self.headers, body=self.body)


class Proxy:
    """`calls` has every call in the order in which they came, openings of watches included. `on_kill` is to end the
    operator with SIGKILL and to return when the signal is sent."""

    def __init__(self, server: str, session: aiohttp.ClientSession, on_kill: Callable[[], None]) -> None:
        self._server = server
        self._session = session
        self._on_kill = on_kill
        self._weather = Weather()
        self._changed = asyncio.Event()
        self._first_lists: dict[Call, Reply] = {}
        self.calls: list[Call] = []
        self.killed_at: float | None = None
        """The event loop's time of the last kill."""
        self.watching_again_at: dict[str, float] = {}
        """When each resource was first watched after that."""

    @property
    def faults(self) -> tuple[Fault, ...]:
        return self._weather.faults

    @faults.setter
    def faults(self, faults: tuple[Fault, ...]) -> None:
        """Set the faults from now on, instead of those before."""
        self._weather = Weather(faults)
        self._changed.set()
        self._changed = asyncio.Event()

    @property
    def absence(self) -> float:
        """Seconds from the last kill until the operator watched everything again; 0 where there was none."""
        if self.killed_at is None:
            return 0.0
        return max(self.watching_again_at.values(), default=self.killed_at) - self.killed_at

    def _kill(self) -> None:
        self._on_kill()
        self.killed_at = asyncio.get_running_loop().time()
        self.watching_again_at = {}

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One call of the operator's."""
        body = await request.read()
        call = read_call(request.method, request.path, request.query, body)
        self.calls.append(call)
        effect = self._weather.strike(call)
        if call.verb == "watch":
            self.watching_again_at.setdefault(call.resource, asyncio.get_running_loop().time())
        match effect:
            case Kill(Moment.BEFORE):
                self._kill()
                return _silence(request)
            case Refuse(code, retry_after):
                return _refusal(code, retry_after)
            case Stale() if call in self._first_lists:
                return self._first_lists[call].response()
            case Delay(seconds):
                await asyncio.sleep(seconds)
        try:
            async with self._session.request(
                request.method,
                URL(self._server + request.raw_path, encoded=True),
                headers=_headers(request.headers.items()),
                data=body or None,
            ) as answer:
                if call.verb == "watch" and answer.status == 200:
                    return await self._stream(request, call, answer, effect)
                reply = Reply(answer.status, _headers(answer.headers.items()), await answer.read())
        except aiohttp.ClientError:
            # The API server is away: so it looks to the operator too.
            return _silence(request)
        if call.verb == "list" and reply.code == 200:
            self._first_lists.setdefault(call, reply)
        match effect:
            case Kill():
                self._kill()
                return _silence(request)
            case LoseReply():
                return _silence(request)
        return reply.response()

    async def _stream(
        self, request: web.BaseRequest, call: Call, answer: aiohttp.ClientResponse, effect: object
    ) -> web.StreamResponse:
        """Pass on the lines of a watch until either end closes it."""
        if isinstance(effect, Kill):
            self._kill()
        if isinstance(effect, Kill | LoseReply):
            return _silence(request)
        response = web.StreamResponse(status=200, headers=_headers(answer.headers.items()))
        await response.prepare(request)
        held, last, silent = HeldLines(), None, False
        lines = _lines(answer)
        pending = asyncio.ensure_future(anext(lines, None))
        try:
            while True:
                changed = asyncio.ensure_future(self._changed.wait())
                try:
                    await asyncio.wait({pending, changed}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    changed.cancel()
                fault = self._weather.strike_watch(call)
                silent = silent or fault is Disturb.SILENCE
                if isinstance(fault, EndWatch):
                    await response.write(error_event(fault.code) + b"\n")
                    return response
                if fault is None and not silent:
                    for line in held.release(coalesce=last is Disturb.COALESCE):
                        await response.write(line + b"\n")
                last = fault if isinstance(fault, Disturb) else None
                if not pending.done():
                    continue
                taken = pending.result()
                if taken is None:
                    # A connection whose other end is gone does not tell when the watch would have ended.
                    await asyncio.Event().wait() if silent else None
                    return response
                for line in [] if silent else held.take(taken, fault):
                    await response.write(line + b"\n")
                pending = asyncio.ensure_future(anext(lines, None))
        except (ConnectionError, aiohttp.ClientError):
            return response
        finally:
            pending.cancel()


async def _lines(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in answer.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line


def _silence(request: web.BaseRequest) -> web.Response:
    """Close the connection without an answer."""
    if request.transport:
        request.transport.abort()
    return web.Response()


def _refusal(code: int, retry_after: int) -> web.Response:
    headers = {"Retry-After": str(retry_after)} if retry_after else {}
    body = json.dumps(status(code, retry_after=retry_after)).encode()
    return web.Response(status=code, headers=headers, body=body, content_type="application/json")


def _headers(items: object) -> dict[str, str]:
    return {name: value for name, value in items if name.lower() not in HOP_BY_HOP}  # type: ignore[attr-defined]


@asynccontextmanager
async def proxying(kubeconfig: Path, folder: Path, on_kill: Callable[[], None]) -> AsyncIterator[tuple[Proxy, Path]]:
    """A proxy to the API server of a kubeconfig, and a kubeconfig that leads through it, until the block ends."""
    config = _read(kubeconfig)
    cluster = config["clusters"][0]["cluster"]
    trusted = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    async with tls_session(
        trusted,
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
        read_bufsize=2**20,
    ) as session:
        proxy = Proxy(cluster["server"], session, on_kill)
        runner = web.ServerRunner(
            web.Server(proxy.handle, access_log=None, handler_cancellation=True), shutdown_timeout=0.1
        )
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            config["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{port}"}
            yield proxy, _write(folder / "proxied.kubeconfig", config)
        finally:
            await runner.cleanup()


def _read(kubeconfig: Path) -> Any:
    return yaml.safe_load(kubeconfig.read_text())


def _write(path: Path, config: Any) -> Path:
    path.write_text(yaml.safe_dump(config))
    return path
