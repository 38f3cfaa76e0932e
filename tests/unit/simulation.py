"""A cluster in simulated time: an API server's optimistic locks, the CronJob and Job controllers, the operator's view.

The controllers are small models of Kubernetes' own, as pkg/controller/cronjob has them, its estimate of the latest
missed slot and its silent skips included. Time is the caller's; nothing here waits.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from scheduledtask.api.status import SlotLedger, Trigger
from scheduledtask.domain.adoption import Adoption
from scheduledtask.domain.cron_schedule import EverySchedule
from scheduledtask.domain.cronjob import ApplyCronJob
from scheduledtask.domain.ledger import counted_uids
from scheduledtask.domain.plan import Plan, plan
from scheduledtask.domain.retry import JobPatch
from scheduledtask.domain.schedule import slots_after, validate, zone
from scheduledtask.domain.slots import slot_job_name
from scheduledtask.domain.values import CronJob, Job, JobReference, Snapshot
from tests.unit.builders import a_job, a_pod, exited, failed, succeeded
from tests.unit.world import World

PASSES = 12
"""Passes that one event may cost, at most: apply, write, start, adopt, prune and the like, and then it is quiet."""


class ConflictError(Exception):
    """Somebody else wrote the object since it was read."""


@dataclass
class Server(World):
    """What exists, and what has existed: the outcomes that a fair account has to tell."""

    tally: dict[str, str] = field(default_factory=dict)
    """How each run ended that the account can know of, by UID."""
    slot_runs: set[str] = field(default_factory=set)
    """The names of the Jobs of slots that the account can know of."""
    slots_created: list[str] = field(default_factory=list)
    accounted: set[datetime] = field(default_factory=set)
    """Slots that the account has got past."""
    given_at: datetime | None = None
    """Since when the CronJob has its schedule."""
    exact: bool = True
    """Whether slots can be told without the account: not with @every, which counts from its last run."""

    def version(self) -> tuple[int, int]:
        """What optimistic locking of the task compares."""
        return self.status_writes, self.task.generation

    def carry_out_from(
        self, view: Snapshot, version: tuple[int, int], planned: Plan, now: datetime, calls: int
    ) -> None:
        """Do the first so many calls of a plan that was made from a view, which may be old. Raises ConflictError."""
        for call in self._checked_calls(view, version, planned, now)[:calls]:
            call()

    def _checked_calls(
        self, view: Snapshot, version: tuple[int, int], planned: Plan, now: datetime
    ) -> list[Callable[[], None]]:
        calls: list[Callable[[], None]] = []
        if planned.apply and planned.apply.fence:
            calls.append(partial(self._fence, planned.apply.fence))
        for call in self._calls(planned, now):
            assert isinstance(call, partial)
            if call.func == self._write:
                calls.append(partial(self._write_if, version, call))
            elif call.func == self._adopt:
                calls.append(partial(self._adopt_if, view, call.args[0]))
            else:
                calls.append(call)
        return calls

    def _fence(self, until: datetime) -> None:
        if self.cron_job:
            self.cron_job = replace(self.cron_job, last_schedule_time=until)

    def _apply(self, wanted: ApplyCronJob, now: datetime) -> None:
        live = self.cron_job
        super()._apply(wanted, now)
        made = self.live()
        self.cron_job = replace(made, active=live.active if live else ())
        if live is None or wanted.fence:
            self.given_at = made.last_schedule_time or made.creation_time

    def _adopt_if(self, view: Snapshot, adoption: Adoption) -> None:
        if view.cron_job == self.cron_job:
            self._adopt(adoption)
        elif adoption.is_fence:
            raise ConflictError

    def _write_if(self, version: tuple[int, int], write: Callable[[], None]) -> None:
        if version != self.version():
            raise ConflictError
        before = self.status()
        write()
        self._note_accounted(before.slots, self.status().slots, before.observed_generation is None)

    def _note_accounted(self, before: SlotLedger | None, after: SlotLedger | None, first: bool) -> None:
        if after is None:
            return
        if before and (before.schedule, before.time_zone) == (after.schedule, after.time_zone):
            since = before.until
        elif first:
            since = self.task.creation_time
        elif self.cron_job and not self.cron_job.suspended and self.given_at:
            since = max(self.given_at, before.until) if before else self.given_at
        else:
            since = after.until
        schedule = validate(after.schedule)
        if isinstance(schedule, EverySchedule):
            self.exact = False
            return
        for slot in slots_after(schedule, zone(after.time_zone), since):
            if slot > after.until:
                break
            assert slot not in self.accounted, "a slot is accounted for twice"
            self.accounted.add(slot)

    def _create(self, body: dict[str, object], now: datetime) -> None:
        before = len(self.jobs)
        super()._create(body, now)
        if len(self.jobs) > before:
            self._note_created(self.jobs[-1])

    def _note_created(self, job: Job) -> None:
        if job.scheduled_time:
            self.slots_created.append(job.name)
            self.slot_runs.add(job.name)

    def _patch(self, patch: JobPatch) -> None:
        """A merge patch with the UID as its precondition."""
        live = next((job for job in self.jobs if job.uid == patch.job.uid), None)
        if live:
            super()._patch(replace(patch, job=live))

    def add_job(self, job: Job) -> None:
        self.jobs += (job,)
        self._note_created(job)

    def put_job(self, changed: Job) -> None:
        self.jobs = tuple(changed if job.uid == changed.uid else job for job in self.jobs)

    def end_job(self, job: Job, well: bool, now: datetime) -> None:
        self.put_job(succeeded(job, now) if well else failed(job, now, attempts=max(job.failed, 1)))
        gone = job.given_up and job.given_up[0] in ("Cancelled", "Replaced")
        self.tally[job.uid] = "Succeeded" if well else "Cancelled" if gone else "Failed"

    def delete_job(self, job: Job) -> None:
        """Somebody else deletes a Job. Whether it is counted depends on what the status knows of it."""
        status = self.status()
        if job.uid not in counted_uids(status):
            if any(run.uid == job.uid for run in status.active):
                self.tally[job.uid] = "Cancelled"
            else:
                self.tally.pop(job.uid, None)
                self.slot_runs.discard(job.name)
        self.jobs = tuple(known for known in self.jobs if known.uid != job.uid)

    def noted_jobs(self) -> list[Job]:
        """The Jobs that may go without their slot being due again: until the CronJob notes it, they are its lock."""
        last = self.cron_job.last_schedule_time if self.cron_job else None
        return [job for job in self.jobs if not job.scheduled_time or (last and job.scheduled_time <= last)]

    def untold_slots(self) -> set[datetime]:
        """The slots that only an entry without a run can tell of."""
        name = self.task.key.name
        return {slot for slot in self.accounted if slot_job_name(name, slot) not in self.slot_runs}


@dataclass
class Controllers:
    """The CronJob controller and the Job controller."""

    server: Server

    def sync(self, now: datetime) -> None:
        """What both do when they look."""
        for job in self.server.jobs:
            if job.given_up and not job.end and not job.suspended:
                self.server.end_job(job, False, now)
        decided = self.decide(now)
        if decided:
            assert decided[0] not in self.server.accounted, "what is told is not started afterwards"
            self.start(decided, now)

    def next_slot(self, now: datetime) -> datetime | None:
        live = self.server.cron_job
        if live is None or live.suspended:
            return None
        slots = slots_after(
            validate(live.schedule), zone(live.time_zone), now, live.last_schedule_time or live.creation_time
        )
        return next(slots, None)

    def decide(self, now: datetime) -> tuple[datetime, CronJob] | None:
        """The slot to start now (syncCronJob), and the CronJob that this was decided from."""
        server, live = self.server, self.server.cron_job
        if live is None:
            return None
        unfinished = {job.uid for job in server.jobs if not job.end}
        live = server.cron_job = replace(live, active=tuple(ref for ref in live.active if ref.uid in unfinished))
        if live.suspended:
            return None
        spec = server.applies[-1].body["spec"]
        deadline = spec.get("startingDeadlineSeconds")
        slot = _most_recent_slot(live, now, timedelta(seconds=deadline) if deadline else None)
        if slot is None or (deadline and slot + timedelta(seconds=deadline) < now):
            return None
        name = slot_job_name(server.task.key.name, slot)
        if live.last_schedule_time == slot or any(ref.name == name for ref in live.active):
            return None
        if spec["concurrencyPolicy"] == "Forbid" and live.active:
            return None
        if spec["concurrencyPolicy"] == "Replace":
            for reference in live.active:
                job = next(job for job in server.jobs if job.uid == reference.uid)
                server.delete_job(job)
            live = server.cron_job = replace(live, active=())
        return slot, live

    def start(self, decided: tuple[datetime, CronJob], now: datetime) -> None:
        """Create the Job that was decided on, maybe a while ago, and note it unless the CronJob was written since."""
        slot, live = decided
        server = self.server
        name = slot_job_name(server.task.key.name, slot)
        if any(job.name == name for job in server.jobs):
            return
        spec = server.applies[-1].body["spec"]["jobTemplate"]["spec"]
        uid = f"slot-{len(server.slots_created)}"
        job = a_job(
            name,
            uid=uid,
            creation_time=now,
            scheduled_time=slot,
            trigger=Trigger.SCHEDULE,
            max_attempts=spec["backoffLimitPerIndex"] + 1,
        )
        server.add_job(job)
        if server.cron_job == live:
            server.cron_job = replace(live, active=(*live.active, JobReference(name, uid)), last_schedule_time=slot)


def _most_recent_slot(live: CronJob, now: datetime, deadline: timedelta | None) -> datetime | None:
    """mostRecentScheduleTime, estimate included."""
    schedule, where = validate(live.schedule), zone(live.time_zone)
    earliest = live.last_schedule_time or live.creation_time
    if deadline:
        earliest = max(earliest, now - deadline)
    first = schedule.next_after(earliest, where)
    if first is None or now < first:
        return None
    second = schedule.next_after(first, where)
    if second is None or now < second:
        return first
    between = second - first
    potential = first + ((now - first) // between - 1) * between
    latest, slot = None, schedule.next_after(potential, where)
    while slot and slot <= now:
        latest, slot = slot, schedule.next_after(slot, where)
    return latest


@dataclass
class Operator:
    """The operator: it looks when something has changed, or when it said it would."""

    server: Server
    due: datetime | None = None

    def look(self, now: datetime) -> None:
        """Plan and carry out until nothing is left to do."""
        for _ in range(PASSES):
            view = self.server.snapshot()
            planned = plan(view, now)
            assert planned.requeue_at is None or planned.requeue_at > now
            self.due = planned.requeue_at
            if replace(planned, requeue_at=None) == Plan():
                return
            self._check(view, planned)
            self.server.carry_out_from(view, self.server.version(), planned, now, 99)
        raise AssertionError(f"there is always something left to do: {planned}"[:3000])

    def cut_short(self, now: datetime, calls: int) -> None:
        """One pass that ends with the process, after so many calls."""
        view = self.server.snapshot()
        planned = plan(view, now)
        self._check(view, planned)
        self.server.carry_out_from(view, self.server.version(), planned, now, calls)
        self.restart()

    def restart(self) -> None:
        self.server.applied = None
        self.due = None

    def _check(self, view: Snapshot, planned: Plan) -> None:
        """Under Forbid and Replace nothing is started beside another run."""
        spec = view.task.spec
        if planned.start_slot and spec and spec.concurrency.policy in ("Forbid", "Replace"):
            assert [job for job in view.jobs if not job.end] == []


def fail_attempt(server: Server, job: Job, now: datetime) -> None:
    """The running pod of a Job fails; after the last attempt the Job has failed."""
    pod = a_pod(job, exited(1, "timeout"), attempt=job.failed + 1, end_time=now, creation_time=now)
    server.pods += (pod,)
    job = replace(job, failed=job.failed + 1)
    server.put_job(job)
    if job.failed >= job.max_attempts:
        server.end_job(job, False, now)
