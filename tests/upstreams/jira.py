"""A stand-in for Jira's REST API v3, over real HTTP: ``/rest/api/3/search/jql`` with its page tokens and errors.

::

    with JiraServer(issues=issues(250)) as jira:
        jira.fault = Fault("status", status=429, retry_after="1", times=1)
        httpx.post(f"{jira.url}/rest/api/3/search/jql", json={"jql": "project = APP"}, auth=(jira.email, jira.token))

``python3 jira.py --port 8080`` runs it alone. Faults are then set over HTTP: ``POST /control/fault`` with the fields of
:class:`Fault` as JSON, ``DELETE /control/fault``; ``GET /control/requests`` lists the bodies of the searches.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import threading
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self

Issue = dict[str, Any]

_STATUSES = (("10000", "To Do"), ("10001", "In Progress"), ("10002", "Done"))
_SEARCH = "/rest/api/3/search/jql"
_MOST = 100
"""Issues in a page, however many are asked for."""


def issues(count: int, project: str = "APP", first: int = 1) -> list[Issue]:
    """So many issues, as the API gives them."""
    found = []
    for number in range(first, first + count):
        identity, name = _STATUSES[number % 3]
        found.append(
            {
                "expand": "operations,versionedRepresentations,editmeta,changelog,renderedFields",
                "id": str(10_000 + number),
                "self": f"https://example.atlassian.net/rest/api/3/issue/{10_000 + number}",
                "key": f"{project}-{number}",
                "fields": {
                    "summary": f"Issue {number}",
                    "status": {"id": identity, "name": name},
                    "issuetype": {"id": "10004", "name": "Bug", "subtask": False},
                    "priority": {"id": "3", "name": "Medium"},
                    "assignee": None if number % 4 else {"accountId": "5b10a2", "displayName": "Mia Krystof"},
                    "project": {"id": "10001", "key": project, "name": project.title()},
                    "labels": ["imported"],
                    "created": "2026-01-05T09:00:00.000+0000",
                    "updated": f"2026-02-{1 + number % 28:02}T10:00:00.000+0000",
                },
            }
        )
    return found


@dataclass(frozen=True, slots=True)
class Fault:
    """What to do instead of answering.

    ``kind``: ``status`` (answer with ``status``, ``retry_after`` as a header), ``slow`` (answer after ``seconds``),
    ``garbage`` (a 200 with HTML), ``truncated`` (a 200 that breaks off), ``expired`` (the 401 of an old token),
    ``token`` (the 400 of a page token that is not known any more). ``after``: only after so many requests. ``times``:
    only for so many requests; None for all.
    """

    kind: Literal["status", "slow", "garbage", "truncated", "expired", "token"]
    status: int = 500
    retry_after: str | None = None
    seconds: float = 30.0
    after: int = 0
    times: int | None = None


class JiraServer:
    """The server, answering while inside ``with``; see the module."""

    def __init__(
        self,
        email: str = "bot@example.com",
        token: str = "jira-test-token",
        issues: list[Issue] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.email, self.token = email, token
        self.issues = issues if issues is not None else _default_issues()
        self.fault: Fault | None = None
        self.requests: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        server = self

        class Handler(_Handler):
            jira = server

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """The address of the site."""
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

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the server's end."""
        self._closing.wait(seconds)

    def take_fault(self) -> Fault | None:
        """The fault for this request, counted down."""
        with self._lock:
            fault = self.fault
            if fault is None:
                return None
            if fault.after:
                self.fault = replace(fault, after=fault.after - 1)
                return None
            if fault.times is not None:
                self.fault = replace(fault, times=fault.times - 1) if fault.times > 1 else None
            return fault

    def search(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and body of the answer to a search."""
        jql = asked.get("jql")
        if not isinstance(jql, str) or not jql.strip():
            return _refused("Unbounded JQL queries are not allowed here. Please add a search restriction.")
        parts = re.split(r"\s+ORDER\s+BY\s+", jql, flags=re.IGNORECASE)
        condition = re.fullmatch(r"\s*(?:project\s*=\s*\"?(\w+)\"?|updated\s*>=\s*\S+)\s*", parts[0], re.IGNORECASE)
        if not condition:
            return _refused(f"Error in the JQL Query: Expecting operator before the end of the query {parts[0]!r}.")
        start = 0
        if (token := asked.get("nextPageToken")) is not None:
            try:
                start = int(base64.b64decode(str(token), validate=True).decode().removeprefix("##at="))
            except ValueError:
                return _refused("The provided next page token is invalid or expired.")
        size = min(max(int(asked.get("maxResults", 50)), 1), _MOST)
        project = condition[1]
        found = [issue for issue in self.issues if project is None or issue["fields"]["project"]["key"] == project]
        page = [_chosen(issue, asked.get("fields")) for issue in found[start : start + size]]
        body: dict[str, Any] = {"issues": page}
        if start + size < len(found):
            body["nextPageToken"] = base64.b64encode(f"##at={start + size}".encode()).decode()
        body["isLast"] = "nextPageToken" not in body
        return 200, body


def _default_issues() -> list[Issue]:
    return issues(230) + issues(20, project="OPS", first=1000)


def _chosen(issue: Issue, fields: list[str] | None) -> Issue:
    # Without fields Jira gives the ids alone.
    if not fields:
        return {"id": issue["id"]}
    return {**issue, "fields": {name: value for name, value in issue["fields"].items() if name in fields}}


def _refused(message: str) -> tuple[int, dict[str, Any]]:
    return 400, {"errorMessages": [message], "errors": {}}


class _Handler(BaseHTTPRequestHandler):
    jira: JiraServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(200, self.jira.requests) if self.path == "/control/requests" else self._answer(404, {})

    def do_DELETE(self) -> None:
        self.jira.fault = None
        self._answer(200, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/control/fault":
            try:
                self.jira.fault = Fault(**json.loads(body))
            except (ValueError, TypeError) as error:
                return self._answer(400, {"error": str(error)})
            return self._answer(200, {})
        if self.path != _SEARCH:
            return self._answer(404, {"errorMessages": ["Not found"], "errors": {}})
        try:
            asked = dict(json.loads(body))
        except (ValueError, TypeError):
            return self._answer(400, {"errorMessages": ["Invalid request payload."], "errors": {}})
        self.jira.requests.append(asked)
        fault = self.jira.take_fault()
        if fault is not None and fault.kind != "slow":
            return self._fail(fault)
        if fault is not None:
            self.jira.pause(fault.seconds)
        expected = base64.b64encode(f"{self.jira.email}:{self.jira.token}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {expected}":
            return self._refuse_credentials()
        return self._answer(*self.jira.search(asked))

    def _fail(self, fault: Fault) -> None:
        if fault.kind == "status":
            headers = {"Retry-After": fault.retry_after, "X-RateLimit-Limit": "350"} if fault.retry_after else {}
            return self._answer(fault.status, {"errorMessages": ["Rate limit exceeded."], "errors": {}}, headers)
        if fault.kind == "expired":
            return self._refuse_credentials()
        if fault.kind == "token":
            return self._answer(*_refused("The provided next page token is invalid or expired."))
        if fault.kind == "garbage":
            return self._send(200, b"<html><body>Your site is being moved</body></html>", {"Content-Type": "text/html"})
        self.close_connection = True
        return self._send(200, b'{"issues": [{"id": "100', {"Content-Length": "4000"})

    def _refuse_credentials(self) -> None:
        words = b"Client must be authenticated to access this resource."
        headers = {"Content-Type": "text/plain", "X-Seraph-LoginReason": "AUTHENTICATED_FAILED"}
        self._send(401, words, headers)

    def _answer(self, status: int, document: object, headers: dict[str, str] | None = None) -> None:
        self._send(
            status, json.dumps(document).encode(), {"Content-Type": "application/json;charset=UTF-8"} | (headers or {})
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
    parser = argparse.ArgumentParser(description="A stand-in for Jira's REST API, for tests and demos.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    parser.add_argument("--email", default="bot@example.com", help="the user that is accepted")
    parser.add_argument("--token", default="jira-test-token", help="the token that is accepted")
    options = parser.parse_args()
    with JiraServer(options.email, options.token, host=options.host, port=options.port) as jira:
        print(f"stand-in for Jira (not Atlassian's own), listening on {jira.url}", flush=True)
        try:
            jira.wait()
        except KeyboardInterrupt:
            print("ended")
