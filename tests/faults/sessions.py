"""HTTP sessions that leave nothing behind when their block ends."""

from __future__ import annotations

import asyncio
import socket
import ssl
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

LOOKS, POLL = 1000, 0.005
"""How often it looks whether the other ends have closed their connections, and after how many seconds again."""


@asynccontextmanager
async def tls_session(trusted: ssl.SSLContext, **options: Any) -> AsyncIterator[aiohttp.ClientSession]:
    """A session with as many connections as there are requests. When the block ends they are closed, not only told to.

    A request that is cancelled leaves its connection in the middle of TLS's goodbye. If the event loop ends before that
    does, the socket is closed by the garbage collector, which complains; and a complaint fails a run of tests.
    """
    sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def make_socket(address: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, *_ = address
        made = socket.socket(family, kind, protocol)
        sockets.add(made)
        return made

    connector = aiohttp.TCPConnector(ssl=trusted, limit=0, socket_factory=make_socket)
    try:
        async with aiohttp.ClientSession(connector=connector, **options) as session:
            yield session
    finally:
        for _ in range(LOOKS):
            if all(made.fileno() == -1 for made in tuple(sockets)):
                break
            await asyncio.sleep(POLL)
