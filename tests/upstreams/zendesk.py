"""A stand-in for Zendesk: the incremental ticket export with cursors, over real HTTP.

::

    with ZendeskServer(token="zd-test") as zendesk:
        zendesk.put(*made_up(200, seed=1))
        zendesk.fault = Fault("status", status=429, retry_after="1", after=1, times=1)
        httpx.get(f"{zendesk.url}/api/v2/incremental/tickets/cursor.json?start_time=0", auth=(f"{EMAIL}/token", …))

``python3 zendesk.py --port 8081 --tickets 500`` runs it alone. Over HTTP then: ``POST /control/fault`` with the fields
of :class:`Fault` as JSON, ``DELETE /control/fault``, ``POST /control/tickets`` with a list of tickets, ``DELETE
/control/tickets/ID``, ``GET /control/requests``.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import json
import random
import threading
import time
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qs, urlencode, urlsplit

PATH = "/api/v2/incremental/tickets/cursor.json"
EMAIL = "agent@example.com"

PROBLEMS = (
    (
        "login",
        "Login fails after a password reset",
        "After I reset my password the login page says invalid credentials",
    ),
    ("invoices", "Invoice PDF shows the wrong VAT", "The VAT on the PDF of our invoice does not match the order"),
    ("mobile app", "App crashes when opening the camera", "The mobile app closes as soon as the camera opens"),
    ("reports", "CSV export is cut off", "Exporting the report to CSV stops in the middle, rows are missing"),
    ("notifications", "E-mail notifications arrive hours late", "Notification mails reach us four hours late"),
    ("search", "Search returns no results", "Searching for an existing customer finds nothing at all"),
    ("dashboard", "Dashboard loads very slowly", "The dashboard takes a minute until the charts are there"),
    ("integrations", "Webhooks are delivered twice", "Every webhook reaches our endpoint two times"),
    ("uploads", "Large files can't be uploaded", "Uploading anything over ten megabytes ends in an error"),
    ("two-factor", "Two-factor code is rejected", "The code of my authenticator is always refused as wrong"),
    ("calendar", "Calendar sync duplicates events", "Each appointment is in the calendar twice after syncing"),
    ("api", "Orders endpoint answers 500", "Calling the orders API gives an internal server error"),
)
"""Product area, subject and words of problems that many customers report."""

_OPENINGS = ("Hello,", "Hi there,", "Good morning,", "Dear support,", "")
_CLOSINGS = (
    "Please help.",
    "This is urgent for us!",
    "Thanks in advance.",
    "It worked last week.",
    "We see it on all machines.",
)


@dataclass(frozen=True, slots=True)
class Fault:
    """What to do instead of answering.

    ``kind``: ``status`` (answer with ``status`` and Zendesk's error body, ``retry_after`` as a header), ``slow``
    (answer after ``seconds``), ``garbage`` (a 200 with HTML), ``truncated`` (a 200 that breaks off), ``half`` (a 200
    whose JSON breaks off), ``expired`` (a 401, as from an expired OAuth token), ``echo`` (a 403 that repeats the
    credentials), ``stuck`` (a page that gives its own cursor as the next), ``huge`` (a 200 of 65 MiB).
    ``after``: let so many requests pass first; ``times``: only for so many requests, None for all.
    """

    kind: Literal["status", "slow", "garbage", "truncated", "half", "expired", "echo", "stuck", "huge"]
    status: int = 500
    retry_after: str | None = None
    seconds: float = 30.0
    after: int = 0
    times: int | None = None


class ZendeskServer:
    """The server, answering while inside ``with``; see the module. ``token``: an API token of ``EMAIL``, taken as an
    OAuth token as well."""

    def __init__(self, token: str = "zd-test", host: str = "127.0.0.1", port: int = 0) -> None:
        self.token = token
        self.fault: Fault | None = None
        self.requests: list[str] = []
        self._tickets: dict[int, dict[str, Any]] = {}
        self._stream: list[tuple[int, int]] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        server = self

        class Handler(_Handler):
            zendesk = server

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """The account's address."""
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

    def put(self, *tickets: dict[str, Any]) -> None:
        """Open or change tickets. A changed one moves to the end of the export, where its `generated_timestamp` is."""
        with self._lock:
            self._tickets |= {ticket["id"]: ticket for ticket in tickets}
            self._stream = sorted((ticket["generated_timestamp"], number) for number, ticket in self._tickets.items())

    def change(self, number: int, **fields: object) -> None:
        """Change a ticket now, later than every other change."""
        self.put(self._tickets[number] | fields | self._now())

    def delete(self, number: int) -> None:
        """Delete a ticket: the export goes on to tell of it, with the status `deleted`."""
        self.change(number, status="deleted")

    @property
    def tickets(self) -> list[dict[str, Any]]:
        """Those that are not deleted, by id."""
        return [ticket for _, ticket in sorted(self._tickets.items()) if ticket["status"] != "deleted"]

    def _now(self) -> dict[str, object]:
        newest = self._stream[-1][0] if self._stream else 0
        now = max(int(time.time()) - 120, newest + 1)
        return {"generated_timestamp": now, "updated_at": _iso(now)}

    def page(self, start: int, place: tuple[int, int] | None, size: int) -> dict[str, Any]:
        """The tickets after a place, or from a start time on."""
        with self._lock:
            first = bisect_right(self._stream, place or (start - 1, 2**63))
            shown = self._stream[first : first + size]
            tickets = [self._tickets[number] for _, number in shown]
            ended = first + size >= len(self._stream)
        after = cursor_of(*shown[-1]) if shown else (cursor_of(*place) if place else None)
        link = None if after is None else f"{self.url}{PATH}?{urlencode({'cursor': after})}"
        return {"tickets": tickets, "after_url": link, "after_cursor": after, "end_of_stream": ended}

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

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the server's end."""
        self._closing.wait(seconds)


class _Handler(BaseHTTPRequestHandler):
    zendesk: ZendeskServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/control/requests":
            return self._answer(200, self.zendesk.requests)
        self.zendesk.requests.append(self.path)
        fault = self.zendesk.take_fault()
        if fault is not None and fault.kind == "slow":
            self.zendesk.pause(fault.seconds)
        elif fault is not None and fault.kind != "stuck":
            return self._fail(fault)
        if urlsplit(self.path).path != PATH:
            return self._answer(404, {"error": "InvalidEndpoint", "description": "Not found"})
        if not self._authorized():
            return self._answer(401, {"error": "Couldn't authenticate you"})
        return self._export(stuck=fault is not None and fault.kind == "stuck")

    def _export(self, *, stuck: bool) -> None:
        query = {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query).items()}
        size = min(int(query.get("per_page", "1000")), 1000)
        if "cursor" in query:
            place = place_of(query["cursor"])
            if place is None:
                return self._answer(400, {"error": "InvalidCursor", "description": "The cursor is not valid"})
            page = self.zendesk.page(0, place, size)
        elif not query.get("start_time", "").isdigit():
            return self._answer(400, {"error": "InvalidValue", "description": "start_time must be a number"})
        elif int(query["start_time"]) > time.time() - 60:
            text = "Too recent start_time. Use a start_time older than 60 seconds"
            return self._answer(400, {"error": "StartTimeTooRecent", "description": text})
        else:
            page = self.zendesk.page(int(query["start_time"]), None, size)
        if stuck:
            page |= {"after_cursor": query.get("cursor"), "end_of_stream": False}
        return self._answer(200, page)

    def _authorized(self) -> bool:
        kind, _, credentials = self.headers.get("Authorization", "").partition(" ")
        if kind == "Bearer":
            return credentials == self.zendesk.token
        return kind == "Basic" and credentials == _basic(f"{EMAIL}/token:{self.zendesk.token}")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        if self.path == "/control/fault":
            self.zendesk.fault = Fault(**body)
        elif self.path == "/control/tickets":
            self.zendesk.put(*body)
        else:
            return self._answer(404, {})
        return self._answer(200, {})

    def do_DELETE(self) -> None:
        if self.path == "/control/fault":
            self.zendesk.fault = None
        elif self.path.startswith("/control/tickets/"):
            self.zendesk.delete(int(self.path.rpartition("/")[2]))
        self._answer(200, {})

    def _fail(self, fault: Fault) -> None:
        if fault.kind == "status":
            return self._answer(fault.status, _error(fault.status), _wait(fault))
        if fault.kind == "expired":
            text = "The access token provided is expired, revoked, malformed or invalid for other reasons."
            return self._answer(401, {"error": "invalid_token", "error_description": text})
        if fault.kind == "echo":
            credentials = self.headers.get("Authorization", "")
            said = f"no access with {credentials} ({_plain(credentials)})"
            return self._answer(403, {"error": {"title": "Forbidden", "message": said}})
        if fault.kind == "garbage":
            return self._send(200, b"<html><body>We'll be right back</body></html>", {"Content-Type": "text/html"})
        if fault.kind == "half":
            return self._send(200, b'{"tickets": [{"id": 1, "sub', {"Content-Type": "application/json"})
        if fault.kind == "huge":
            return self._send(200, b" " * (65 * 2**20), {"Content-Type": "application/json"})
        self.close_connection = True
        return self._send(200, b'{"tickets": [{"id": 1, "sub', {"Content-Length": "4000"})

    def _answer(self, status: int, document: object, headers: dict[str, str] | None = None) -> None:
        kind = {"Content-Type": "application/json; charset=utf-8"}
        self._send(status, json.dumps(document).encode(), kind | (headers or {}))

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


def cursor_of(timestamp: int, number: int) -> str:
    """The cursor behind a ticket, opaque to clients."""
    return _basic(f"{timestamp}.0||{number}")


def place_of(cursor: str) -> tuple[int, int] | None:
    """What a cursor stands for; None for one that was not given out."""
    try:
        timestamp, number = base64.b64decode(cursor, validate=True).decode().split("||")
        return int(float(timestamp)), int(number)
    except (ValueError, binascii.Error):
        return None


def made_up(count: int, seed: int, until: datetime | None = None, days: int = 60) -> Iterator[dict[str, Any]]:
    """Tickets in the export's format, opened in the days before ``until`` (default: two hours ago). Most tell of one of
    ``PROBLEMS``, some of nothing that anybody else tells of. The same arguments make the same tickets."""
    rng = random.Random(seed)
    end = until or datetime.now(UTC) - timedelta(hours=2)
    for number in range(1, count + 1):
        created = int((end - timedelta(days=days) * (1 - number / (count + 1))).timestamp())
        area, subject, words = rng.choice(PROBLEMS)
        if rng.random() < 0.15:
            area, subject, words = "other", _gibberish(rng, 4), _gibberish(rng, 10)
        text = f"{rng.choice(_OPENINGS)}\n\n{words}. {rng.choice(_CLOSINGS)}\n\nOrder {rng.randrange(10**6)}"
        yield ticket(number, subject, text, created, tags=[area.replace(" ", "_")], requester_id=20_000 + number)


def _gibberish(rng: random.Random, words: int) -> str:
    """Words that nobody else uses."""
    return " ".join("".join(rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(4)) for _ in range(words))


def ticket(number: int, subject: str, description: str, created: int, **fields: object) -> dict[str, Any]:
    """A ticket as exports hold it; ``created`` in seconds since 1970, also the time of its last change."""
    return {
        "url": f"https://example.zendesk.com/api/v2/tickets/{number}.json",
        "id": number,
        "external_id": None,
        "via": {"channel": "web", "source": {"from": {}, "to": {}, "rel": None}},
        "created_at": _iso(created),
        "updated_at": _iso(created),
        "generated_timestamp": created,
        "type": "incident",
        "subject": subject,
        "raw_subject": subject,
        "description": description,
        "priority": "normal",
        "status": "open",
        "recipient": None,
        "requester_id": 20_978_392,
        "submitter_id": 76_872,
        "assignee_id": None,
        "organization_id": None,
        "group_id": 98_738,
        "collaborator_ids": [],
        "follower_ids": [],
        "email_cc_ids": [],
        "forum_topic_id": None,
        "problem_id": None,
        "has_incidents": False,
        "is_public": True,
        "due_at": None,
        "tags": [],
        "custom_fields": [{"id": 27_642, "value": None}],
        "satisfaction_rating": {"score": "unoffered"},
        "sharing_agreement_ids": [],
        "custom_status_id": None,
        "fields": [{"id": 27_642, "value": None}],
        "followup_ids": [],
        "ticket_form_id": None,
        "brand_id": 360_001,
        "allow_channelback": False,
        "allow_attachments": True,
        "from_messaging_channel": False,
    } | fields


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _basic(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _plain(credentials: str) -> str:
    try:
        return base64.b64decode(credentials.partition(" ")[2]).decode()
    except ValueError:
        return ""


def _wait(fault: Fault) -> dict[str, str]:
    return {} if fault.retry_after is None else {"Retry-After": fault.retry_after}


def _error(status: int) -> dict[str, object]:
    if status == 429:
        text = "Number of allowed incremental ticket export API requests per minute exceeded"
        return {"error": "APIRateLimitExceeded", "description": text}
    if status == 403:
        return {"error": {"title": "Forbidden", "message": "You do not have access to this page."}}
    return {"error": "InternalError" if status >= 500 else "InvalidValue", "description": f"status {status}"}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A stand-in for Zendesk's ticket export, for tests and demos.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    parser.add_argument("--token", default="zd-demo", help="the token that is accepted (default zd-demo)")
    parser.add_argument("--tickets", type=int, default=500, help="how many tickets it has at first (default 500)")
    parser.add_argument("--days", type=int, default=60, help="days over which they were opened (default 60)")
    given = parser.parse_args()
    with ZendeskServer(given.token, given.host, given.port) as running:
        running.put(*made_up(given.tickets, seed=1, days=given.days))
        print(f"listening on {running.url}", flush=True)
        running.wait()
