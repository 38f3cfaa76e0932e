"""Politeness: one request at a time to a host, a pause between two, and a host that asks for quiet gets it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from scheduledtask_sdk.failures import Interrupted, RateLimited

_LOOK = 0.5
"""Seconds after which a thread that waits for its turn looks whether the run is stopped."""


class Host:
    """One host, whoever asks it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pause = 0.0
        """Seconds between the end of a request and the next one."""
        self._turn = threading.Lock()
        self._not_before = 0.0

    def quiet_for(self, seconds: float) -> None:
        """Ask nothing of the host for so long."""
        self._not_before = max(self._not_before, time.monotonic() + seconds)


class Hosts:
    """All hosts of a run. ``pause``: seconds between two requests to a host, at least. ``longest_wait``: how long a
    host may make a request wait. ``stopped``: when set, waiting ends in Interrupted."""

    def __init__(self, pause: float, longest_wait: float, stopped: threading.Event) -> None:
        self.longest_wait = longest_wait
        self._pause = pause
        self._stopped = stopped
        self._hosts: dict[str, Host] = {}
        self._lock = threading.Lock()

    def host(self, name: str) -> Host:
        """The host of this name."""
        with self._lock:
            if name not in self._hosts:
                self._hosts[name] = Host(name)
                self._hosts[name].pause = self._pause
            return self._hosts[name]

    @contextmanager
    def turn(self, name: str) -> Iterator[Host]:
        """A block in which nobody else asks the host. Raises RateLimited where it wants quiet for too long."""
        host = self.host(name)
        self._wait(lambda: host._turn.acquire(timeout=_LOOK))
        try:
            wait = host._not_before - time.monotonic()
            if wait > max(self.longest_wait, host.pause):
                raise RateLimited(f"{name} asks for {wait:.0f} s of quiet", host=name, seconds=round(wait))
            if wait > 0 and self._stopped.wait(wait):
                raise Interrupted("the run is stopped")
            yield host
        finally:
            host.quiet_for(host.pause)
            host._turn.release()

    def rest(self, seconds: float) -> None:
        """Wait, but not beyond the end of the run."""
        if self._stopped.wait(seconds):
            raise Interrupted("the run is stopped")

    def _wait(self, done: Callable[[], bool]) -> None:
        while not done():
            if self._stopped.is_set():
                raise Interrupted("the run is stopped")
