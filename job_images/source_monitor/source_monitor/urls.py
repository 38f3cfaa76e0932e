"""Addresses of documents, in one spelling."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

_LONGEST = 2000


def address(text: str) -> str:
    """The address in one spelling, ASCII alone and without a fragment. Raises ValueError where it is none that can be
    read and shown; the message repeats no password."""
    try:
        parts = urlsplit(text.strip())
        host = (parts.hostname or "").encode("idna").decode("ascii")
        port = f":{parts.port}" if parts.port else ""
    except (ValueError, UnicodeError):
        parts, host, port = urlsplit(""), "", ""
    if parts.scheme.lower() not in ("http", "https") or not host or not text.strip().isprintable():
        raise ValueError(f"url: {text[:200]!r} is not an address such as https://example.com/terms")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"url: the address of {host} must not carry a user or password; sources are shown and told")
    host = f"[{host}]" if ":" in host else host
    url = urlunsplit((parts.scheme.lower(), host + port, parts.path or "/", parts.query, ""))
    if len(url) > _LONGEST or " " in url:
        raise ValueError(f"url: {url[:100]!r} has blanks or is longer than {_LONGEST} characters")
    return quote(url, safe=":/?#[]@!$&'()*+,;=%~")


def redirected(url: str, location: str) -> str:
    """Where a header ``Location`` leads, as servers write it: relative, with blanks, in UTF-8. Raises ValueError."""
    with suppress(UnicodeError):
        location = location.encode("latin-1").decode()
    return address(urljoin(url, location.strip().replace(" ", "%20")))
