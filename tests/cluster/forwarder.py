"""The one way between a node's network and the host's 127.0.0.1, run inside the node's namespaces.

It holds descriptors of both networks. A socket belongs to the network in which it was made, wherever it is used later,
so the process enters a network for the moment of making a socket. A forward lives as long as the connection on the
control socket that asked for it: a killed client leaves none behind.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from . import nodefiles
from .nodefiles import HOST_NETWORK, Node

Side = Literal["host", "node"]
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Address:
    """A TCP address on one side."""

    side: Side
    host: str
    port: int


@dataclass(frozen=True)
class Networks:
    """Descriptors of the two network namespaces; the process itself is at home in the node's."""

    host: int
    node: int

    @contextmanager
    def entered(self, side: Side) -> Iterator[None]:
        """Make what is made inside belong to `side`. Nothing may be awaited inside."""
        if side == "host":
            _enter(self.host)
        try:
            yield
        finally:
            if side == "host":
                _enter(self.node)


def _enter(network: int) -> None:
    if _libc.setns(network, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


async def forward(networks: Networks, listen: Address, dial: Address) -> asyncio.Server:
    """Listen on one side and pass each connection on to an address on the other. Port 0 takes any that is free."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            with networks.entered(dial.side):
                beyond = socket.socket()
            beyond.setblocking(False)
            try:
                await asyncio.get_running_loop().sock_connect(beyond, (dial.host, dial.port))
            except OSError:
                beyond.close()
                return
            far_reader, far_writer = await asyncio.open_connection(sock=beyond)
            with closing(far_writer):
                await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))

    with networks.entered(listen.side):
        server_socket = socket.create_server((listen.host, listen.port), backlog=128)
    return await asyncio.start_server(connected, sock=server_socket)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


def answer_requests(networks: Networks) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Serve the control socket: a line ``{"listen": [side, host, port], "dial": […]}`` in, ``{"port": …}`` out."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            try:
                request = json.loads(await reader.readline())
                server = await forward(networks, Address(*request["listen"]), Address(*request["dial"]))
            except (OSError, ValueError, TypeError, KeyError) as error:
                writer.write(json.dumps({"error": str(error)}).encode() + b"\n")
                return
            async with server:
                writer.write(json.dumps({"port": server.sockets[0].getsockname()[1]}).encode() + b"\n")
                await writer.drain()
                await reader.read()  # ends when the client closes, or is killed

    return connected


async def main(directory: Path) -> None:
    """Forward the API server, and whatever clients ask for, until killed."""
    node = Node.load(directory)
    networks = Networks(host=int(os.environ[HOST_NETWORK]), node=os.open("/proc/self/ns/net", os.O_RDONLY))
    plane = node.plane
    api = await forward(
        networks, Address("host", "127.0.0.1", plane.host_port), Address("node", nodefiles.ADDRESS, plane.api_port)
    )
    requests = directory / nodefiles.FORWARD_SOCKET
    requests.unlink(missing_ok=True)
    control = await asyncio.start_unix_server(answer_requests(networks), requests)
    async with api, control:
        await asyncio.gather(api.serve_forever(), control.serve_forever())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
