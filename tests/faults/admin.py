"""An administrator's client of the API server: plain JSON over kept connections, for many requests in little time."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import yaml

from tests.cluster import Cluster
from tests.faults.sessions import tls_session

Body = dict[str, Any]


class ApiError(Exception):
    """The API server said no."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code


class Admin:
    """Requests to one API server. Raises ApiError, and aiohttp.ClientError where it is away."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def send(self, method: str, path: str, body: Body | None = None, kind: str = "application/json") -> Body:
        """One request; `kind` is the content type of the body."""
        data = None if body is None else json.dumps(body).encode()
        async with self._session.request(method, path, data=data, headers={"Content-Type": kind}) as response:
            answer = await response.read()
        if response.status >= 300:
            raise ApiError(response.status, f"{method} {path}: {response.status} {answer[:500].decode()}")
        decoded: Body = json.loads(answer)
        return decoded

    async def merge(self, path: str, body: Body) -> Body:
        """A merge patch."""
        return await self.send("PATCH", path, body, "application/merge-patch+json")

    async def watch(self, path: str, version: str) -> AsyncIterator[bytes]:
        """The lines of a watch from a resource version on, until the API server ends it."""
        query = {"watch": "true", "resourceVersion": version, "timeoutSeconds": "3600"}
        limits = aiohttp.ClientTimeout(total=None)
        async with self._session.get(path, params=query, timeout=limits) as response:
            if response.status != 200:
                raise ApiError(response.status, f"watch {path}: {response.status}")
            rest = b""
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield line


@asynccontextmanager
async def connect(cluster: Cluster) -> AsyncIterator[Admin]:
    """A client with an administrator's rights, until the block ends."""
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    server, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    trusted = ssl.create_default_context(cadata=base64.b64decode(server["certificate-authority-data"]).decode())
    async with tls_session(
        trusted,
        base_url=server["server"],
        headers={"Authorization": f"Bearer {user['token']}"},
        read_bufsize=2**20,
    ) as session:
        yield Admin(session)
