"""A source's document as its server has it now: redirects, robots.txt and limits minded, conditional where possible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from scheduledtask_sdk.failures import Failure, InvalidInput, NotFound, PermissionDenied, RateLimited, Unavailable
from source_monitor.hosts import Hosts
from source_monitor.robots import LONGEST_FILE, Robots
from source_monitor.urls import redirected
from source_monitor.wire import Answer, Wire

PRODUCT = "source-monitor"
"""The name that robots.txt may speak to."""

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_LONGEST_REDIRECTION = 5
_TRIES_AFTER_QUIET = 2
"""Further requests after an answer that asks to come again later."""
_PASSING = frozenset((408, 425, 500, 502, 503, 504))


@dataclass(frozen=True, slots=True)
class Document:
    """What the server gave. ``body`` is None where it is the one that is known already (304)."""

    url: str
    body: bytes | None
    content_type: str
    charset: str
    etag: str
    last_modified: str


class Fetcher:
    """Reads documents; one for all threads of a run. ``seconds`` and ``longest_body`` hold for one request."""

    def __init__(self, wire: Wire, hosts: Hosts, user_agent: str, seconds: float, longest_body: int) -> None:
        self._wire = wire
        self._hosts = hosts
        self._robots = Robots(PRODUCT)
        self._headers = {"User-Agent": user_agent, "Accept-Language": "en, *;q=0.5"}
        self._seconds = seconds
        self._longest_body = longest_body

    def fetch(self, url: str, accept: str, etag: str = "", last_modified: str = "") -> Document:
        """The document, or that it is the known one. Raises Failure; its message does not name the address."""
        conditions = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        headers = {"Accept": accept} | {name: value for name, value in conditions.items() if value}
        final, answer = self._followed(url, headers, minding_robots=True)
        if answer.status == 304:
            if not etag and not last_modified:
                raise InvalidInput("answered 304 to a request without conditions", status=304)
            return Document(final, None, "", "", etag, last_modified)
        if answer.status != 200:
            raise _failure(answer)
        content_type, charset = _type_of(answer.headers.get("content-type", ""))
        validators = (answer.headers.get("etag", "")[:500], answer.headers.get("last-modified", "")[:100])
        return Document(final, answer.body, content_type, charset, *validators)

    def _followed(self, url: str, headers: Mapping[str, str], minding_robots: bool) -> tuple[str, Answer]:
        for _ in range(_LONGEST_REDIRECTION + 1):
            if minding_robots:
                self._mind_robots(url)
            longest = self._longest_body if minding_robots else LONGEST_FILE
            answer = self._polite(url, headers, longest)
            location = answer.headers.get("location", "")
            if answer.status not in _REDIRECTS or not location:
                return url, answer
            url = _redirected(url, location)
        raise InvalidInput(f"it redirects more than {_LONGEST_REDIRECTION} times, lastly to {url}")

    def _polite(self, url: str, headers: Mapping[str, str], longest: int) -> Answer:
        """The answer in the host's turn; where it asks for a moment of quiet, the answer after that."""
        for tries_left in range(_TRIES_AFTER_QUIET, -1, -1):
            with self._hosts.turn(urlsplit(url).netloc.lower()) as host:
                answer = self._wire.get(url, {**self._headers, **headers}, self._seconds, longest)
                if answer.status not in (429, 503):
                    return answer
                quiet = retry_after(answer.headers.get("retry-after", ""), datetime.now(UTC))
                if quiet is not None:
                    host.quiet_for(quiet)
                if quiet is None or quiet > self._hosts.longest_wait or not tries_left:
                    return answer
        raise AssertionError("the last try returns")

    def _mind_robots(self, url: str) -> None:
        def ask(address: str) -> Answer:
            return self._followed(address, {"Accept": "text/plain, */*;q=0.1"}, minding_robots=False)[1]

        if not self._robots.allows(url, ask):
            raise PermissionDenied(f"its robots.txt does not allow {PRODUCT} to read {urlsplit(url).path or '/'}")
        host = self._hosts.host(urlsplit(url).netloc.lower())
        host.pause = max(host.pause, self._robots.pause(url, ask))


def _redirected(url: str, location: str) -> str:
    try:
        return redirected(url, location)
    except ValueError as error:
        raise InvalidInput(f"it redirects to {location[:200]!r}, which is no address to read") from error


def _type_of(header: str) -> tuple[str, str]:
    message = Message()
    message["Content-Type"] = header.replace("\r", " ").replace("\n", " ")
    return (message.get_content_type() if header else ""), str(message.get_param("charset") or "")


def _failure(answer: Answer) -> Failure:
    status = answer.status
    words, context = f"answered {status}", {"status": status}
    if status == 429:
        return RateLimited(words, **context)
    if status in _PASSING or status >= 500:
        return Unavailable(words, **context)
    if status in (404, 410):
        return NotFound(words, **context)
    if status in (401, 403, 407, 451):
        return PermissionDenied(words, **context)
    return InvalidInput(words, **context)


def retry_after(text: str, now: datetime) -> float | None:
    """Seconds that the header asks for, as a number or an HTTP date; None where it says nothing sensible."""
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return max(0.0, ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now).total_seconds())
