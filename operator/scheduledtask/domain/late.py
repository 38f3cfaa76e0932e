"""Slots that were told as skipped or missed, and have a run all the same: they are taken back.

A told slot is fenced, so the CronJob controller does not begin to start it. But a start that it had begun, its request
still on the way, can't be called back. The run then stands in the account as any other, in the place of the entry.
"""

from dataclasses import replace
from datetime import datetime

from scheduledtask.api.status import HistoryEntry, Outcome, ScheduledTaskStatus
from scheduledtask.domain.ledger import counted_uids, own_jobs
from scheduledtask.domain.values import Snapshot


def without_late_slots(snapshot: Snapshot) -> Snapshot:
    """The snapshot with a status that no longer tells slots of which there is a run that it doesn't know."""
    status = snapshot.task.status
    account = status.slots
    if account is None:
        return snapshot
    known = counted_uids(status) | {run.uid for run in status.active}
    for job in own_jobs(snapshot):
        slot = job.scheduled_time
        if slot and slot <= account.until and job.uid not in known:
            status = _taken_back(status, slot)
    if status is snapshot.task.status:
        return snapshot
    return replace(snapshot, task=replace(snapshot.task, status=status))


def _taken_back(status: ScheduledTaskStatus, slot: datetime) -> ScheduledTaskStatus:
    """The status without what it tells of the slot; as it is where that has left the history."""
    telling = [entry for entry in status.history if entry.run is None and entry.slot and entry.slot >= slot]
    entry = min(telling, key=lambda entry: (entry.slot or slot, entry.end_time), default=None)
    if entry is None or (entry.slots == 1 and entry.slot != slot):
        return status
    update: dict[str, object] = {"history": _without_one(status.history, entry)}
    if entry.outcome is Outcome.SKIPPED:
        update["skipped_count"] = status.skipped_count - 1
    else:
        update["missed_count"] = status.missed_count - 1
        update["consecutive_missed"] = max(0, status.consecutive_missed - 1)
    return status.model_copy(update=update)


def _without_one(history: tuple[HistoryEntry, ...], entry: HistoryEntry) -> tuple[HistoryEntry, ...]:
    fewer = (entry.model_copy(update={"slots": entry.slots - 1}),) if entry.slots > 1 else ()
    place = history.index(entry)
    return history[:place] + fewer + history[place + 1 :]
