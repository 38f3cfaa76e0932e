"""All that the operator knows: tasks and their children as small projections, and what it did to them itself.

Watches and the answers to writes put things in; the reconciler takes snapshots out.
"""

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

from scheduledtask.api.spec import Webhook
from scheduledtask.api.status import AppliedCronJob
from scheduledtask.controller.reading import read_task
from scheduledtask.controller.shelf import Entry, Shelf
from scheduledtask.domain.values import CronJob, Job, Key, Pod, Refusal, Snapshot, Start, Task
from scheduledtask.kube.wire import CronJobObject, JobObject, Metadata, PodObject, ScheduledTaskObject, TaskRecord

Value = TypeVar("Value", covariant=True)


class Source(Protocol[Value]):
    """An object as the API server gives it, which knows its task and what is to be kept of it."""

    @property
    def metadata(self) -> Metadata: ...
    @property
    def task(self) -> Key: ...
    def value(self) -> Value: ...


Kept = TypeVar("Kept")
Item = TypeVar("Item", bound=Source)  # type: ignore[type-arg]


class Intake(Generic[Item, Kept]):
    """Takes objects of one kind in and tells whom they concern: the sink of a watch."""

    def __init__(self, shelf: Shelf[Kept], on_change: Callable[[Key], None]) -> None:
        self._shelf = shelf
        self._on_change = on_change

    def put(self, item: Item) -> None:
        """An object that is new or has changed, or may have."""
        self._tell(self._shelf.put(_entry(item)))

    def remove(self, metadata: Metadata) -> None:
        """An object that is gone."""
        self._tell(self._shelf.remove(metadata.key, metadata.version))

    def forget(self, key: Key) -> None:
        """An object that we deleted ourselves."""
        self._shelf.forget(key)

    def keep_only(self, listed: Set[Key], version: int) -> None:
        """All that there was as of a resource version."""
        self._tell(self._shelf.keep_only(listed, version))

    def _tell(self, tasks: set[Key]) -> None:
        for task in tasks:
            self._on_change(task)


def _entry(item: Source[Kept]) -> Entry[Kept]:
    meta = item.metadata
    return Entry(meta.key, item.task, meta.version, item.value())


@dataclass(frozen=True, slots=True)
class Memory:
    """What this process remembers of a task's children besides what the watches tell."""

    applied: AppliedCronJob | None = None
    refusal: Refusal | None = None
    refused_commands: Mapping[str, str] = field(default_factory=dict)
    """Why the Job of a command could not be made, by the command's annotation."""
    starts: Mapping[str, Start] = field(default_factory=dict)
    """What was seen of late attempts, by the UID of their Job."""


class Store:
    """Everything known. `on_change` is called with each task that a change concerns; it must be cheap.

    default_webhook: the operator's own, for tasks that name none.
    """

    def __init__(self, on_change: Callable[[Key], None], default_webhook: Webhook | None = None) -> None:
        self._default_webhook = default_webhook
        self._tasks: Shelf[TaskRecord] = Shelf()
        self._cron_jobs: Shelf[CronJob] = Shelf()
        self._jobs: Shelf[Job] = Shelf()
        self._pods: Shelf[Pod] = Shelf()
        self._memories: dict[Key, Memory] = {}
        self._settled: dict[Key, frozenset[str]] = {}
        self.tasks: Intake[ScheduledTaskObject, TaskRecord] = Intake(self._tasks, on_change)
        self.cron_jobs: Intake[CronJobObject, CronJob] = Intake(self._cron_jobs, on_change)
        self.jobs: Intake[JobObject, Job] = Intake(self._jobs, on_change)
        self.pods: Intake[PodObject, Pod] = Intake(self._pods, on_change)

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[Key]:
        """The tasks that exist."""
        return self._tasks.tasks()

    def records(self) -> Iterator[tuple[Key, TaskRecord]]:
        """The tasks that exist, as they are kept. May be asked from any thread."""
        for key in self._tasks.tasks():
            for entry in self._tasks.of(key):
                yield key, entry.value

    def snapshot(self, key: Key) -> tuple[Snapshot, int] | None:
        """What is known of a task, and the resource version of the task; None if there is no such task."""
        entry = next(iter(self._tasks.of(key)), None)
        if entry is None:
            self._memories.pop(key, None)
            self._settled.pop(key, None)
            return None
        task = read_task(key, entry.value)
        memory = self._memories.get(key, Memory())
        snapshot = Snapshot(
            task=task,
            cron_job=next((found.value for found in self._cron_jobs.of(key)), None),
            jobs=tuple(found.value for found in self._jobs.of(key)),
            pods=tuple(found.value for found in self._pods.of(key)),
            applied=memory.applied or task.status.cron_job,
            refusal=memory.refusal,
            default_webhook=self._default_webhook,
            settled_messages=self._settled_of(task),
            refused_commands=memory.refused_commands,
            starts=memory.starts,
        )
        return snapshot, entry.version

    def active_jobs(self, key: Key) -> tuple[Job, ...]:
        """The Jobs of a task that have not ended."""
        return tuple(found.value for found in self._jobs.of(key) if not found.value.end)

    def remember(self, key: Key, applied: AppliedCronJob | None, refusal: Refusal | None = None) -> None:
        """Remember how our latest write of a task's CronJob went."""
        self._memories[key] = replace(self._memories.get(key, Memory()), applied=applied, refusal=refusal)

    def remember_commands(self, key: Key, refused: Mapping[str, str]) -> None:
        """Remember the commands of a task whose Jobs could not be made."""
        self._memories[key] = replace(self._memories.get(key, Memory()), refused_commands=refused)

    def remember_starts(self, key: Key, starts: Mapping[str, Start]) -> None:
        """Remember what was seen of a task's late attempts."""
        self._memories[key] = replace(self._memories.get(key, Memory()), starts=starts)

    def settle_message(self, key: Key, message_id: str) -> None:
        """Remember that a webhook message is delivered or given up, until the task's status says so."""
        self._settled[key] = self._settled.get(key, frozenset()) | {message_id}

    def _settled_of(self, task: Task) -> frozenset[str]:
        settled = self._settled.pop(task.key, None)
        if not settled:
            return frozenset()
        still_waiting = settled & {entry.id for entry in task.status.webhook_messages}
        if still_waiting:
            self._settled[task.key] = still_waiting
        return still_waiting
