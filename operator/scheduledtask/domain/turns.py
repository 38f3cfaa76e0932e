"""Whose turn it is at a gate, decided from what is known of the tasks that share it."""

from collections.abc import Iterable
from datetime import datetime

from scheduledtask.domain.course import verdicts_on
from scheduledtask.domain.gate import Waiting, admit
from scheduledtask.domain.timetable import InvalidSpecError, timetable
from scheduledtask.domain.values import Job, Snapshot


def next_turn(snapshots: Iterable[Snapshot], now: datetime) -> Waiting | None:
    """Who is to be admitted now, if anybody is. `snapshots` are all the tasks behind one gate."""
    now = now.replace(microsecond=0)
    jobs, waiting = list[Job](), list[Waiting]()
    for snapshot in snapshots:
        jobs += snapshot.jobs
        waiting += _waiting(snapshot, now)
    return admit(jobs, waiting)


def _waiting(snapshot: Snapshot, now: datetime) -> list[Waiting]:
    task = snapshot.task
    if task.spec is None or task.deleting:
        return []
    try:
        table = timetable(task, now)
    except InvalidSpecError:
        table = None
    return [
        Waiting(task.key, task.spec.concurrency.priority, verdict.due_since, verdict.patch)
        for verdict in verdicts_on(snapshot, table, now).values()
        if verdict.patch and verdict.patch.resumes and verdict.due_since
    ]
