"""A real HTTP server on 127.0.0.1 that receives webhooks: it keeps what came, and answers as badly as a test asks."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass(frozen=True)
class Received:
    """One request; the names of its headers in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def message(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.body)
        return message


@dataclass
class Receiver:
    """What came, in order; `faults` are the next answers on a path, before it says 204 to everything."""

    port: int
    requests: list[Received] = field(default_factory=list)
    faults: dict[str, list[Answer]] = field(default_factory=dict)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def on(self, path: str) -> list[Received]:
        """What came on a path so far."""
        return [request for request in self.requests if request.path == path]


@contextmanager
def receiving(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver on a free port, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = self.rfile.read(length)
            if len(body) < length:
                # Whoever sent it ended in the middle: to any receiver that is no message.
                self.close_connection = True
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            faults = receiver.faults.get(self.path)
            answer = faults.pop(0) if faults else says(204)
            receiver.requests.append(Received(self.path, headers, body))
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    receiver = Receiver(server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


def says(status: int, **headers: str) -> Answer:
    """An answer with a status; an underscore in the name of a header stands for a hyphen."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def hangs(until: threading.Event) -> Answer:
    """No answer before the event is set, and then the end of the connection."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        until.wait(60)
        handler.close_connection = True

    return answer


def resets(handler: BaseHTTPRequestHandler) -> None:
    """The connection is torn down in the middle of the request."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.connection.close()
