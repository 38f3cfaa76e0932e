"""robots.txt, after RFC 9309: asked for once a run and origin, before anything else there.

What can't be found allows everything. A server that fails (5xx, no answer) allows nothing for now.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from urllib.parse import urlsplit

from protego import Protego

from scheduledtask_sdk.failures import Failure, Unavailable
from source_monitor.wire import Answer

LONGEST_FILE = 500 * 1024
"""Bytes that are read, as the RFC asks for."""
LONGEST_PAUSE = 30.0
"""Seconds: a longer Crawl-delay counts as this."""

Ask = Callable[[str], Answer]
"""GET an address, redirects followed, politely."""


class Robots:
    """The rules of all origins of a run for one product name."""

    def __init__(self, product: str) -> None:
        self._product = product
        self._rules: dict[str, Protego | Failure] = {}
        self._lock = threading.Lock()

    def allows(self, url: str, ask: Ask) -> bool:
        """Whether the address may be read. Raises Unavailable where that can't be known now."""
        return bool(self._rules_of(url, ask).can_fetch(url, self._product))

    def pause(self, url: str, ask: Ask) -> float:
        """Seconds that the origin wants between two requests."""
        return min(LONGEST_PAUSE, float(self._rules_of(url, ask).crawl_delay(self._product) or 0))

    def _rules_of(self, url: str, ask: Ask) -> Protego:
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        with self._lock:
            known = self._rules.get(origin)
        if known is None:
            known = self._asked(f"{origin}/robots.txt", ask)
            with self._lock:
                self._rules[origin] = known
        if isinstance(known, Failure):
            raise type(known)(known.message, **known.context)
        return known

    def _asked(self, url: str, ask: Ask) -> Protego | Failure:
        try:
            answer = ask(url)
        except Unavailable as failure:
            return type(failure)(f"robots.txt can't be read now: {failure.message}", **failure.context)
        except Failure:
            return Protego.parse("")  # an endless redirect or the like: as if there were none
        if answer.status == 429 or answer.status >= 500:
            return Unavailable(f"robots.txt can't be read now: {url} answered {answer.status}", status=answer.status)
        if not 200 <= answer.status < 300:
            return Protego.parse("")
        return Protego.parse(answer.body.decode("utf-8", "replace"))
