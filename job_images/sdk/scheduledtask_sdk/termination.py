"""The termination message: what Kubernetes copies from ``/dev/termination-log`` into the pod's status, and the operator
from there into the task.

``{"message": …, "result": {…}}`` after a success, ``{"error": {"class", "message", "context", "retryable"}}`` after an
expected failure. After a defect nothing is written, so that Kubernetes falls back to the end of the log: the traceback.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path

from scheduledtask_sdk.logs import log
from scheduledtask_sdk.redaction import without_secrets

MESSAGE_LIMIT = 4096
"""Bytes of a termination message; the kubelet cuts off what is longer, and half a JSON document is none."""

_DEEPEST = 12
"""Levels of nesting; the operator shows no result that is much deeper."""

_SIZES = (*((size, _DEEPEST) for size in (1000, 100, 50, 20, 10, 5, 2, 1)), (1, 2), (1, 1))
_SHORTEST_MESSAGE = 300


def write_termination_message(document: Mapping[str, object]) -> None:
    """Write the document where Kubernetes reads it: ``TERMINATION_LOG``, else ``/dev/termination-log`` where that
    exists."""
    chosen = os.environ.get("TERMINATION_LOG")
    path = Path(chosen or "/dev/termination-log")
    if not chosen and not path.exists():
        return
    try:
        path.write_bytes(fitted(document))
    except OSError as error:
        log.warning("the termination message could not be written", path=str(path), reason=str(error))


def fitted(document: Mapping[str, object], limit: int = MESSAGE_LIMIT) -> bytes:
    """The document without secrets, as JSON of at most ``limit`` bytes (4096 always suffice for six keys); where it is
    longer, long lists, mappings and texts are cut evenly, and a ``message`` last."""
    # Secrets go first: half of one would not be known any more.
    clean = without_secrets(document)
    for size, levels in _SIZES:
        text = json.dumps(_cut(clean, size, levels), ensure_ascii=False, separators=(",", ":"))
        encoded = text.encode()
        if len(encoded) <= limit:
            return encoded
    return b"{}"


def _cut(value: object, size: int, levels: int) -> object:
    match value:
        case Mapping() if levels:
            # Six keys always stay: the envelope itself has at most four.
            return {
                (name := _shortened(str(key), min(size * 20, 100))): _shortened(item, _SHORTEST_MESSAGE)
                if name == "message" and size * 20 < _SHORTEST_MESSAGE and isinstance(item, str)
                else _cut(item, size, levels - 1)
                for key, item in list(value.items())[: max(size, 6)]
            }
        case list() if levels:
            kept = [_cut(item, size, levels - 1) for item in value[:size]]
            return kept if len(value) <= size else [*kept, f"… {len(value) - size} more"]
        case Mapping() | list():
            return "…"
        case str():
            return _shortened(value, size * 20)
        case int() if not -(2**63) <= value < 2**63:
            return _shortened(str(value), size * 20)
        case float() if not math.isfinite(value):
            return str(value)
    return value


def _shortened(text: str, longest: int) -> str:
    # A lone surrogate, from a file name, is no UTF-8, and a reader would refuse the whole result for it.
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= longest else text[:longest] + "…"
