"""Keys that wait for a pass: each at most once, never worked on twice at the same time, failures with growing pauses.

The rules are those of client-go's workqueue.
"""

import asyncio
from collections import deque

from prometheus_client import Gauge

from scheduledtask.domain.values import Key
from scheduledtask.metrics import QUEUE_DEPTH

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 300.0


class WorkQueue:
    """Lives in one event loop; `add` is cheap and never blocks. `depth` shows how many keys wait."""

    def __init__(self, depth: Gauge = QUEUE_DEPTH) -> None:
        self._depth = depth
        self._waiting: deque[Key] = deque()
        self._dirty: set[Key] = set()
        self._active: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._wakers: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: Key) -> None:
        """Have a pass over the key: soon, or right after the one under way."""
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._active:
            self._append(key)

    def add_after(self, key: Key, seconds: float) -> None:
        """Have a pass over the key after a time; a later call for the same key replaces this one."""
        self.cancel_timer(key)
        self._timers[key] = asyncio.get_running_loop().call_later(max(seconds, 0), self._due, key)

    def cancel_timer(self, key: Key) -> None:
        """Forget the time set for the key."""
        timer = self._timers.pop(key, None)
        if timer:
            timer.cancel()

    def add_after_failure(self, key: Key, at_least: float = 0) -> float:
        """Have a pass over the key after a pause that doubles with each failure in a row; returns the seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        pause = max(min(FIRST_PAUSE * 2.0 ** min(failures, 30), LONGEST_PAUSE), at_least)
        self.add_after(key, pause)
        return pause

    def forget_failures(self, key: Key) -> None:
        """The key's last pass was good."""
        self._failures.pop(key, None)

    async def get(self) -> Key:
        """The next key; `done` must follow."""
        while not self._waiting:
            waker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._wakers.append(waker)
            await waker
        key = self._waiting.popleft()
        self._depth.set(len(self._waiting))
        self._dirty.discard(key)
        self._active.add(key)
        return key

    def done(self, key: Key) -> None:
        """The pass over the key is over."""
        self._active.discard(key)
        if key in self._dirty:
            self._append(key)

    def _due(self, key: Key) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def _append(self, key: Key) -> None:
        self._waiting.append(key)
        self._depth.set(len(self._waiting))
        while self._wakers:
            waker = self._wakers.popleft()
            if not waker.done():
                waker.set_result(None)
                break
