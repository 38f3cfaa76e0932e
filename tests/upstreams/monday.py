"""A stand-in for Monday.com's GraphQL API (v2), over real HTTP: boards, pages of items, cursors, complexity, errors.

::

    with MondayServer(boards={"7": items(250)}) as monday:
        monday.fault = Fault("budget", retry_in_seconds=1, times=1)
        httpx.post(monday.url, json={"query": …, "variables": …}, headers={"Authorization": monday.token})

``python3 monday.py --port 8080`` runs it alone, with two boards. Faults are then set over HTTP: ``POST /control/fault``
with the fields of :class:`Fault` as JSON, ``DELETE /control/fault``; ``GET /control/requests`` lists the queries.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import threading
import time
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self

Item = dict[str, Any]

_STATES = ("Working on it", "Done", "Stuck")


def items(count: int, first: int = 1) -> list[Item]:
    """So many items, as the API gives them."""
    return [
        {
            "id": str(1_000_000 + number),
            "name": f"Item {number}",
            "state": "active",
            "created_at": "2026-01-05T09:00:00Z",
            "updated_at": f"2026-02-{1 + number % 28:02}T10:00:00Z",
            "group": {"id": "topics", "title": "Group Title"},
            "column_values": [
                {
                    "id": "status",
                    "type": "status",
                    "text": _STATES[number % 3],
                    "value": json.dumps({"index": number % 3}),
                },
                {"id": "date4", "type": "date", "text": "2026-03-01", "value": '{"date":"2026-03-01"}'},
            ],
        }
        for number in range(first, first + count)
    ]


@dataclass(frozen=True, slots=True)
class Fault:
    """What to do instead of answering.

    ``kind``: ``status`` (answer with ``status``, ``retry_after`` as a header), ``slow`` (answer after ``seconds``),
    ``garbage`` (a 200 with HTML), ``truncated`` (a 200 that breaks off), ``expired`` (the 401 of an old token),
    ``error`` (an error with ``code`` in a 200), ``budget`` (the complexity budget is used up for
    ``retry_in_seconds``), ``old-budget`` (the same, as before 2024-10). ``query``: only queries that hold this.
    ``after``: only after so many such requests. ``times``: only for so many requests; None for all.
    """

    kind: Literal["status", "slow", "garbage", "truncated", "expired", "error", "budget", "old-budget"]
    status: int = 500
    retry_after: str | None = None
    seconds: float = 30.0
    code: str = "INTERNAL_SERVER_ERROR"
    message: str = "Internal server error"
    retry_in_seconds: int | None = None
    query: str = ""
    after: int = 0
    times: int | None = None


class MondayServer:
    """The server, answering while inside ``with``; see the module.

    ``budget``: complexity that each ``reset`` seconds allow; None for no end of it. An item costs 10. ``most``: cost
    that one query may have.
    """

    def __init__(
        self,
        token: str = "monday-test-token",
        boards: dict[str, list[Item]] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        budget: int | None = None,
        reset: int = 60,
        most: int = 5_000_000,
    ) -> None:
        self.token = token
        self.boards = boards if boards is not None else {"7": items(250), "8": items(30, first=1000)}
        self.fault: Fault | None = None
        self.requests: list[dict[str, Any]] = []
        self.most = most
        self._budget, self._reset = budget, reset
        self._left, self._since = budget or 0, time.monotonic()
        self._cursors = 1
        self._lock = threading.Lock()
        self._closing = threading.Event()
        server = self

        class Handler(_Handler):
            monday = server

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """The address of the API."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}/v2"

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

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the server's end."""
        self._closing.wait(seconds)

    def forget_cursors(self) -> None:
        """As after an hour: cursors given until now are not known any more."""
        self._cursors += 1

    def take_fault(self, query: str) -> Fault | None:
        """The fault for this request, counted down."""
        with self._lock:
            fault = self.fault
            if fault is None or fault.query not in query:
                return None
            if fault.after:
                self.fault = replace(fault, after=fault.after - 1)
                return None
            if fault.times is not None:
                self.fault = replace(fault, times=fault.times - 1) if fault.times > 1 else None
            return fault

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """The body of the answer to a sound query."""
        limit = variables.get("limit", 25)
        if not isinstance(limit, int) or not 1 <= limit <= 500:
            return problem("InvalidArgumentException", f"limit must be between 1 and 500, not {limit}", 200)
        cost = 10 * limit if "items_page" in query else 10
        if cost > self.most:
            said = f"Query has complexity of {cost}, which exceeds max complexity of {self.most}"
            return problem("maxComplexityExceeded", said, 429)
        refused = self._spend(cost)
        if refused is not None:
            return refused
        data = self._data(query, variables, limit)
        if "errors" in data:
            return data
        if "complexity" in query:
            left = self._left if self._budget is not None else 10_000_000
            data["complexity"] = {
                "before": left + cost,
                "query": cost,
                "after": left,
                "reset_in_x_seconds": self._resets_in(),
            }
        return {"data": data, "account_id": 18888528}

    def _data(self, query: str, variables: dict[str, Any], limit: int) -> dict[str, Any]:
        if "next_items_page" in query:
            try:
                told = base64.b64decode(str(variables.get("cursor")), validate=True).decode()
                generation, board, offset = told.split(",")
            except ValueError:
                return problem("CursorException", "Invalid cursor", 200)
            if int(generation) != self._cursors:
                said = "CursorExpiredError: The cursor provided for pagination has expired"
                return problem("CursorException", said, 200)
            return {"next_items_page": self._page(board, int(offset), limit)}
        if "items_page" in query:
            wanted = [board for board in map(str, variables["board"]) if board in self.boards]
            return {"boards": [{"items_page": self._page(board, 0, limit)} for board in wanted]}
        page = variables.get("page", 1)
        found = sorted(self.boards)[100 * (page - 1) : 100 * page]
        return {"boards": [{"id": board, "name": f"Board {board}"} for board in found]}

    def _page(self, board: str, offset: int, limit: int) -> dict[str, Any]:
        held = self.boards[board]
        end = offset + limit
        cursor = base64.b64encode(f"{self._cursors},{board},{end}".encode()).decode() if end < len(held) else None
        return {"cursor": cursor, "items": held[offset:end]}

    def _spend(self, cost: int) -> dict[str, Any] | None:
        with self._lock:
            if self._budget is None:
                return None
            if time.monotonic() - self._since >= self._reset:
                self._left, self._since = self._budget, time.monotonic()
            if cost > self._left:
                return budget_exhausted(self._resets_in(), cost, self._left)
            self._left -= cost
            return None

    def _resets_in(self) -> int:
        return max(1, round(self._reset - (time.monotonic() - self._since) + 0.5))


def problem(code: str, message: str, status: int, **more: Any) -> dict[str, Any]:
    """An answer that is an error."""
    return {
        "errors": [
            {
                "message": message,
                "locations": [{"line": 1, "column": 9}],
                "path": ["boards"],
                "extensions": {"code": code, "status_code": status, "error_data": {}, **more},
            }
        ],
        "account_id": 18888528,
    }


def budget_exhausted(seconds: int | None, cost: int = 30001, left: int = 19986) -> dict[str, Any]:
    """The answer when the complexity budget is used up."""
    budget = f"budget remaining {left} out of 1000000 reset in {seconds} seconds"
    message = f"Complexity budget exhausted, query cost {cost} {budget}"
    return problem("COMPLEXITY_BUDGET_EXHAUSTED", message, 429, complexity=cost, retry_in_seconds=seconds)


class _Handler(BaseHTTPRequestHandler):
    monday: MondayServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(200, self.monday.requests) if self.path == "/control/requests" else self._answer(404, {})

    def do_DELETE(self) -> None:
        self.monday.fault = None
        self._answer(200, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/control/fault":
            try:
                self.monday.fault = Fault(**json.loads(body))
            except (ValueError, TypeError) as error:
                return self._answer(400, {"error": str(error)})
            return self._answer(200, {})
        if self.path.rstrip("/") != "/v2":
            return self._answer(404, {"error": "not found"})
        try:
            asked = json.loads(body)
            query, variables = str(asked["query"]), dict(asked.get("variables") or {})
        except (ValueError, KeyError, TypeError):
            return self._answer(400, {"errors": [{"message": "Syntax error in JSON input"}]})
        self.monday.requests.append({"query": query, "variables": variables})
        fault = self.monday.take_fault(query)
        if fault is not None and fault.kind != "slow":
            return self._fail(fault)
        if fault is not None:
            self.monday.pause(fault.seconds)
        if self.headers.get("Authorization") != self.monday.token:
            return self._answer(401, {"errors": ["Not Authenticated"]})
        if not re.fullmatch(r"\d{4}-(01|04|07|10)", self.headers.get("API-Version", "")):
            return self._answer(400, problem("INVALID_API_VERSION", "Invalid API version", 400))
        if query.count("{") != query.count("}") or not query.startswith("query"):
            return self._answer(400, {"errors": [{"message": "Parse error on query", "extensions": {"code": "PARSE"}}]})
        answer = self.monday.answer(query, variables)
        return self._answer(200, answer)

    def _fail(self, fault: Fault) -> None:
        headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
        if fault.kind == "status":
            return self._answer(fault.status, {"error_message": fault.message, "status_code": fault.status}, headers)
        if fault.kind == "expired":
            return self._answer(401, {"errors": ["Not Authenticated"]})
        if fault.kind == "error":
            return self._answer(200, problem(fault.code, fault.message, fault.status))
        if fault.kind == "budget":
            return self._answer(200, budget_exhausted(fault.retry_in_seconds), headers)
        if fault.kind == "old-budget":
            said = f"Complexity budget exhausted, query cost 30001 reset in {fault.retry_in_seconds} seconds"
            body = {"error_code": "ComplexityException", "status_code": 429, "error_message": said, "error_data": {}}
            return self._answer(429, body, headers)
        if fault.kind == "garbage":
            return self._send(200, b"<html><body>We'll be back soon</body></html>", {"Content-Type": "text/html"})
        self.close_connection = True
        return self._send(200, b'{"data": {"boards": [{"items_pa', {"Content-Length": "4000"})

    def _answer(self, status: int, document: object, headers: dict[str, str] | None = None) -> None:
        self._send(
            status, json.dumps(document).encode(), {"Content-Type": "application/json; charset=utf-8"} | (headers or {})
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
    parser = argparse.ArgumentParser(description="A stand-in for the API of Monday.com, for tests and demos.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    parser.add_argument("--token", default="monday-test-token", help="the token that is accepted")
    options = parser.parse_args()
    with MondayServer(options.token, host=options.host, port=options.port) as monday:
        print(f"stand-in for Monday.com (not Monday.com's own), listening on {monday.url}", flush=True)
        try:
            monday.wait()
        except KeyboardInterrupt:
            print("ended")
