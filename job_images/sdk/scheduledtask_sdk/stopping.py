"""SIGTERM as an exception, or while work is held as a flag that the work looks at.

Signals belong to the process, so there is one :data:`stop` in it. The exception is raised in the main thread, where
Python runs signal handlers; other threads see it at :meth:`Stop.check` and :meth:`Stop.pause`.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from scheduledtask_sdk.failures import Interrupted

_LOOK = 0.2
"""Seconds after which a waiting thread other than the main one looks whether it should go on waiting."""


class Stop:
    """Whether the job was asked to stop."""

    def __init__(self) -> None:
        self.requested = False
        self._held = 0
        # Never taken by the signal's handler: it runs in the midst of the main thread, which may hold it.
        self._lock = threading.Lock()
        self._signal = "SIGTERM"

    def listen(self) -> None:
        """From now on SIGTERM and Ctrl-C stop the work."""
        self.requested = False
        self._held = 0
        signal.signal(signal.SIGTERM, self._handle)
        signal.signal(signal.SIGINT, self._handle)

    def close(self) -> None:
        """The work has ended: what comes now stops nothing any more."""
        self._held += 1

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.requested = True
        self._signal = signal.Signals(number).name
        if not self._held:
            self._raise()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let the work come to a point of its own choice; a stop that was requested meanwhile is raised at the end."""
        self.check()
        with self._lock:
            self._held += 1
        try:
            yield
        finally:
            with self._lock:
                self._held -= 1
        if self.requested and not self._held and threading.current_thread() is not threading.main_thread():
            # The handler has left it to us, and only the main thread can be interrupted.
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
        self.check()

    def check(self) -> None:
        """Raise the stop that was requested, unless the work is held."""
        if self.requested and not self._held:
            self._raise()

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond a stop; while the work is held, wait it out."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.check()
            time.sleep(left if threading.current_thread() is threading.main_thread() else min(left, _LOOK))
        self.check()

    def _raise(self) -> None:
        raise Interrupted(f"stopped by {self._signal}; what was committed is kept and the next run continues")


stop = Stop()
