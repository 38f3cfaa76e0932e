"""What a program says at its end: the termination message.

A program may write a small JSON object: `{"result": {…}, "message": "…"}` after a success, or
`{"error": {"class": "…", "message": "…", "retryable": false}}` after a failure. Anything else is taken as text: with
`FallbackToLogsOnError` that is the tail of the log. It comes from outside, so nothing in it is trusted.
"""

import json
import math
from dataclasses import dataclass
from typing import Any

DEEPEST_RESULT = 16
"""Levels of nesting that a result may have: more than people nest, less than any reader's recursion limit."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was said. `result` is a JSON object; `message` is empty where nothing was said."""

    result: dict[str, Any] | None
    message: str
    text: str
    """All of it, as it came: for a failure that has no message of its own."""
    retryable: bool | None = None
    """What the program says of another attempt, if it does."""


def read_report(text: str) -> Report:
    """Read a termination message. Never fails: what isn't the JSON above is the message itself."""
    text = printable(text).strip()
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return Report(None, text, text)
    if not isinstance(body, dict):
        return Report(None, text, text)
    match body.get("error"):
        case {"message": str(message), **error}:
            kind, retryable = error.get("class"), error.get("retryable")
            said = printable(f"{kind}: {message}" if isinstance(kind, str) else message)
            return Report(None, said, text, retryable if isinstance(retryable, bool) else None)
        case str(message):
            return Report(None, printable(message), text)
    if "result" not in body:
        return Report(body, "", text) if _is_plain(body) else Report(None, text, text)
    result = body["result"] if isinstance(body["result"], dict) else {"value": body["result"]}
    words = body.get("message")
    return Report(result if _is_plain(result) else None, printable(words) if isinstance(words, str) else "", text)


def printable(text: str) -> str:
    """The text without lone surrogates, which JSON may hold but UTF-8 can't."""
    return text.encode(errors="replace").decode()


def tail(text: str, limit: int) -> str:
    """The last `limit` characters: of a traceback or a log the end tells most."""
    return text if len(text) <= limit else "…" + text[1 - limit :]


def _is_plain(value: Any, levels: int = DEEPEST_RESULT) -> bool:
    """Whether every reader of the status can read this: not too deep, numbers of 64 bits, text that is UTF-8."""
    if levels == 0:
        return False
    match value:
        case dict():
            return all(_is_plain(key, levels - 1) and _is_plain(item, levels - 1) for key, item in value.items())
        case list():
            return all(_is_plain(item, levels - 1) for item in value)
        case str():
            return value == printable(value)
        case bool() | None:
            return True
        case int():
            return -(2**63) <= value < 2**63
        case _:
            return math.isfinite(value)
