"""A task and its surroundings as values: what carrying out a plan makes of them, without any cluster.

Bodies and statuses pass through JSON, as they do on their way through the API server, so a value that does not come
back as it was shows here.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from scheduledtask.api.spec import Webhook
from scheduledtask.api.status import AppliedCronJob, ScheduledTaskStatus, format_time
from scheduledtask.domain.adoption import Adoption
from scheduledtask.domain.answers import EndRun
from scheduledtask.domain.cronjob import ApplyCronJob
from scheduledtask.domain.events import PostEvent
from scheduledtask.domain.gate import scope_of
from scheduledtask.domain.plan import Plan, plan
from scheduledtask.domain.retry import JobPatch
from scheduledtask.domain.stuck import known_starts, late_jobs, look
from scheduledtask.domain.turns import next_turn
from scheduledtask.domain.values import CronJob, Job, JobEnd, OpenPod, Pod, Refusal, Snapshot, Start, Task
from scheduledtask.kube.wire import CronJobObject, JobObject


@dataclass
class World:
    """What exists. `events` are those posted, each once by its reason and subject; `applies` what was applied."""

    task: Task
    cron_job: CronJob | None = None
    jobs: tuple[Job, ...] = ()
    pods: tuple[Pod, ...] = ()
    applied: AppliedCronJob | None = None
    refusal: Refusal | None = None
    default_webhook: Webhook | None = None
    settled_messages: frozenset[str] = frozenset()
    events: dict[tuple[str, str], PostEvent] = field(default_factory=dict)
    applies: list[ApplyCronJob] = field(default_factory=list)
    status_writes: int = 0
    created: list[str] = field(default_factory=list)
    """The Jobs that the operator made itself, by name."""
    open_pods: dict[str, OpenPod] = field(default_factory=dict)
    """The pods that have not ended, by the UID of their Job."""
    starts: dict[str, Start] = field(default_factory=dict)
    """What the operator remembers of late attempts: a new process has none."""
    reads: list[str] = field(default_factory=list)
    """The Jobs whose pods were read because their attempt was late."""

    def snapshot(self) -> Snapshot:
        applied = self.applied or self.task.status.cron_job
        return Snapshot(
            self.task,
            self.cron_job,
            self.jobs,
            self.pods,
            applied,
            self.refusal,
            self.default_webhook,
            self.settled_messages,
            starts=self.starts,
        )

    def plan(self, now: datetime) -> Plan:
        """Plan as the reconciler does: with the pods of late attempts read before."""
        snapshot = self.snapshot()
        self.starts = known_starts(snapshot)
        for job in late_jobs(snapshot, now.replace(microsecond=0)):
            assert snapshot.task.spec is not None
            self.reads.append(job.name)
            found = [self.open_pods[job.uid]] if job.uid in self.open_pods else []
            self.starts[job.uid] = look(job, found, snapshot.task.spec, now.replace(microsecond=0))
        return plan(self.snapshot(), now)

    def settle(self, now: datetime) -> Plan:
        """Plan and carry out, and admit whose turn it is, until nothing is left to do. Fails where that never comes.
        Returns the last plan."""
        for _ in range(10):
            planned = self.plan(now)
            if is_quiet(planned) and not self.admit(now):
                return planned
            self.carry_out(planned, now)
        raise AssertionError(f"there is always something left to do: {planned}"[:2000])

    def admit(self, now: datetime) -> bool:
        """Let the run go on whose turn it is, if it is any's; whether that was so."""
        turn = next_turn([self.snapshot()], now) if scope_of(self.snapshot()) else None
        if turn:
            self._patch(turn.patch)
        return turn is not None

    def carry_out(self, planned: Plan, now: datetime, calls: int | None = None) -> None:
        """Do what a plan says, or only the first so many calls of it: then the operator crashes."""
        for call in self._calls(planned, now)[:calls]:
            call()

    def _calls(self, planned: Plan, now: datetime) -> list[Callable[[], None]]:
        """The calls to the API server, in the order of the reconciler."""
        if planned.apply:
            return [partial(self._apply, planned.apply, now)]
        calls: list[Callable[[], None]] = []
        if planned.adoption:
            calls.append(partial(self._adopt, planned.adoption))
        if planned.create:
            calls.append(partial(self._create, planned.create.body, now))
        calls += [partial(self._end, ending) for ending in planned.endings]
        calls += [partial(self._patch, patch) for patch in planned.job_patches]
        calls += [partial(self._post, event) for event in planned.events]
        if planned.answered:
            calls.append(partial(self._remove_commands, planned.answered))
        if planned.status:
            calls.append(partial(self._write, planned.status))
        calls += [partial(self._delete, job) for job in planned.prune]
        if planned.start_slot:
            calls.append(partial(self._create, planned.start_slot.body, now))
        return calls

    def edit(self, task: Task) -> None:
        """Give the task the spec of another; its status stays."""
        generation = self.task.generation + 1
        self.task = replace(self.task, spec=task.spec, invalid=task.invalid, generation=generation)

    def live(self) -> CronJob:
        """The CronJob, which has to be there."""
        assert self.cron_job is not None
        return self.cron_job

    def status(self) -> ScheduledTaskStatus:
        return self.task.status

    def ready(self) -> tuple[str, str, str]:
        """Status, reason and message of the condition Ready."""
        ready = next(entry for entry in self.task.status.conditions if entry.type == "Ready")
        return ready.status, ready.reason, ready.message

    def _create(self, body: dict[str, Any], now: datetime) -> None:
        name = body["metadata"]["name"]
        if name in {known.name for known in self.jobs}:
            return
        self.created.append(name)
        uid = f"uid-{len(self.created)}-of-{name}"
        metadata = {**body["metadata"], "uid": uid, "creationTimestamp": format_time(now)}
        self.jobs += (msgspec.json.decode(json.dumps({**body, "metadata": metadata}), type=JobObject).value(),)

    def _adopt(self, adopted: Adoption) -> None:
        self.cron_job = replace(self.live(), active=adopted.active, last_schedule_time=adopted.last_schedule_time)

    def _end(self, ending: EndRun) -> None:
        self._patch(ending.patch(running=False, failed_pods=0, now=ending.job.creation_time))

    def _patch(self, patch: JobPatch) -> None:
        end = None
        if patch.withdrawn_at and patch.given_up:
            end = JobEnd(False, *patch.given_up, patch.withdrawn_at)
        changed = replace(
            patch.job,
            suspended=patch.suspend,
            given_up=patch.given_up or patch.job.given_up,
            admitted_time=patch.admitted_at or patch.job.admitted_time,
            end=end,
        )
        if patch.suspend:
            # As the Job controller does, and at once.
            self.open_pods.pop(changed.uid, None)
            changed = replace(changed, active=0)
        self.jobs = tuple(changed if job.uid == changed.uid else job for job in self.jobs)

    def _post(self, event: PostEvent) -> None:
        self.events.setdefault((event.reason, event.subject), event)

    def _remove_commands(self, annotations: tuple[str, ...]) -> None:
        left = tuple(row for row in self.task.annotations if row[0] not in annotations)
        self.task = replace(self.task, annotations=left)

    def _write(self, status: ScheduledTaskStatus) -> None:
        self.status_writes += 1
        self.task = replace(self.task, status=stored(status))

    def _delete(self, pruned: Job) -> None:
        self.jobs = tuple(job for job in self.jobs if job.uid != pruned.uid)

    def _apply(self, wanted: ApplyCronJob, now: datetime) -> None:
        self.applies.append(wanted)
        live = self.cron_job
        body = {
            **wanted.body,
            "metadata": {
                **wanted.body["metadata"],
                "uid": live.uid if live else f"cron-job-{len(self.applies)}",
                "generation": live.generation + 1 if live else 1,
                "creationTimestamp": format_time(live.creation_time if live else now),
            },
        }
        applied = msgspec.json.decode(json.dumps(body), type=CronJobObject).value()
        last_slot = wanted.fence or (live.last_schedule_time if live else None)
        self.cron_job = replace(applied, last_schedule_time=last_slot)
        self.applied = AppliedCronJob(uid=applied.uid, generation=applied.generation, digest=wanted.digest)


def stored(status: ScheduledTaskStatus) -> ScheduledTaskStatus:
    """The status as it comes back from the API server."""
    body = json.dumps(status.model_dump(mode="json", by_alias=True, exclude_none=True))
    return ScheduledTaskStatus.model_validate_json(body)


def is_quiet(planned: Plan) -> bool:
    """Whether a plan has nothing to do but to come back later."""
    return replace(planned, requeue_at=None) == Plan()
