"""HTTP with bounded waits, whose failures say whether asking again can help (extra ``http``).

``send`` asks once and answers with a response of 2xx, or raises the :class:`Failure` that fits. Waits are bounded: by
``answer_limit`` for one answer, however slowly it drips; a ``Retry-After`` is obeyed up to ``longest_wait`` and
otherwise left to the next attempt. Redirects are not followed, so a key goes nowhere else. Addresses are told without
user and query: keys stand there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from scheduledtask_sdk.failures import (
    Failure,
    InvalidInput,
    Misconfigured,
    PermissionDenied,
    RateLimited,
    Timeout,
    Unavailable,
)
from scheduledtask_sdk.logs import log
from scheduledtask_sdk.redaction import redacted
from scheduledtask_sdk.rules import status_failure
from scheduledtask_sdk.stopping import stop

SIZE_LIMIT = 64 * 1024 * 1024
"""Bytes of an answer, unless :func:`send` is told otherwise."""

_SHORTEST_WAIT = 0.5
"""Seconds: a server that says "Retry-After: 0" again and again is not asked without end."""

_WORDS = (
    "message",
    "error_description",
    "detail",
    "description",
    "errorMessages",
    "errors",
    "error",
    "status",
    "title",
)


def client(
    base_url: str = "",
    *,
    timeout: float = 30,
    headers: Mapping[str, str] | None = None,
    user_agent: str = "scheduledtask-sdk",
    **more: Any,
) -> httpx.Client:
    """A client for :func:`send`. ``timeout``: seconds to connect, and seconds of silence within an answer; ``more``
    goes to httpx (``auth``, ``params``, …)."""
    return httpx.Client(
        base_url=base_url,
        timeout=timeout,
        headers={"User-Agent": user_agent, **(headers or {})},
        follow_redirects=False,
        **more,
    )


def send(
    client: httpx.Client,
    method: str,
    url: str,
    *,
    longest_wait: float = 60,
    answer_limit: float | None = None,
    size_limit: int = SIZE_LIMIT,
    statuses: Mapping[int, type[Failure]] | None = None,
    accept: tuple[int, ...] = (),
    called: str = "",
    mend: str = "",
    **request: Any,
) -> httpx.Response:
    """Ask, and answer with the response, its body read, where the status is 2xx or one of ``accept``.

    ``longest_wait``: seconds that all ``Retry-After`` together may ask for; ``answer_limit``: seconds from a request to
    the end of its answer; ``statuses``: what a status means here; ``called``: how messages name the request;
    ``mend``: what a message about a refused key adds; ``request`` goes to httpx (``json``, ``params``, ``headers``, …).
    """
    built = client.build_request(method, url, **request)
    name = called or f"{method} {shown(built.url)}"
    waited = 0.0
    while True:
        response = _ask(client, built, name, answer_limit, size_limit)
        if response.is_success or response.status_code in accept:
            return response
        asked = retry_after(response.headers, datetime.now(UTC)) if response.status_code in (429, 503) else None
        if asked is None or waited + max(asked, _SHORTEST_WAIT) > longest_wait:
            raise refusal(response, name, statuses, mend)
        wait = max(asked, _SHORTEST_WAIT)
        log.info("waiting as asked", url=shown(built.url), status=response.status_code, seconds=wait)
        stop.pause(wait)
        waited += wait


def refusal(
    response: httpx.Response, name: str, statuses: Mapping[int, type[Failure]] | None = None, mend: str = ""
) -> Failure:
    """The failure that a response other than 2xx means, with what the server said."""
    status = response.status_code
    kind = status_failure(status, statuses)
    said = words_of(response)
    message = f"{name} answered {status}" + (f": {said}" if said else "")
    if mend and issubclass(kind, PermissionDenied):
        message = f"{message.rstrip('.')}. {mend}"
    context: dict[str, object] = {"url": shown(response.request.url), "status": status}
    if issubclass(kind, RateLimited | Unavailable) and "retry-after" in response.headers:
        context["retry_after"] = response.headers["retry-after"]
    return kind(message, **context)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """The seconds that ``Retry-After`` asks for, given as a number or as a date (RFC 9110, 10.2.3)."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    # "-0000" makes a date without a zone; it means UTC.
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds())


def shown(url: httpx.URL | str) -> str:
    """The address without user, query and fragment."""
    return redacted(str(httpx.URL(url).copy_with(userinfo=b"", query=None, fragment=None)))


def words_of(response: httpx.Response) -> str:
    """What an error answer says: the first words in its JSON under a usual name, or its plain text; "" for a page."""
    kind = response.headers.get("content-type", "")
    try:
        said = _words(json.loads(response.content), 4)
    except (ValueError, RecursionError):
        said = response.text if kind.startswith("text/plain") else ""
    # Whole first: half a secret would not be known any more.
    text = " ".join(redacted(said).split())
    return text if len(text) <= 300 else text[:300] + "…"


def _words(value: object, levels: int) -> str:
    match value:
        case str():
            return value
        case list() if levels:
            return next(filter(None, (_words(item, levels - 1) for item in value)), "")
        case dict() if levels:
            found = (_words(value[name], levels - 1) for name in _WORDS if name in value)
            # {"errors": {"jql": "…"}}: the name of a field is no usual one.
            return next(filter(None, found), "") or _words(list(value.values()) if levels < 4 else [], levels - 1)
    return ""


def _ask(
    client: httpx.Client, request: httpx.Request, name: str, answer_limit: float | None, size_limit: int
) -> httpx.Response:
    started = time.monotonic()
    url = shown(request.url)
    try:
        response = client.send(request, stream=True)
        try:
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if answer_limit is not None and time.monotonic() - started > answer_limit:
                    raise Timeout(f"{name} did not answer in full within {answer_limit:g} s", url=url)
                if len(body) > size_limit:
                    raise InvalidInput(f"{name} answered more than {size_limit} bytes", url=url)
        finally:
            response.close()
    except httpx.TimeoutException:
        raise Timeout(f"{name} did not answer in time", url=url) from None
    except httpx.DecodingError as error:
        raise InvalidInput(f"{name} answered what can't be unpacked: {error}", url=url) from None
    except (httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
        raise Misconfigured(f"{name} can't be sent: {error}", url=url) from None
    except httpx.TransportError as error:
        raise Unavailable(f"{name}: {str(error) or type(error).__name__}", url=url) from None
    # The body is unpacked by now, so the headers that say how it was packed are not true any more.
    headers = [(key, value) for key, value in response.headers.multi_items() if key not in _PACKING]
    return httpx.Response(response.status_code, headers=headers, content=bytes(body), request=request)


_PACKING = ("content-encoding", "content-length", "transfer-encoding")
