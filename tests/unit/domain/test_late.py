"""A slot that was told and has a run all the same is told by that run alone."""

from dataclasses import replace
from datetime import datetime

from scheduledtask.api.status import HistoryEntry, Outcome, ScheduledTaskStatus, SlotLedger, Trigger
from scheduledtask.domain.late import without_late_slots
from scheduledtask.domain.slots import slot_job_name
from scheduledtask.domain.values import Job, Snapshot
from tests.unit.builders import KEY, a_cron_job, a_job, a_task, at


def told(slot: str, outcome: Outcome = Outcome.SKIPPED, slots: int = 1) -> HistoryEntry:
    return HistoryEntry(
        trigger=Trigger.SCHEDULE, slot=at(slot), slots=slots, end_time=at(slot), outcome=outcome, reason="Overlap"
    )


def run_of(slot: str) -> Job:
    return a_job(slot_job_name(KEY.name, at(slot)), scheduled_time=at(slot), creation_time=at(slot))


def snapshot(*history: HistoryEntry, job: Job, until: datetime | None = None) -> Snapshot:
    status = ScheduledTaskStatus(
        slots=SlotLedger(schedule="*/10 * * * *", time_zone="Etc/UTC", until=until or at("11:20")),
        history=history,
        skipped_count=sum(entry.slots for entry in history if entry.outcome is Outcome.SKIPPED),
        missed_count=sum(entry.slots for entry in history if entry.outcome is Outcome.MISSED),
        consecutive_missed=1,
    )
    task = replace(a_task(), creation_time=at("08:00"), status=status)
    return Snapshot(task=task, cron_job=a_cron_job(), jobs=(job,), pods=(), applied=None, refusal=None)


def test_the_entry_of_a_slot_gives_way_to_its_run() -> None:
    found = snapshot(told("11:20"), told("11:10"), job=run_of("11:20"))

    status = without_late_slots(found).task.status

    assert status.history == (told("11:10"),)
    assert (status.skipped_count, status.missed_count) == (1, 0)


def test_one_entry_of_several_slots_tells_one_less() -> None:
    found = snapshot(told("11:20", Outcome.MISSED, slots=3), job=run_of("11:10"))

    status = without_late_slots(found).task.status

    assert status.history == (told("11:20", Outcome.MISSED, slots=2),)
    assert (status.missed_count, status.consecutive_missed) == (2, 0)


def test_a_run_that_the_status_knows_changes_nothing() -> None:
    run = run_of("11:20")
    found = snapshot(told("11:20"), job=run)
    status = found.task.status.model_copy(update={"counted_jobs": (run.uid,)})
    found = replace(found, task=replace(found.task, status=status))

    assert without_late_slots(found) is found


def test_neither_does_the_run_of_a_slot_that_was_not_told_yet() -> None:
    found = snapshot(told("11:20"), job=run_of("11:30"))

    assert without_late_slots(found) is found
