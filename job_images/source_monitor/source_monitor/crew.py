"""Sources fetched and read side by side: the hosts beside each other, each host's sources one after the other.

Only the network and the reading are shared out; whoever takes the results does the rest, in one thread. What could not
be read and may be readable soon is tried once more, when its host's other sources are through.
"""

from __future__ import annotations

import queue
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from scheduledtask_sdk.failures import Failure, Interrupted
from source_monitor.fetch import Fetcher
from source_monitor.hosts import Hosts
from source_monitor.journal import Journal
from source_monitor.reading import ACCEPT, lines_of
from source_monitor.record import Read
from source_monitor.rules import Reading

_FAREWELL = 1.0
"""Seconds that threads are given to end; what they still wait for on the network is then left behind."""


class Defect(Failure):
    """An error of this program that one source brought about; it concerns that source alone."""


@dataclass(frozen=True, slots=True)
class Task:
    """A source to fetch; the validators are empty where the text must be had in any case."""

    id: int
    name: str
    url: str
    kind: str
    reading: Reading
    mark: str
    etag: str
    last_modified: str


class Crew:
    """Threads that fetch. ``pause``: seconds before what failed in passing is tried again."""

    def __init__(
        self, journal: Journal, fetcher: Fetcher, hosts: Hosts, stopped: threading.Event, size: int, pause: float
    ) -> None:
        self._journal = journal
        self._fetcher = fetcher
        self._hosts = hosts
        self._stopped = stopped
        self._size = size
        self._pause = pause

    def fetched(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Read | Failure]]:
        """Each task with what came of it, as they finish. The threads end with the iteration, however that ends."""
        groups: queue.SimpleQueue[list[Task]] = queue.SimpleQueue()
        by_host: dict[str, list[Task]] = {}
        for task in tasks:
            by_host.setdefault(urlsplit(task.url).netloc.lower(), []).append(task)
        for group in by_host.values():
            groups.put(group)
        # Bounded, so that texts don't pile up in front of a slow database.
        finished: queue.Queue[tuple[Task, Read | Failure]] = queue.Queue(self._size)
        threads = [
            threading.Thread(target=self._work, args=(groups, finished), name=f"fetch-{number}", daemon=True)
            for number in range(min(self._size, len(by_host)))
        ]
        for thread in threads:
            thread.start()
        try:
            for _ in tasks:
                yield finished.get()
        finally:
            self._stopped.set()
            for thread in threads:
                thread.join(_FAREWELL)

    def _work(self, groups: queue.SimpleQueue[list[Task]], finished: queue.Queue[tuple[Task, Read | Failure]]) -> None:
        def hand_over(task: Task, outcome: Read | Failure) -> None:
            while not self._stopped.is_set():
                with suppress(queue.Full):
                    finished.put((task, outcome), timeout=0.5)
                    return

        try:
            while True:
                self._do(groups.get_nowait(), hand_over)
        except (queue.Empty, Interrupted):
            return

    def _do(self, group: Sequence[Task], hand_over: Callable[[Task, Read | Failure], None]) -> None:
        again: list[Task] = []
        for task in group:
            self._journal.processing(task.id, task.name, task.url)
            outcome = self._tried(task)
            if isinstance(outcome, Failure) and outcome.retryable:
                self._journal.again(task.id, outcome)
                again.append(task)
            else:
                hand_over(task, outcome)
        if again:
            self._hosts.rest(self._pause)
        for task in again:
            hand_over(task, self._tried(task))

    def _tried(self, task: Task) -> Read | Failure:
        try:
            document = self._fetcher.fetch(task.url, ACCEPT[task.kind], task.etag, task.last_modified)
            lines = None if document.body is None else lines_of(task.kind, document, task.reading)
        except Failure as failure:
            return failure
        except Exception as error:
            self._journal.defect(task.id, traceback.format_exc())
            return Defect(f"a defect of this program: {type(error).__name__}: {error}")
        return Read(lines, task.mark, document.etag, document.last_modified)
