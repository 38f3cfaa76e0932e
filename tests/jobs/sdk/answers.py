"""An HTTP server that answers as it is told, over real sockets."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


@dataclass(frozen=True, slots=True)
class Answer:
    """``promised``: bytes that Content-Length tells of, where they are not all sent; ``drip``: seconds between two
    bytes; ``silence``: seconds before the first."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"fine"
    promised: int | None = None
    drip: float = 0
    silence: float = 0


class AnswerServer:
    """Gives the answers one after the other, the last one again and again; ``requests`` are "METHOD path"."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.answers: list[Answer] = [Answer()]
        self.closing = threading.Event()
        server = self

        class Handler(_Handler):
            told = server

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def tell(self, *answers: Answer) -> None:
        self.answers = list(answers)

    def take(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    told: AnswerServer

    def do_GET(self) -> None:
        self.told.requests.append(f"{self.command} {self.path}")
        answer = self.told.take()
        self.told.closing.wait(answer.silence)
        try:
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(answer.body) if answer.promised is None else answer.promised))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            for start in range(0, len(answer.body), 1 if answer.drip else 65536):
                self.told.closing.wait(answer.drip)
                self.wfile.write(answer.body[start : start + (1 if answer.drip else 65536)])
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client gave up
        self.close_connection = True

    do_POST = do_GET  # noqa: N815 - the name is the library's

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: requests are listed."""
