"""A stand-in for servers of watched pages: HTML, feeds and PDF files with validators and robots.txt, over real HTTP.

::

    with PageServer() as server:
        server.pages["/terms"] = Page.html("<p>Refunds within 14 days.")
        server.fault = Fault("status", status=429, retry_after="1", times=1)
        httpx.get(f"{server.url}/terms")

``python3 tests/upstreams/watched_pages.py --port 8080`` runs it alone, with a page, a feed and a PDF file to watch.
Over HTTP: ``PUT /control/page/terms`` with a body (and its Content-Type) sets the page ``/terms``; ``POST
/control/fault`` with the fields of :class:`Fault` as JSON, ``DELETE /control/fault``; ``GET /control/requests``.

In the body of a page ``{{now}}`` becomes the time, and ``{{advert}}`` another advert each time.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import socket
import struct
import threading
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Literal, Self
from xml.sax.saxutils import escape

ADVERTS = ("Fly to Lisbon from 49", "New: the quiet vacuum cleaner", "Save on winter tyres today", "Learn the harp")


@dataclass(frozen=True, slots=True)
class Page:
    """What an address answers. ``validators``: whether it carries ETag and Last-Modified and knows a 304; ``redirect``:
    a 302 to there instead."""

    body: bytes = b""
    content_type: str = "text/html; charset=utf-8"
    validators: bool = True
    redirect: str = ""

    @classmethod
    def html(cls, content: str, validators: bool = True) -> Page:
        """A page with this in its body."""
        text = f"<!doctype html><html><head><title>A page</title></head><body>{content}</body></html>"
        return cls(text.encode(), validators=validators)

    @classmethod
    def rss(cls, *entries: tuple[str, str]) -> Page:
        """An RSS 2.0 feed of these titles and texts, the latest first."""
        items = "".join(
            f"<item><title>{escape(title)}</title><link>https://example.com/{number}</link>"
            f"<description>{escape(text)}</description><pubDate>Mon, 05 Oct 2026 10:00:00 GMT</pubDate></item>"
            for number, (title, text) in enumerate(entries)
        )
        text = (
            '<?xml version="1.0" encoding="UTF-8"?><rss version="2.0"><channel><title>News</title>'
            "<link>https://example.com/</link><description>News</description>"
            f"<lastBuildDate>{{{{now}}}}</lastBuildDate>{items}</channel></rss>"
        )
        return cls(text.encode(), "application/rss+xml", validators=False)

    @classmethod
    def pdf(cls, *lines: str) -> Page:
        """A PDF file of one page with these lines."""
        return cls(pdf_file(lines), "application/pdf")

    @property
    def etag(self) -> str:
        """Of these bytes."""
        return f'"{hashlib.sha256(self.body).hexdigest()[:16]}"'


DEMO_PAGES = {
    "/terms": Page.html(
        "<header><a href='/'>Home</a></header><div class='ad-slot'>{{advert}}</div><main><h1>Terms</h1>"
        "<p>Refunds are granted within 14 days of purchase.</p><p>Shipping takes three days.</p>"
        "<p>Page generated at {{now}}</p></main>",
        validators=False,
    ),
    "/news.xml": Page.rss(("Winter hours", "Open from 9 to 16."), ("New prices", "See the list.")),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What to do instead of answering.

    ``kind``: ``status`` (answer ``status``, with ``retry_after`` as a header), ``slow`` (answer after ``seconds``),
    ``drip`` (headers and body byte by byte, one every tenth of ``seconds``), ``garbage`` (a 200 of noise),
    ``truncated`` (a 200 that breaks off), ``broken_gzip``, ``half_gzip``, ``bomb`` (a gzip of a few kB that unpacks to
    ``megabytes``), ``loop`` (redirects to itself), ``reset`` (the connection is torn down). ``path``: only where the
    path begins so; robots.txt has faults only where it is named. ``times``: only so many requests; None: all.
    """

    kind: Literal["status", "slow", "drip", "garbage", "truncated", "broken_gzip", "half_gzip", "bomb", "loop", "reset"]
    status: int = 500
    retry_after: str | None = None
    seconds: float = 30.0
    megabytes: int = 40
    path: str = "/"
    times: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A GET as it came; header names in lower case, times by the monotonic clock."""

    path: str
    headers: Mapping[str, str] = field(repr=False)
    began: float = 0.0


class PageServer:
    """The server, answering while inside ``with``; see the module. ``robots`` is the text of robots.txt, or None."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, pages: Mapping[str, Page] | None = None) -> None:
        self.pages = dict(pages or {})
        self.robots: str | None = None
        self.fault: Fault | None = None
        self.requests: list[Request] = []
        self.most_at_a_time = 0
        self._busy = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        server = self

        class Handler(_Handler):
            upstream = server

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: object) -> None:
                """Nothing: clients that hang up are what this is for."""

        self._server = Server((host, port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The base of all addresses."""
        return f"http://127.0.0.1:{self.port}"

    def asked(self, path: str = "") -> list[Request]:
        """The requests so far, of one path or of all but robots.txt."""
        return [one for one in self.requests if (one.path == path if path else one.path != "/robots.txt")]

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

    def begin(self, request: Request) -> Fault | None:
        """Take note of a request; the fault that it meets, counted down."""
        with self._lock:
            self.requests.append(request)
            self._busy += 1
            self.most_at_a_time = max(self.most_at_a_time, self._busy)
            fault = self.fault
            if fault is None or not request.path.startswith(fault.path):
                return None
            if request.path == "/robots.txt" and fault.path != "/robots.txt":
                return None
            if fault.times is not None:
                self.fault = replace(fault, times=fault.times - 1) if fault.times > 1 else None
            return fault

    def end(self) -> None:
        """The request is answered."""
        with self._lock:
            self._busy -= 1

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the server's end."""
        self._closing.wait(seconds)


class _Handler(BaseHTTPRequestHandler):
    upstream: PageServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/control/requests":
            return self._send(200, json.dumps([one.path for one in self.upstream.requests]).encode())
        headers = {name.lower(): value for name, value in self.headers.items()}
        fault = self.upstream.begin(Request(self.path, headers, time.monotonic()))
        try:
            if fault is not None and self._fails(fault):
                return None
            return self._answer()
        except OSError:
            self.close_connection = True  # the client has hung up
        finally:
            self.upstream.end()

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.removeprefix("/control/page")
        kind = self.headers.get("Content-Type", "text/html; charset=utf-8")
        self.upstream.pages[path] = Page(body, kind, validators=b"{{" not in body)
        self._send(200, b"{}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            self.upstream.fault = Fault(**json.loads(body))
        except (ValueError, TypeError) as error:
            return self._send(400, str(error).encode())
        return self._send(200, b"{}")

    def do_DELETE(self) -> None:
        self.upstream.fault = None
        self._send(200, b"{}")

    def _answer(self) -> None:
        if self.path == "/robots.txt":
            robots = self.upstream.robots
            return self._send(404 if robots is None else 200, (robots or "").encode(), {"Content-Type": "text/plain"})
        page = self.upstream.pages.get(self.path)
        if page is None:
            return self._send(404, b"<h1>Not found</h1>", {"Content-Type": "text/html"})
        if page.redirect:
            return self._send(302, b"", {"Location": page.redirect})
        headers = {"Content-Type": page.content_type}
        if page.validators:
            headers |= {"ETag": page.etag, "Last-Modified": "Mon, 05 Oct 2026 10:00:00 GMT"}
            if self.headers.get("If-None-Match") == page.etag:
                return self._send(304, b"", headers)
        moment = datetime.now(UTC)
        body = page.body.replace(b"{{now}}", f"{moment:%a, %d %b %Y %H:%M:%S} GMT".encode())
        advert = ADVERTS[len(self.upstream.requests) % len(ADVERTS)]
        body = body.replace(b"{{advert}}", advert.encode())
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
        return self._send(200, body, headers)

    def _fails(self, fault: Fault) -> bool:
        """Do what the fault says; whether that was all."""
        html = {"Content-Type": "text/html"}
        match fault.kind:
            case "slow":
                self.upstream.pause(fault.seconds)
                return False
            case "status":
                after = {"Retry-After": fault.retry_after} if fault.retry_after else {}
                self._send(fault.status, b"<h1>Sorry</h1>", html | after)
            case "garbage":
                self._send(200, bytes(range(256)) * 40, html)
            case "truncated":
                self.close_connection = True
                self._send(200, b"<p>The first half of", html | {"Content-Length": "4000"})
            case "broken_gzip":
                self._send(200, b"\x1f\x8b\x08\x00" + bytes(range(100)), html | {"Content-Encoding": "gzip"})
            case "half_gzip":
                noise = hashlib.sha256(b"noise").hexdigest().encode() * 40
                self._send(200, gzip.compress(noise)[:-20], html | {"Content-Encoding": "gzip"})
            case "bomb":
                self._send(200, _bomb(fault.megabytes), html | {"Content-Encoding": "gzip"})
            case "loop":
                self._send(302, b"", {"Location": self.path})
            case "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()
            case "drip":
                self._drip(fault.seconds)
        return True

    def _drip(self, seconds: float) -> None:
        self.close_connection = True
        for byte in b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nX-Padding: " + b"x" * 2000:
            self.wfile.write(bytes((byte,)))
            self.wfile.flush()
            self.upstream.pause(seconds / 10)

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            if status != 304 or name != "Content-Length":
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: requests are listed under /control/requests."""


@cache
def _bomb(megabytes: int) -> bytes:
    pack = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return b"".join([*(pack.compress(b" " * (1 << 20)) for _ in range(megabytes)), pack.flush()])


def pdf_file(lines: Sequence[str]) -> bytes:
    """The smallest PDF file with these lines on one page, for Latin text."""
    shown = "".join(f"({line.translate(_PDF_ESCAPES)}) Tj T* " for line in lines)
    content = f"BT /F1 12 Tf 14 TL 50 780 Td {shown}ET".encode("cp1252", "replace")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    file = bytearray(b"%PDF-1.4\n")
    places = []
    for number, text in enumerate(objects, start=1):
        places.append(len(file))
        file += b"%d 0 obj\n%s\nendobj\n" % (number, text)
    start = len(file)
    file += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    file += b"".join(b"%010d 00000 n \n" % place for place in places)
    file += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(file)


_PDF_ESCAPES = str.maketrans({"(": r"\(", ")": r"\)", "\\": r"\\"})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A stand-in for the servers of watched pages, for tests and demos.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8080, help="port to listen on (default 8080)")
    options = parser.parse_args()
    demo = {**DEMO_PAGES, "/notice.pdf": Page.pdf("Notice to all customers.", "Prices rise on 1 May 2027.")}
    with PageServer(options.host, options.port, demo) as alone:
        print(f"answering on http://{options.host}:{alone.port}", flush=True)
        alone.wait()
