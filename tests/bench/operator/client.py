"""An administrator's client that is fast enough not to be what is measured: plain JSON over kept connections."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiohttp
import msgspec
import yaml

from tests.cluster import Cluster

Body = dict[str, Any]
Item = TypeVar("Item")


class Client:
    """Requests to one API server. What is refused raises RuntimeError with the answer."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def send(self, method: str, path: str, body: Body | None = None, kind: str = "application/json") -> Body:
        """One request; `kind` is the content type of the body."""
        data = None if body is None else msgspec.json.encode(body)
        async with self._session.request(method, path, data=data, headers={"Content-Type": kind}) as response:
            answer = await response.read()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {answer[:500].decode()}")
        decoded: Body = msgspec.json.decode(answer)
        return decoded

    async def merge(self, path: str, body: Body) -> Body:
        """A merge patch."""
        return await self.send("PATCH", path, body, "application/merge-patch+json")

    async def pages(self, path: str) -> AsyncIterator[Body]:
        """The objects of a list, read in pages."""
        token = ""
        while True:
            page = await self.send("GET", f"{path}?limit=500&continue={token}")
            for item in page["items"]:
                yield item
            token = page["metadata"].get("continue", "")
            if not token:
                return

    async def watch(self, path: str, on_event: Callable[[str, Body], None]) -> None:
        """Hand over each event, type and object, from now on; ends after an hour or when it is cancelled."""
        version = (await self.send("GET", f"{path}?limit=1"))["metadata"]["resourceVersion"]
        query = {"watch": "true", "resourceVersion": version, "timeoutSeconds": "3600"}
        limits = aiohttp.ClientTimeout(total=None)
        async with self._session.get(path, params=query, timeout=limits) as response:
            rest = b""
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = msgspec.json.decode(line)
                    on_event(event["type"], event["object"])


@asynccontextmanager
async def connect(cluster: Cluster) -> AsyncIterator[Client]:
    """A client with an administrator's rights."""
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    server, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    trusted = ssl.create_default_context(cadata=base64.b64decode(server["certificate-authority-data"]).decode())
    async with aiohttp.ClientSession(
        base_url=server["server"],
        connector=aiohttp.TCPConnector(ssl=trusted, limit=0),
        headers={"Authorization": f"Bearer {user['token']}"},
        read_bufsize=2**20,
    ) as session:
        yield Client(session)


async def for_each(items: Iterable[Item], act: Callable[[Item], Awaitable[object]], at_once: int) -> None:
    """Act on every item, `at_once` at the same time."""
    rest = iter(items)

    async def work() -> None:
        for item in rest:
            await act(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(work())
