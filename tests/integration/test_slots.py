"""Slots on a real control plane: each has one outcome, whoever starts it."""

from datetime import UTC, datetime

from tests.integration.operator_process import eventually
from tests.integration.pod_hands import end_pod
from tests.integration.tasks import Tasks


def test_a_slot_during_a_manual_run_is_skipped_and_told(tasks: Tasks) -> None:
    tasks.apply("busy", schedule="* * * * *")
    tasks.await_ready("busy")
    tasks.start_run("busy", "by-hand")

    active = eventually(
        lambda: [entry["name"] for entry in tasks.get("cronjob", "busy")["status"].get("active", [])],
        bool,
        "the CronJob controller knows of the manual run",
    )
    assert active == ["by-hand"]
    status = tasks.await_status("busy", lambda status: status["skippedCount"], "a slot was skipped", 150)

    tasks.patch("busy", suspend=True)
    skipped = next(entry for entry in status["history"] if entry["outcome"] == "Skipped")
    assert (skipped["reason"], "by-hand" in skipped["message"]) == ("Overlap", True)
    assert [job for job in tasks.names("job") if job != "job/by-hand"] == [], "Forbid held"
    end_pod(tasks.cluster, tasks.namespace, "by-hand", 0)
    tasks.await_status("busy", lambda status: status["successCount"], "the manual run is counted")


def test_suspended_slots_are_told_in_one_entry_when_it_is_over(tasks: Tasks) -> None:
    tasks.apply("asleep", schedule="* * * * *", suspend=True)
    tasks.await_ready("asleep")
    begun = datetime.now(UTC)
    eventually(lambda: datetime.now(UTC), lambda now: now.minute != begun.minute, "a slot has passed", 70)

    tasks.patch("asleep", suspend=False)

    status = tasks.await_status("asleep", lambda status: status["skippedCount"], "the slot is accounted for")
    tasks.patch("asleep", suspend=True)
    entry = status["history"][0]
    assert (entry["outcome"], entry["reason"], entry["slots"]) == ("Skipped", "Suspended", status["skippedCount"])
    assert tasks.names("job") == [], "nothing is caught up"
