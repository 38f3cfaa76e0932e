"""A stand-in for Anthropic's Messages API, over real HTTP: it classifies a ticket by what its subject says.

::

    with AnthropicServer(key="sk-ant-test") as claude:
        claude.fault = Fault("prose", containing="violin")
        anthropic.Anthropic(api_key="sk-ant-test", base_url=claude.url).messages.create(…)

``python3 anthropic_messages.py --port 8082`` runs it alone. Over HTTP then: ``POST /control/fault`` with the fields of
:class:`Fault` as JSON, ``DELETE /control/fault``, ``GET /control/requests``.
"""

from __future__ import annotations

import argparse
import json
import re
import threading
import uuid
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self

AREAS = {
    "login": "login",
    "invoice": "invoices",
    "app": "mobile app",
    "export": "reports",
    "notification": "notifications",
    "search": "search",
    "dashboard": "dashboard",
    "webhook": "integrations",
    "upload": "uploads",
    "two-factor": "two-factor",
    "calendar": "calendar",
    "endpoint": "api",
}
"""The product area of a subject, by the first word that is in it."""

_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_MESSAGES = {
    401: "invalid x-api-key",
    429: "This request would exceed your organization's rate limit",
    529: "Overloaded",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What to do instead of classifying.

    ``kind``: ``status`` (answer with ``status`` and an error body, ``retry_after`` as a header), ``slow`` (answer
    after ``seconds``), ``garbage`` (a 200 with HTML), ``truncated`` (a 200 that breaks off), ``half`` (a 200 whose
    JSON breaks off), ``echo`` (a 403 that repeats the key), ``prose`` (a message that is no JSON), ``wrong`` (JSON
    with a category that was not offered), ``refusal`` and ``max_tokens`` (messages that end for these reasons).
    ``containing``: only requests whose ticket has this text; ``after``: let so many pass first; ``times``: only so
    many, None for all.
    """

    kind: Literal["status", "slow", "garbage", "truncated", "half", "echo", "prose", "wrong", "refusal", "max_tokens"]
    status: int = 500
    retry_after: str | None = None
    seconds: float = 30.0
    containing: str = ""
    after: int = 0
    times: int | None = None


class AnthropicServer:
    """The server, answering while inside ``with``; see the module. ``delay``: seconds that each answer takes."""

    def __init__(self, key: str = "sk-ant-test", host: str = "127.0.0.1", port: int = 0, delay: float = 0.0) -> None:
        self.key = key
        self.delay = delay
        self.fault: Fault | None = None
        self.requests: list[dict[str, Any]] = []
        self.most_at_once = 0
        self.input_tokens = 0
        self.output_tokens = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        server = self

        class Handler(_Handler):
            anthropic = server

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """The base URL, without /v1."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    @property
    def asked(self) -> list[str]:
        """The text of each message that came in."""
        return [text_of(request) for request in self.requests]

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

    def enter(self, request: dict[str, Any]) -> None:
        """Note that a request has begun."""
        with self._lock:
            self.requests.append(request)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)

    def leave(self) -> None:
        """Note that it has ended."""
        with self._lock:
            self._at_once -= 1

    def bill(self, input_tokens: int, output_tokens: int) -> None:
        """Note what an answer costs."""
        with self._lock:
            self.input_tokens += input_tokens
            self.output_tokens += output_tokens

    def take_fault(self, text: str) -> Fault | None:
        """The fault for this request, counted down."""
        with self._lock:
            fault = self.fault
            if fault is None or fault.containing not in text:
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
    anthropic: AnthropicServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        if self.path == "/control/fault":
            self.anthropic.fault = Fault(**body)
            return self._answer(200, {})
        if self.path != "/v1/messages":
            return self._refuse(404, f"Not found: {self.path}")
        self.anthropic.enter(body)
        try:
            self._message(body)
        finally:
            self.anthropic.leave()
        return None

    def do_GET(self) -> None:
        self._answer(200, self.anthropic.requests)

    def do_DELETE(self) -> None:
        self.anthropic.fault = None
        self._answer(200, {})

    def _message(self, body: dict[str, Any]) -> None:
        self.anthropic.pause(self.anthropic.delay)
        fault = self.anthropic.take_fault(text_of(body))
        if fault is not None and fault.kind == "slow":
            self.anthropic.pause(fault.seconds)
            fault = None
        if fault is not None and fault.kind in ("status", "garbage", "truncated", "half", "echo"):
            return self._fail(fault)
        if self._key() != self.anthropic.key:
            return self._refuse(401)
        if "anthropic-version" not in self.headers:
            return self._refuse(400, "anthropic-version: header is required")
        if (wrong := mistake_in(body)) is not None:
            return self._refuse(400, wrong)
        return self._answer(200, self._classified(body, fault))

    def _key(self) -> str:
        """Keys come in the one header or in the other."""
        bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
        return self.headers.get("x-api-key") or bearer

    def _classified(self, body: dict[str, Any], fault: Fault | None) -> dict[str, Any]:
        kind = fault.kind if fault else ""
        answer = classification_of(text_of(body))
        text = json.dumps(answer)
        if kind == "prose":
            text = "Here is what I think of this ticket: it is about a problem."
        elif kind == "wrong":
            text = json.dumps(answer | {"category": "nonsense"})
        elif kind == "max_tokens":
            text = text[: len(text) // 2]
        elif kind == "refusal":
            text = ""
        stop_reason = kind if kind in ("max_tokens", "refusal") else "end_turn"
        usage = {"input_tokens": len(json.dumps(body)) // 4, "output_tokens": max(len(text) // 4, 1)}
        self.anthropic.bill(**usage)
        return {
            "id": f"msg_{uuid.uuid4().hex[:24]}",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [{"type": "text", "text": text}] if text else [],
            "stop_reason": stop_reason,
            "stop_sequence": None,
            "usage": usage
            | {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "service_tier": "standard"},
        }

    def _fail(self, fault: Fault) -> None:
        if fault.kind == "status":
            return self._refuse(fault.status, headers={"retry-after": fault.retry_after} if fault.retry_after else {})
        if fault.kind == "echo":
            return self._refuse(403, f"the key {self._key()} may not do this")
        if fault.kind == "garbage":
            return self._send(200, b"<html><body>Bad gateway</body></html>", {"Content-Type": "text/html"})
        if fault.kind == "half":
            return self._send(200, b'{"id": "msg_1", "type": "mess', {"Content-Type": "application/json"})
        self.close_connection = True
        headers = {"Content-Type": "application/json", "Content-Length": "4000"}
        return self._send(200, b'{"id": "msg_1", "type": "mess', headers)

    def _refuse(self, status: int, message: str = "", headers: dict[str, str] | None = None) -> None:
        said = message or _MESSAGES.get(status, "Internal server error" if status >= 500 else f"status {status}")
        error = {"type": _ERRORS.get(status, "api_error"), "message": said}
        self._answer(status, {"type": "error", "error": error, "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy"}, headers)

    def _answer(self, status: int, document: object, headers: dict[str, str] | None = None) -> None:
        usual = {"Content-Type": "application/json", "request-id": "req_011CSHoEeqs5C35K2UUqR7Fy"}
        self._send(status, json.dumps(document).encode(), usual | (headers or {}))

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


def mistake_in(body: dict[str, Any]) -> str | None:
    """What the API would refuse about a request, as far as it matters here."""
    for name, kind in (("model", str), ("max_tokens", int), ("messages", list)):
        if not isinstance(body.get(name), kind):
            return f"{name}: Field required"
    if body["messages"][0].get("role") != "user":
        return "messages: first message must use the user role"
    output = body.get("output_config", {}).get("format", {})
    if output.get("type") != "json_schema":
        return "output_config.format.type: Input should be 'json_schema'"
    if output.get("schema", {}).get("additionalProperties") is not False:
        return "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false"
    return None


def text_of(body: dict[str, Any]) -> str:
    """The text of the message that is asked about."""
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else "".join(block.get("text", "") for block in content)


def classification_of(text: str) -> dict[str, object]:
    """What it makes of a ticket: the subject, without numbers, is the issue."""
    found = re.search(r"Subject: (.*)", text)
    subject = re.sub(r"\s*#?\d+", "", found[1]).strip() if found else "nothing"
    area = next((area for word, area in AREAS.items() if word in subject.lower()), (subject.split() or [""])[-1])
    return {
        "issue": subject or "nothing",
        "product_area": area or "none",
        "category": "question" if subject.endswith("?") else "bug",
        "severity": "high" if "urgent" in text else "medium",
        "sentiment": "negative" if "urgent" in text else "neutral",
        "product_issue": not subject.endswith("?"),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A stand-in for Anthropic's Messages API, for tests and demos.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    parser.add_argument("--key", default="sk-ant-demo", help="the key that is accepted (default sk-ant-demo)")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds that each answer takes (default 0)")
    given = parser.parse_args()
    with AnthropicServer(given.key, given.host, given.port, given.delay) as running:
        print(f"listening on {running.url}", flush=True)
        running.wait()
