"""What is known of one kind of object, sorted by the task it belongs to.

Events and answers to our own writes arrive in any order; the resource version of an object tells which is newer, and
the newer one stays (versions of one kind are comparable integers).
"""

from collections import OrderedDict
from collections.abc import Iterator, Set
from dataclasses import dataclass
from typing import Generic, TypeVar

from scheduledtask.domain.values import Key

Value = TypeVar("Value")

TOMBSTONES = 4096
"""How many deletions are remembered, against a late answer that would bring an object back."""


@dataclass(frozen=True, slots=True)
class Entry(Generic[Value]):
    """One object: its own namespace and name, its task, its version, and what is kept of it."""

    key: Key
    task: Key
    version: int
    value: Value


class Shelf(Generic[Value]):
    """The objects of one kind. Each change returns the tasks that it concerns."""

    def __init__(self) -> None:
        self._entries: dict[Key, Entry[Value]] = {}
        self._by_task: dict[Key, dict[Key, Entry[Value]]] = {}
        self._removed: OrderedDict[Key, int] = OrderedDict()
        self._listed = -1
        """The version of the last list: what is older and was not in it is gone."""

    def __len__(self) -> int:
        return len(self._entries)

    def of(self, task: Key) -> tuple[Entry[Value], ...]:
        """The objects of one task."""
        return tuple(self._by_task.get(task, {}).values())

    def tasks(self) -> Iterator[Key]:
        """The tasks that have any."""
        return iter(tuple(self._by_task))

    def put(self, entry: Entry[Value]) -> set[Key]:
        known = self._entries.get(entry.key)
        if known and known.version >= entry.version:
            return set()
        if known is None and max(self._removed.get(entry.key, -1), self._listed) >= entry.version:
            return set()
        self._entries[entry.key] = entry
        concerned = {entry.task}
        if known and known.task != entry.task:
            self._take_off(known)
            concerned.add(known.task)
        self._by_task.setdefault(entry.task, {})[entry.key] = entry
        return set() if known and known.task == entry.task and known.value == entry.value else concerned

    def remove(self, key: Key, version: int) -> set[Key]:
        self._removed[key] = max(version, self._removed.get(key, -1))
        self._removed.move_to_end(key)
        if len(self._removed) > TOMBSTONES:
            self._removed.popitem(last=False)
        known = self._entries.get(key)
        if known is None or known.version > version:
            return set()
        del self._entries[key]
        self._take_off(known)
        return {known.task}

    def forget(self, key: Key) -> None:
        """Take off what we deleted ourselves, without waiting to be told that it is gone."""
        known = self._entries.get(key)
        if known:
            self.remove(key, known.version)

    def keep_only(self, listed: Set[Key], version: int) -> set[Key]:
        """These are all objects that there were as of `version`, and all were put: what else is older is gone."""
        concerned: set[Key] = set()
        for key in [
            known.key for known in self._entries.values() if known.version <= version and known.key not in listed
        ]:
            concerned |= self.remove(key, version)
        self._listed = max(self._listed, version)
        return concerned

    def _take_off(self, entry: Entry[Value]) -> None:
        row = self._by_task[entry.task]
        del row[entry.key]
        if not row:
            del self._by_task[entry.task]
