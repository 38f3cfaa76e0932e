"""What /metrics says of tasks and runs.

Of each task by name, and of what is active, it is read from the stored statuses at each scrape, for they have it all
already. So between scrapes it costs nothing, a task that is deleted takes its series along, and the counters go on
where they were after a restart. Of a status only these few fields are decoded. Histograms are of all tasks together,
counted as statuses are written.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from scheduledtask.api.status import ActiveRun, HistoryEntry, Outcome
from scheduledtask.controller.store import Store
from scheduledtask.domain.plan import Plan
from scheduledtask.domain.values import Task
from scheduledtask.kube.wire import Wire
from scheduledtask.metrics import RUN_ATTEMPTS, RUN_DURATION, RUN_LATENESS

TASK = ("namespace", "name")


class ConditionRead(Wire, frozen=True):
    type: str
    status: str
    reason: str = ""


class ActiveRead(Wire, frozen=True):
    next_attempt_time: datetime | None = None


class StatusRead(Wire, frozen=True):
    """Of a status, what is told."""

    conditions: tuple[ConditionRead, ...] = ()
    success_count: int = 0
    failure_count: int = 0
    cancelled_count: int = 0
    skipped_count: int = 0
    missed_count: int = 0
    last_success_time: datetime | None = None
    success_awaited_since: datetime | None = None
    next_run_time: datetime | None = None
    active: tuple[ActiveRead, ...] = ()
    active_runs: int = 0


class _Families:
    """The metrics, empty at first."""

    def __init__(self) -> None:
        self.runs = CounterMetricFamily(
            "scheduledtask_runs_ended",
            "Runs of a task that ended, by outcome, since it was created.",
            labels=(*TASK, "outcome"),
        )
        self.unstarted = CounterMetricFamily(
            "scheduledtask_slots_unstarted",
            "Slots of a task without a run (and manual runs that were skipped), by outcome, since it was created.",
            labels=(*TASK, "outcome"),
        )
        self.success = GaugeMetricFamily(
            "scheduledtask_last_success_timestamp_seconds",
            "Unix time at which a run of a task last succeeded; absent before the first success.",
            labels=TASK,
        )
        self.awaited = GaugeMetricFamily(
            "scheduledtask_success_awaited_timestamp_seconds",
            "Unix time since which a task with a schedule has had no success: the last one, or else its creation or "
            "the end of its last suspension or pause. Absent during those.",
            labels=TASK,
        )
        self.problem = GaugeMetricFamily(
            "scheduledtask_problem",
            "1 for each condition of a task, Ready or Healthy, that is False, with its reason; absent otherwise.",
            labels=(*TASK, "condition", "reason"),
        )
        self.active = GaugeMetricFamily("scheduledtask_active_runs", "Runs of all tasks that have not ended.")
        self.waiting = GaugeMetricFamily(
            "scheduledtask_retries_waiting", "Active runs of all tasks whose next attempt is not due yet."
        )

    def __iter__(self) -> Iterator[Metric]:
        return iter((self.runs, self.unstarted, self.success, self.awaited, self.problem, self.active, self.waiting))


class TaskMeasures(Collector):
    """Reads the store whenever it is asked, from any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> Iterable[Metric]:
        """The metrics without values: to register costs no scrape."""
        return _Families()

    def collect(self) -> Iterable[Metric]:
        families = _Families()
        decoder = msgspec.json.Decoder(StatusRead)
        active = waiting = 0
        for key, record in self._store.records():
            try:
                status = decoder.decode(record.status)
            except msgspec.MsgspecError:
                # Somebody else wrote it: the reconciler says so, and the others are told all the same.
                continue
            _tell(families, [key.namespace, key.name], status)
            active += status.active_runs
            waiting += sum(run.next_attempt_time is not None for run in status.active)
        families.active.add_metric((), active)
        families.waiting.add_metric((), waiting)
        return families


def _tell(families: _Families, task: list[str], status: StatusRead) -> None:
    # Zeros are told of what alerts count: an increase from nothing to one would be seen by no query.
    families.runs.add_metric([*task, Outcome.SUCCEEDED.value], status.success_count)
    families.runs.add_metric([*task, Outcome.FAILED.value], status.failure_count)
    families.unstarted.add_metric([*task, Outcome.MISSED.value], status.missed_count)
    if status.cancelled_count:
        families.runs.add_metric([*task, Outcome.CANCELLED.value], status.cancelled_count)
    if status.skipped_count:
        families.unstarted.add_metric([*task, Outcome.SKIPPED.value], status.skipped_count)
    success, awaited = status.last_success_time, status.success_awaited_since
    if success:
        families.success.add_metric(task, success.timestamp())
    if awaited and status.next_run_time:
        families.awaited.add_metric(task, max(awaited, success or awaited).timestamp())
    for condition in status.conditions:
        if condition.status == "False":
            families.problem.add_metric([*task, condition.type, condition.reason], 1)


def count_runs(task: Task, planned: Plan) -> None:
    """Count what the status that was just written says for the first time. `task` is from before that."""
    begun = {run.uid for run in task.status.active if run.start_time}
    for run in planned.status.active if planned.status else ():
        if run.uid not in begun:
            _count_lateness(run)
    for ended in planned.ended:
        entry = ended.entry
        if entry.uid is None:
            continue
        if entry.uid not in begun:
            _count_lateness(entry)
        if entry.start_time:
            RUN_DURATION.labels(outcome=entry.outcome.value).observe(
                (entry.end_time - entry.start_time).total_seconds()
            )
        RUN_ATTEMPTS.labels(outcome=entry.outcome.value).observe(entry.attempts)


def _count_lateness(run: ActiveRun | HistoryEntry) -> None:
    """How late the run of a slot began: once, when that is first heard of, be it active or ended by then."""
    if run.slot and run.start_time:
        lateness = max((run.start_time - run.slot).total_seconds(), 0)
        RUN_LATENESS.labels(trigger=run.trigger.value).observe(lateness)
