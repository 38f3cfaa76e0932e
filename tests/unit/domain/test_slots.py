"""Every slot has one outcome: by a run, or by the reason why there was none."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduledtask.api.spec import ScheduledTaskSpec
from scheduledtask.api.status import Condition, ScheduledTaskStatus, SlotLedger
from scheduledtask.domain.slots import SlotReport, account_slots, slot_job_name
from scheduledtask.domain.timetable import timetable
from scheduledtask.domain.values import CronJob, Job, JobEnd, Snapshot
from tests.unit.builders import a_cron_job, a_job, a_task, at

READY = Condition(type="Ready", status="True", reason="Scheduled", message="", last_transition_time=at("00:00"))


def snapshot(
    *jobs: Job, schedule: str = "*/10 * * * *", until: datetime | None = None, reason: str = "", **fields: Any
) -> Snapshot:
    """A task with a slot every ten minutes, accounted for up to `until` (11:00)."""
    spec = ScheduledTaskSpec.model_validate({"schedule": schedule, "template": {}, **fields})
    slots = SlotLedger(schedule=schedule, time_zone=spec.time_zone, until=until or at("11:00"))
    conditions = (READY.model_copy(update={"reason": reason}),) if reason else ()
    task = replace(
        a_task(), spec=spec, creation_time=at("08:00"), status=ScheduledTaskStatus(slots=slots, conditions=conditions)
    )
    live = replace(a_cron_job(), creation_time=at("08:00"), last_schedule_time=None)
    return Snapshot(task=task, cron_job=live, jobs=jobs, pods=(), applied=None, refusal=None)


def account(snapshot: Snapshot, now: str) -> SlotReport:
    return account_slots(snapshot, timetable(snapshot.task, at(now)), READY, at(now))


def run_of(slot: str, **fields: Any) -> Job:
    return a_job(slot_job_name(a_task().key.name, at(slot)), scheduled_time=at(slot), creation_time=at(slot), **fields)


def told(report: SlotReport) -> list[tuple[datetime | None, str, int]]:
    return [(entry.slot, entry.reason, entry.slots) for entry in report.entries]


def until(report: SlotReport) -> datetime:
    assert report.ledger is not None
    return report.ledger.until


def test_a_slot_with_a_job_is_accounted_for_by_its_run() -> None:
    report = account(snapshot(run_of("11:10"), run_of("11:20")), "11:20")

    assert (until(report), report.entries, report.start) == (at("11:20"), (), None)


def test_a_slot_without_a_job_waits_for_the_cron_job_controller() -> None:
    report = account(snapshot(), "11:10")

    assert (until(report), report.entries, report.start) == (at("11:00"), (), None)
    assert report.look_again_at == at("11:10") + timedelta(seconds=60)


def test_then_it_is_started_under_its_own_name() -> None:
    assert account(snapshot(), "11:11").start == at("11:10")


def test_of_several_missed_slots_the_latest_is_started_and_the_others_are_told() -> None:
    report = account(snapshot(), "11:45")

    assert report.start == at("11:40")
    assert told(report) == [(at("11:30"), "Coalesced", 3)]
    assert until(report) == at("11:30")


@pytest.mark.parametrize(
    ("fields", "now", "reason"),
    [
        ({"catchUp": "None"}, "11:15:01", "NotStarted"),
        ({"startingDeadline": "3m"}, "11:15", "DeadlineExceeded"),
    ],
)
def test_a_slot_that_must_not_start_late_is_missed(fields: dict[str, Any], now: str, reason: str) -> None:
    report = account(snapshot(**fields), now)

    assert (told(report), report.start, until(report)) == ([(at("11:10"), reason, 1)], None, at("11:10"))


def test_within_its_deadline_a_slot_is_started() -> None:
    assert account(snapshot(startingDeadline="10m"), "11:15").start == at("11:10")


def test_a_slot_during_another_run_is_skipped_under_forbid_and_started_under_allow() -> None:
    long_run = run_of("11:00")

    skipped = account(snapshot(long_run), "11:15")
    assert told(skipped) == [(at("11:10"), "Overlap", 1)]
    assert long_run.name in (skipped.entries[0].message or "")
    assert account(snapshot(long_run, concurrency={"policy": "Allow"}), "11:15").start == at("11:10")


def test_slots_before_the_cron_job_existed_are_missed() -> None:
    late = snapshot()
    assert late.cron_job is not None
    report = account(replace(late, cron_job=replace(late.cron_job, creation_time=at("11:25"))), "11:25")

    assert told(report) == [(at("11:20"), "NotInPlace", 2)]


def test_nothing_is_told_while_a_task_is_suspended_and_all_in_one_entry_afterwards() -> None:
    during = account(snapshot(suspend=True), "13:55")
    assert (during.entries, until(during)) == ((), at("11:00"))

    resumed = snapshot(reason="Suspended")
    assert resumed.cron_job is not None
    resumed = replace(resumed, cron_job=replace(resumed.cron_job, last_schedule_time=at("13:55")))
    after = account(resumed, "13:55")
    assert told(after) == [(at("13:50"), "Suspended", 17)]
    assert until(after) == at("13:50")


def test_an_edited_schedule_begins_a_new_account() -> None:
    edited = snapshot()
    spec = ScheduledTaskSpec.model_validate({"schedule": "*/7 * * * *", "template": {}})

    status = edited.task.status.model_copy(update={"observed_generation": 1})
    assert edited.cron_job is not None
    edited = replace(
        edited,
        task=replace(edited.task, spec=spec, status=status),
        cron_job=replace(edited.cron_job, last_schedule_time=at("11:54:30")),
    )
    report = account(edited, "11:55")

    assert report.ledger == SlotLedger(schedule="*/7 * * * *", time_zone="Etc/UTC", until=at("11:54:30"))
    assert report.entries == ()


def with_cron_job(known: Snapshot, **changes: Any) -> Snapshot:
    assert known.cron_job is not None
    return replace(known, cron_job=replace(known.cron_job, **changes))


def test_what_is_told_is_fenced_first() -> None:
    """Else the CronJob controller starts a slot that it skipped when the run in its way has ended."""
    skipped = account(snapshot(run_of("11:00")), "11:15")
    assert skipped.fence == at("11:10")

    overtaken = account(snapshot(), "11:45")
    assert (overtaken.fence, overtaken.start) == (at("11:30"), at("11:40")), "clocks may go back before it is started"

    fenced = with_cron_job(snapshot(run_of("11:00")), last_schedule_time=at("11:10"))
    assert (told(account(fenced, "11:15")), account(fenced, "11:15").fence) == ([(at("11:10"), "Overlap", 1)], None)


def test_a_slot_that_the_controller_has_dealt_with_is_never_started() -> None:
    """It writes so only when it has made the Job: somebody deleted it since."""
    gone = with_cron_job(snapshot(), last_schedule_time=at("11:10"))

    assert told(account(gone, "11:15")) == [(at("11:10"), "PassedOver", 1)]


def test_under_forbid_no_slot_is_started_beside_a_run_that_began_after_it() -> None:
    manual = a_job("by-hand", creation_time=at("11:12"), scheduled_time=None)

    assert told(account(snapshot(manual), "11:15")) == [(at("11:10"), "Overlap", 1)]


def test_without_catch_up_a_late_controller_is_given_time() -> None:
    waiting = account(snapshot(catchUp="None"), "11:14")
    assert (waiting.entries, waiting.start, waiting.look_again_at) == ((), None, at("11:15:01"))

    overtaken = account(snapshot(catchUp="None"), "11:20")
    assert (told(overtaken), until(overtaken)) == ([(at("11:10"), "NotStarted", 1)], at("11:10"))


def test_a_schedule_that_is_never_due_asks_for_nothing() -> None:
    assert account(snapshot(schedule="0 0 30 2 *"), "11:15").look_again_at is None


@pytest.mark.parametrize("spec", ["refused", "unreadable"])
def test_while_a_spec_is_not_accepted_the_account_of_the_running_version_goes_on(spec: str) -> None:
    """Its runs are counted and pruned: later on nobody would know of them."""
    ended = run_of("11:10", end=JobEnd(True, "", "", at("11:11")))
    running = with_cron_job(snapshot(ended), schedule="*/10 * * * *")
    refused = READY.model_copy(update={"status": "False", "reason": "Refused"})
    table = timetable(running.task, at("11:25")) if spec == "refused" else None

    report = account_slots(running, table, refused, at("11:25"))

    assert (until(report), told(report), report.start) == (at("11:10"), [], None)
    assert report.look_again_at == at("11:26")


def test_a_new_account_of_an_edited_task_does_not_reach_back_to_its_creation() -> None:
    """It ran on demand for a while: what was before is told already."""
    task = snapshot().task
    on_demand = ScheduledTaskStatus(observed_generation=2)
    rescheduled = with_cron_job(snapshot(), last_schedule_time=at("11:54"))
    rescheduled = replace(rescheduled, task=replace(task, status=on_demand))

    assert until(account(rescheduled, "11:55")) == at("11:54")


def test_after_clocks_were_set_back_an_edit_does_not_tell_a_slot_again() -> None:
    before = snapshot(schedule="*/7 * * * *", until=at("13:00"))
    status = before.task.status.model_copy(update={"observed_generation": 1})
    spec = ScheduledTaskSpec.model_validate({"schedule": "*/10 * * * *", "template": {}})
    edited = with_cron_job(
        replace(before, task=replace(before.task, spec=spec, status=status)), last_schedule_time=at("12:20")
    )

    report = account(edited, "12:22")

    assert (until(report), report.entries) == (at("13:00"), ())


def test_slots_of_every_are_told_as_far_back_as_the_account_goes() -> None:
    known = with_cron_job(
        snapshot(schedule="@every 90m", until=at("08:00")), creation_time=at("08:01"), last_schedule_time=at("14:01")
    )
    ran = a_job(slot_job_name("report", at("14:01")), creation_time=at("14:01"), scheduled_time=at("14:01"))

    report = account(replace(known, jobs=(ran,)), "14:30")

    assert (told(report), until(report)) == ([(at("12:31"), "Coalesced", 3)], at("14:01"))


def test_the_holes_of_the_cron_job_controller_start_their_run() -> None:
    """Its estimate of the latest missed slot overshoots for irregular schedules, and it starts nothing."""
    friday, sunday = datetime.fromisoformat("2026-11-20T15:00:00Z"), datetime.fromisoformat("2026-11-22T12:00:00Z")
    office = snapshot(schedule="0 9-17 * * 1-5", until=friday)
    assert office.cron_job is not None
    office = replace(
        office,
        task=replace(office.task, creation_time=friday - timedelta(days=9)),
        cron_job=replace(office.cron_job, creation_time=friday - timedelta(days=9), last_schedule_time=friday),
    )

    report = account_slots(office, timetable(office.task, sunday), READY, sunday)

    assert report.start == datetime.fromisoformat("2026-11-20T17:00:00Z")
    assert [entry.reason for entry in report.entries] == ["Coalesced"]


@given(
    st.sets(st.integers(0, 143), max_size=144),
    st.lists(st.integers(1, 200), min_size=1, max_size=12),
    st.sampled_from(["Forbid", "Allow"]),
)
def test_every_slot_of_a_day_has_exactly_one_outcome(started: set[int], steps: list[int], policy: str) -> None:
    """Whatever slots the controller starts, and whenever the operator looks."""
    day = at("00:00")
    world = snapshot(until=day, concurrency={"policy": policy})
    assert world.cron_job is not None
    live: CronJob = replace(world.cron_job, creation_time=day - timedelta(days=1))
    world = replace(world, cron_job=live, task=replace(world.task, creation_time=day - timedelta(days=1)))
    now, told_slots, runs = day, 0, set[datetime]()
    for step in steps:
        now += timedelta(minutes=step)
        due = [
            day + timedelta(minutes=minutes)
            for minutes in range(10, 2401, 10)
            if timedelta(minutes=minutes) <= now - day
        ]
        runs |= {slot for slot in due if int((slot - day).total_seconds()) // 600 in started}
        for _ in range(3):
            jobs = tuple(_ended(slot) for slot in sorted(runs))
            report = account_slots(replace(world, jobs=jobs), timetable(world.task, now), READY, now)
            told_slots += sum(entry.slots for entry in report.entries)
            accounted_until = until(report)
            status = world.task.status.model_copy(update={"slots": report.ledger})
            world = replace(world, task=replace(world.task, status=status))
            if report.start:
                assert report.start not in runs
                runs.add(report.start)
        accounted = [slot for slot in due if slot <= accounted_until]
        assert told_slots == len([slot for slot in accounted if slot not in runs])
        assert len(due) - len(accounted) <= 1, "all but the latest, for which there is a grace"


def _ended(slot: datetime) -> Job:
    name = slot_job_name(a_task().key.name, slot)
    job = a_job(name, scheduled_time=slot, creation_time=slot)
    assert job.end is None
    return replace(job, uid=f"uid-{name}", end=JobEnd(True, "", "", slot + timedelta(seconds=30)))
