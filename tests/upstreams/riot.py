"""A stand-in for Riot's servers: LOL-STATUS-V4 ``platform-data`` and Data Dragon's ``versions.json``, over real HTTP.

::

    with RiotServer(key="RGAPI-test") as riot:
        riot.fault = Fault("status", status=429, retry_after="1", times=1)
        httpx.get(f"{riot.url}/lol/status/v4/platform-data", headers={"X-Riot-Token": "RGAPI-test"})

``python -m tests.upstreams.riot --port 8080`` runs it alone. Faults are then set over HTTP: ``POST
/control/fault`` with the fields of :class:`Fault` as JSON, ``DELETE /control/fault``; ``GET /control/requests``
lists the paths asked for.
"""

from __future__ import annotations

import argparse
import json
import threading
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Literal, Self

PLATFORM_DATA = {
    "id": "EUW1",
    "name": "EU West",
    "locales": ["en_GB", "de_DE", "es_ES", "fr_FR", "it_IT"],
    "maintenances": [
        {
            "id": 9381,
            "maintenance_status": "scheduled",
            "incident_severity": None,
            "titles": [
                {"locale": "de_DE", "content": "Patch 15.21"},
                {"locale": "en_US", "content": "Patch 15.21 maintenance"},
            ],
            "updates": [],
            "created_at": "2025-10-21T02:00:00.000000+00:00",
            "updated_at": None,
            "archive_at": "2025-10-22T09:00:00.000000+00:00",
            "platforms": ["windows", "macos"],
        }
    ],
    "incidents": [
        {
            "id": 9402,
            "maintenance_status": None,
            "incident_severity": "warning",
            "titles": [{"locale": "en_US", "content": "Ranked queues are closed"}],
            "updates": [
                {
                    "id": 14001,
                    "author": "",
                    "publish": True,
                    "publish_locations": ["riotclient"],
                    "translations": [{"locale": "en_US", "content": "We are looking into it."}],
                    "created_at": "2025-10-20T18:00:00.000000+00:00",
                    "updated_at": "2025-10-20T18:00:00.000000+00:00",
                }
            ],
            "created_at": "2025-10-20T18:00:00.000000+00:00",
            "updated_at": "2025-10-20T18:30:00.000000+00:00",
            "archive_at": None,
            "platforms": ["windows", "macos"],
        }
    ],
}
VERSIONS = ["15.21.1", "15.20.1", "15.19.1", "lolpatch_7.20", "0.151.2"]

_MESSAGES = {401: "Unauthorized", 403: "Forbidden", 404: "Data not found", 429: "Rate limit exceeded"}


@dataclass(frozen=True, slots=True)
class Fault:
    """What to do instead of answering.

    ``kind``: ``status`` (answer with ``status`` and Riot's error body, ``retry_after`` as a header), ``slow``
    (answer after ``seconds``), ``garbage`` (a 200 with HTML), ``truncated`` (a 200 that breaks off), ``echo``
    (a 403 that repeats the key it got). ``path``: only where the path begins so. ``times``: only for so many
    requests; None for all.
    """

    kind: Literal["status", "slow", "garbage", "truncated", "echo"]
    status: int = 500
    retry_after: str | None = None
    seconds: float = 30.0
    path: str = "/"
    times: int | None = None


class RiotServer:
    """The server, answering while inside ``with``; see the module."""

    def __init__(
        self, key: str = "RGAPI-test", host: str = "127.0.0.1", port: int = 0, fault: Fault | None = None
    ) -> None:
        self.key = key
        self.fault = fault
        self.requests: list[str] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        server = self

        class Handler(_Handler):
            riot = server

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """The base URL of both services."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait(self) -> None:
        """Block until the server ends."""
        self._thread.join()

    def take_fault(self, path: str) -> Fault | None:
        """The fault for this request, counted down."""
        with self._lock:
            fault = self.fault
            if fault is None or not path.startswith(fault.path):
                return None
            if fault.times is not None:
                self.fault = replace(fault, times=fault.times - 1) if fault.times > 1 else None
            return fault

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the server's end."""
        self._closing.wait(seconds)


class _Handler(BaseHTTPRequestHandler):
    riot: RiotServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/control/requests":
            return self._answer(200, self.riot.requests)
        self.riot.requests.append(self.path)
        fault = self.riot.take_fault(self.path)
        if fault is not None and fault.kind != "slow":
            return self._fail(fault)
        if fault is not None:
            self.riot.pause(fault.seconds)
        if self.path == "/api/versions.json":
            return self._answer(200, VERSIONS)
        if self.path != "/lol/status/v4/platform-data":
            return self._refuse(404)
        if "X-Riot-Token" not in self.headers:
            return self._refuse(401)
        if self.headers["X-Riot-Token"] != self.riot.key:
            return self._refuse(403)
        return self._answer(200, PLATFORM_DATA)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/control/fault":
            return self._refuse(404)
        try:
            self.riot.fault = Fault(**json.loads(body))
        except (ValueError, TypeError) as error:
            return self._answer(400, {"error": str(error)})
        return self._answer(200, {})

    def do_DELETE(self) -> None:
        self.riot.fault = None
        self._answer(200, {})

    def _fail(self, fault: Fault) -> None:
        if fault.kind == "status":
            return self._refuse(fault.status, {"Retry-After": fault.retry_after} if fault.retry_after else {})
        if fault.kind == "echo":
            said = f"Forbidden: {self.headers.get('X-Riot-Token')}"
            return self._answer(403, {"status": {"message": said, "status_code": 403}})
        if fault.kind == "garbage":
            return self._send(200, b"<html><body>We'll be back soon</body></html>", {"Content-Type": "text/html"})
        self.close_connection = True
        return self._send(200, b'{"id": "EUW1", "na', {"Content-Length": "4000"})

    def _refuse(self, status: int, headers: dict[str, str] | None = None) -> None:
        message = _MESSAGES.get(status, "Internal server error" if status == 500 else "Service unavailable")
        self._answer(status, {"status": {"message": message, "status_code": status}}, headers)

    def _answer(self, status: int, document: object, headers: dict[str, str] | None = None) -> None:
        self._send(
            status, json.dumps(document).encode(), {"Content-Type": "application/json;charset=utf-8"} | (headers or {})
        )

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        try:
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client gave up waiting

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: requests are listed under /control/requests."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A stand-in for the Riot API and Data Dragon, for tests and demos.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    parser.add_argument("--key", default="RGAPI-test", help="the key that is accepted (default RGAPI-test)")
    options = parser.parse_args()
    with RiotServer(options.key, options.host, options.port) as riot:
        print(f"stand-in for the Riot API (not Riot's own), listening on {riot.url}", flush=True)
        try:
            riot.wait()
        except KeyboardInterrupt:
            print("ended")
