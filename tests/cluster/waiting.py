"""Waiting for a condition, with a deadline and a word about what was waited for."""

from __future__ import annotations

import time
from collections.abc import Callable

from .paths import ClusterError


def until(what: str, condition: Callable[[], bool], seconds: float = 60, pause: float = 0.1) -> None:
    """Return once `condition` holds, asked every `pause` seconds. Raises ClusterError after `seconds`.

    A condition that can tell that waiting is in vain raises ClusterError itself.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ClusterError(f"{what}: not so after {seconds:.0f} s")
        time.sleep(pause)
