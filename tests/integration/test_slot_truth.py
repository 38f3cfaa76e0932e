"""A slot has one outcome on the real CronJob controller: one that it comes back to, and one that it never comes to."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.integration.operator_process import REPOSITORY, OperatorProcess, eventually
from tests.integration.pod_hands import end_pod
from tests.integration.tasks import Body, Tasks

LEAD = timedelta(seconds=20)
"""What setting up a test takes at most before its slot is due."""


def test_a_slot_told_as_skipped_is_not_started_when_the_run_in_its_way_ends(tasks: Tasks) -> None:
    slot = _minute_after(datetime.now(UTC) + LEAD)
    schedule = f"{slot.minute},{(slot + timedelta(minutes=5)).minute} * * * *"
    tasks.apply("kept", schedule=schedule)
    tasks.await_ready("kept")
    # The same without an operator shows what the controller does: it starts the slot that it skipped.
    bare = ("create", "cronjob", "bare", "--image=none.invalid/none", f"--schedule={schedule}")
    tasks.kubectl(*bare)
    tasks.kubectl("patch", "cronjob", "bare", "--type=merge", "-p", '{"spec": {"concurrencyPolicy": "Forbid"}}')
    runs = {"kept": "kept-long", "bare": "bare-long"}
    for name, run in runs.items():
        tasks.start_run(name, run)
    _put_into_active(tasks, "bare", "bare-long")
    eventually(lambda: _active(tasks, "kept"), lambda names: names == ["kept-long"], "the manual run is adopted")
    assert datetime.now(UTC) < slot, "the runs are active when the slot is due"

    status = tasks.await_status("kept", lambda status: status["skippedCount"], "the slot is told as skipped", 150)
    for run in runs.values():
        end_pod(tasks.cluster, tasks.namespace, run, 0)

    late = f"bare-{int(slot.timestamp()) // 60}"
    eventually(lambda: _active(tasks, "bare"), lambda names: names == [late], "the bare CronJob starts it late")
    # The controller's pass that finds the run ended is the one that would start the slot.
    eventually(lambda: _active(tasks, "kept"), lambda names: "kept-long" not in names, "it knows of the end")
    tasks.await_outcome("kept", "kept-long")
    jobs = {job for job in tasks.names("job") if "/kept-" in job}
    told = [(entry["slot"], entry["reason"]) for entry in status["history"]]
    assert (told, jobs) == ([(_text(slot), "Overlap")], {"job/kept-long"})
    assert tasks.get("cronjob", "kept")["status"]["lastScheduleTime"] == _text(slot)


@dataclass(frozen=True)
class Hole:
    """A schedule, its zone, its last run before an outage, the slot that is due now, and how many it missed before."""

    schedule: str
    zone: str
    last_run: datetime
    due: datetime
    missed_before: int


def _office_hours() -> Hole:
    """`0 9-17 * * 1-5`, last run on Friday at 15:00, recovery on Sunday at 12:00. Now is that Sunday's noon: by a zone
    where it is 12 o'clock, and a week in which the day before yesterday was the last of five working days."""
    now = _zone_where_it_is(12)
    friday = now - timedelta(days=2)
    days = sorted((friday - timedelta(days=before)).isoweekday() % 7 for before in range(5))
    schedule = f"0 9-17 * * {','.join(map(str, days))}"
    return Hole(schedule, str(now.tzinfo), friday.replace(hour=15), friday.replace(hour=17), 1)


def _day_time() -> Hole:
    """`*/5 9-16 * * *`, last run at 16:40, recovery at 23:02 or a little later."""
    today = _zone_where_it_is(23)
    last_run, due = today.replace(hour=16, minute=40), today.replace(hour=16, minute=55)
    return Hole("*/5 9-16 * * *", str(today.tzinfo), last_run, due, 2)


def _zone_where_it_is(hour: int) -> datetime:
    """Now, in whole hours, in a zone without clock changes where it is that hour."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    ahead = (hour - now.hour + 9) % 24 - 9
    return now.astimezone(ZoneInfo(f"Etc/GMT{-ahead:+d}"))


@pytest.mark.parametrize("hole", [_office_hours(), _day_time()], ids=["office hours", "day time"])
def test_a_slot_that_the_controller_never_comes_to_is_started(
    tasks: Tasks, operator: OperatorProcess, hole: Hole
) -> None:
    """Its estimate of the latest missed slot overshoots where schedules are irregular, and it starts nothing."""
    tasks.apply("ours", schedule=hole.schedule, timeZone=hole.zone)
    tasks.await_ready("ours")
    operator.stop()
    for name, schedule in (("irregular", hole.schedule), ("regular", "0 * * * *")):
        tasks.kubectl("create", "cronjob", name, "--image=none.invalid/none", f"--schedule={schedule}")
        tasks.kubectl("patch", "cronjob", name, "--type=merge", "-p", json.dumps({"spec": {"timeZone": hole.zone}}))

    # As after an outage of all controllers since the last run: each change makes the controller look again.
    _patch_status(tasks, "stask", "ours", {"slots": {"until": _text(hole.last_run)}})
    for name in ("ours", "irregular", "regular"):
        _patch_status(tasks, "cronjob", name, {"lastScheduleTime": _text(hole.last_run)})
    eventually(lambda: _active(tasks, "regular"), bool, "the controller catches up on the regular schedule")
    assert _active(tasks, "ours") == _active(tasks, "irregular") == [], "but starts nothing on the irregular one"
    operator.start()

    run = f"ours-{int(hole.due.timestamp()) // 60}"
    eventually(lambda: _active(tasks, "ours"), lambda names: names == [run], "the slot is started, and adopted")
    status = tasks.await_status("ours", lambda status: status["active"], "its run is in the status")
    # The operator makes the Job; or the controller does, when it is told of the slots before, and is faster.
    assert [(entry["run"], entry["slot"]) for entry in status["active"]] == [(run, _text(hole.due))]
    told = [(entry["outcome"], entry["reason"], entry["slots"]) for entry in status["history"]]
    assert told == [("Missed", "Coalesced", hole.missed_before)]
    explained = _why(tasks, "ours")
    assert [entry["run"] for entry in explained["active"]] == [run]
    assert explained["history"][0]["explanation"].startswith("Nothing started it, and a later slot was due by then.")
    assert datetime.fromisoformat(explained["next"]["time"]) > datetime.now(UTC)
    assert _active(tasks, "irregular") == []


def _why(tasks: Tasks, name: str) -> Body:
    answer = subprocess.run(
        [sys.executable, "-m", "scheduledtask.cli", "why", name, "-n", tasks.namespace, "-o", "json"],
        cwd=REPOSITORY / "operator",
        env={**os.environ, "KUBECONFIG": str(tasks.cluster.kubeconfig)},
        capture_output=True,
        check=True,
        text=True,
    )
    explained: Body = json.loads(answer.stdout)
    return explained


def _active(tasks: Tasks, cron_job: str) -> list[str]:
    status: Body = tasks.get("cronjob", cron_job).get("status", {})
    return [entry["name"] for entry in status.get("active", [])]


def _put_into_active(tasks: Tasks, cron_job: str, job: str) -> None:
    """What the operator does for its own: without it Forbid does not see a manual run."""
    uid = tasks.get("job", job)["metadata"]["uid"]
    entry = {"apiVersion": "batch/v1", "kind": "Job", "name": job, "namespace": tasks.namespace, "uid": uid}
    _patch_status(tasks, "cronjob", cron_job, {"active": [entry]})


def _patch_status(tasks: Tasks, kind: str, name: str, status: Body) -> None:
    body = json.dumps({"status": status})
    tasks.kubectl("patch", kind, name, "--subresource=status", "--type=merge", "-p", body)


def _minute_after(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0) + timedelta(minutes=1)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
