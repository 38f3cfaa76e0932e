"""Secrets are taken out of everything that the SDK writes: logs, tracebacks, progress, the termination message."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

MARK = "[redacted]"

SHORTEST = 4
"""Characters of a secret: to take a shorter one out of a text would spoil the text and hide nothing."""

_forms: set[str] = set()
_pattern: re.Pattern[str] | None = None


def keep_secret(value: str) -> None:
    """Take this text, and the password of an address, out of all that is written from now on, as it is and as it
    looks in an address, in JSON and in Python's quotes."""
    if not value.strip():
        return
    global _pattern
    from urllib.parse import quote, quote_plus

    values = {value, value.strip(), *_passwords(value)}
    for secret in (text for text in values if len(text) >= SHORTEST):
        _forms.update((secret, quote(secret, safe=""), quote(secret), quote_plus(secret), repr(secret)[1:-1]))
        _forms.update((json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]))
    if _forms:
        # The longest first: a shorter one may stand within it.
        _pattern = re.compile("|".join(map(re.escape, sorted(_forms, key=len, reverse=True))))


def forget_secrets() -> None:
    """Keep nothing secret any more; for tests that run several jobs in one process."""
    global _pattern
    _forms.clear()
    _pattern = None


def redacted(text: str) -> str:
    """The text without the secrets."""
    return _pattern.sub(MARK, text) if _pattern else text


def without_secrets(value: object) -> object:
    """The value with every text in it redacted, however deep; what is no mapping, list, number or text becomes
    text."""
    match value:
        case None | bool():
            return value
        case str():
            return redacted(value)
        case int() | float():
            return MARK if _pattern and _pattern.search(str(value)) else value
        case Mapping():
            return {redacted(str(key)): without_secrets(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [without_secrets(item) for item in value]
        case _:
            return redacted(str(value))


def _passwords(value: str) -> set[str]:
    from urllib.parse import unquote, urlsplit

    try:
        password = urlsplit(value).password
    except ValueError:
        return set()
    return {password, unquote(password)} if password else set()
