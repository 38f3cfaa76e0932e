"""What is read of the API server's JSON, and that nothing in it can stop the operator."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from scheduledtask.api.status import Trigger
from scheduledtask.domain.values import ContainerEnd, Key, Stuck
from scheduledtask.kube.wire import (
    ApiStatus,
    CronJobObject,
    JobObject,
    ObjectList,
    PodObject,
    ScheduledTaskObject,
)
from tests.unit.kube import wire_objects as wire

MADE = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SLOT = "batch.kubernetes.io/cronjob-scheduled-timestamp"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
REPORT = Key("match-history", "report")


def read_job(**parts: Any) -> JobObject:
    return msgspec.json.decode(wire.job(**parts), type=JobObject)


def read_pod(**parts: Any) -> PodObject:
    return msgspec.json.decode(wire.pod(**parts), type=PodObject)


class TestATask:
    def test_spec_and_status_are_kept_as_they_are(self) -> None:
        item = msgspec.json.decode(wire.task(status={"successCount": 3}), type=ScheduledTaskObject)
        assert (item.task, item.metadata.version) == (REPORT, 5)
        record = item.value()
        assert (record.uid, record.generation, record.creation_time) == ("uid-of-report", 1, MADE)
        assert msgspec.json.decode(record.status) == {"successCount": 3}
        assert msgspec.json.decode(record.spec)["schedule"] == "0 * * * *"

    def test_one_that_is_new_has_an_empty_status(self) -> None:
        assert msgspec.json.decode(wire.task(), type=ScheduledTaskObject).value().status == b"{}"

    def test_a_change_of_annotations_is_no_change(self) -> None:
        plain = msgspec.json.decode(wire.task(), type=ScheduledTaskObject)
        noted = msgspec.json.decode(wire.task(annotations={"a": "b"}, resourceVersion="6"), type=ScheduledTaskObject)
        assert plain.value() == noted.value()

    def test_one_that_is_going_says_so(self) -> None:
        going = msgspec.json.decode(wire.task(deletionTimestamp=wire.MADE), type=ScheduledTaskObject)
        assert going.value().deleting


class TestACronJob:
    def test_its_owner_is_its_controller(self) -> None:
        value = msgspec.json.decode(wire.cron_job(), type=CronJobObject).value()
        assert (value.owner_uid, value.task_label, value.deleting) == ("task-uid", "report", False)

    def test_one_made_by_hand_has_no_owner_no_label_and_no_zone(self) -> None:
        body = wire.cron_job(labels={}, ownerReferences=[])
        value = msgspec.json.decode(body, type=CronJobObject).value()
        assert (value.owner_uid, value.task_label, value.time_zone) == (None, None, "")
        assert (value.last_schedule_time, value.suspended) == (None, False)

    def test_its_state_is_read(self) -> None:
        body = wire.cron_job(
            spec={"suspend": True, "timeZone": "Europe/Berlin"}, status={"lastScheduleTime": wire.MADE, "active": []}
        )
        value = msgspec.json.decode(body, type=CronJobObject).value()
        assert (value.suspended, value.time_zone, value.last_schedule_time) == (True, "Europe/Berlin", MADE)

    def test_it_belongs_to_the_task_of_its_name_whatever_its_label(self) -> None:
        body = wire.cron_job(labels={"scheduledtask.dev/task": "another"})
        assert msgspec.json.decode(body, type=CronJobObject).task == REPORT


class TestAJob:
    def test_a_run_of_the_schedule(self) -> None:
        item = read_job()
        value = item.value()
        assert (item.task, value.name, value.uid) == (REPORT, "run-1", "uid-of-run-1")
        assert (value.scheduled_time, value.trigger, value.max_attempts, value.end) == (MADE, Trigger.SCHEDULE, 5, None)

    def test_a_run_by_hand(self) -> None:
        value = read_job(annotations={"cronjob.kubernetes.io/instantiate": "manual"}).value()
        assert (value.scheduled_time, value.trigger, value.parameters) == (None, Trigger.MANUAL, None)

    @pytest.mark.parametrize(
        ("noted", "trigger"), [("Retry", Trigger.RETRY), ("CatchUp", Trigger.CATCH_UP), ("Whim", Trigger.MANUAL)]
    )
    def test_a_run_by_the_operator_says_who_asked_for_it(self, noted: str, trigger: Trigger) -> None:
        noted_so = {"scheduledtask.dev/trigger": noted, "scheduledtask.dev/parameters": "{}"}
        value = read_job(annotations=noted_so).value()
        assert (value.trigger, value.parameters) == (trigger, "{}")

    @pytest.mark.parametrize(
        ("suspended", "noted", "started", "ended"),
        [
            (True, {}, None, False),
            (True, {"given-up-reason": "Cancelled", "withdrawn-at": "2026-11-22T13:00:00Z"}, None, True),
            (False, {}, MADE, False),
            (False, {"admitted-at": "2026-11-22T12:30:00Z"}, MADE.replace(minute=30), False),
            (True, {"admitted-at": "2026-11-22T12:30:00Z"}, MADE.replace(minute=30), False),
            (True, {"admitted-at": "2026-11-22T12:30:00Z", "given-up-reason": "R"}, MADE.replace(minute=30), False),
        ],
        ids=["waits", "is withdrawn", "was let go by somebody", "runs", "is between attempts", "is given up then"],
    )
    def test_one_that_waits_for_its_turn_has_not_started(
        self, suspended: bool, noted: dict[str, str], started: datetime | None, ended: bool
    ) -> None:
        annotations = {f"scheduledtask.dev/{key}": value for key, value in {"gated": "true", **noted}.items()}
        value = read_job(spec={"suspend": suspended}, annotations=annotations).value()
        assert (value.begin_time, value.end is not None) == (started, ended)
        assert value.end is None or (value.end.time, value.end.reason) == (MADE.replace(hour=13), "Cancelled")

    def test_a_plain_job_has_the_attempts_of_its_backoff_limit(self) -> None:
        assert read_job(spec={"backoffLimit": 2, "backoffLimitPerIndex": None}).value().max_attempts == 3

    @pytest.mark.parametrize(
        ("conditions", "end"),
        [
            ([], None),
            ([("Suspended", "True")], None),
            ([("FailureTarget", "True")], None),
            ([("SuccessCriteriaMet", "True")], None),
            ([("Complete", "False")], None),
            ([("SuccessCriteriaMet", "True"), ("Complete", "True")], True),
            ([("FailureTarget", "True"), ("Failed", "True")], False),
        ],
    )
    def test_it_has_ended_when_it_is_complete_or_failed(
        self, conditions: list[tuple[str, str]], end: bool | None
    ) -> None:
        listed = [{"type": kind, "status": status, "lastTransitionTime": wire.MADE} for kind, status in conditions]
        value = read_job(status={"conditions": listed, "failed": 2}).value()
        assert value.failed == 2
        assert (value.end and value.end.succeeded) == end
        assert value.end is None or value.end.time == MADE

    def test_its_begin_and_pods_are_kept_while_it_goes_on(self) -> None:
        status = {"startTime": wire.MADE, "active": 1, "ready": 1}
        value = read_job(status=status).value()
        assert (value.start_time, value.active, value.ready, value.stuck) == (MADE, 1, 1, None)
        ended = [{"type": "Complete", "status": "True", "lastTransitionTime": wire.MADE}]
        assert read_job(status={**status, "conditions": ended}).value().start_time is None

    @pytest.mark.parametrize(
        ("changes", "stuck"),
        [
            ({}, Stuck(2, MADE, "ErrImagePull", "no such host")),
            ({"scheduledtask.dev/stuck-message": None}, Stuck(2, MADE, "ErrImagePull", "")),
            ({"scheduledtask.dev/stuck-attempts": "many"}, None),
            ({"scheduledtask.dev/stuck-attempts": "0"}, None),
            ({"scheduledtask.dev/stuck-time": "soon"}, None),
        ],
    )
    def test_its_stuck_attempts_are_annotations_that_anybody_may_have_written(
        self, changes: dict[str, str | None], stuck: Stuck | None
    ) -> None:
        noted = {
            "scheduledtask.dev/stuck-attempts": "2",
            "scheduledtask.dev/stuck-time": wire.MADE,
            "scheduledtask.dev/stuck-reason": "ErrImagePull",
            "scheduledtask.dev/stuck-message": "no such host",
            **changes,
        }
        annotations = {key: value for key, value in noted.items() if value is not None}
        assert read_job(annotations=annotations).value().stuck == stuck

    @pytest.mark.parametrize(
        ("written", "slot"),
        [
            ("2026-11-22T12:00:00Z", MADE),
            ("2026-11-22T13:00:00+01:00", MADE),
            ("2026-11-22T12:00:00.75Z", MADE),
            ("", None),
            ("soon", None),
            ("2026-11-22", None),
            ("2026-11-22T12:00:00", None),
            ("0001-01-01T00:00:00+14:00", None),
            ("9999-12-31T23:59:59-14:00", None),
            ("9" * 5000, None),
        ],
    )
    def test_its_slot_is_an_annotation_that_anybody_may_have_written(self, written: str, slot: datetime | None) -> None:
        assert read_job(annotations={SLOT: written}).value().scheduled_time == slot


class TestAPod:
    def test_its_attempt_and_end(self) -> None:
        status = {"phase": "Failed", "containerStatuses": [wire.terminated(3, message="boom")]}
        value = read_pod(status=status, annotations={FAILURES: "2"}).value()
        assert (value.job_uid, value.succeeded, value.failures_before) == ("uid-of-run-1", False, 2)
        assert value.containers == (ContainerEnd(3, "Error", "boom"),)

    def test_an_evicted_one_has_no_containers(self) -> None:
        value = read_pod(status={"phase": "Failed", "reason": "Evicted", "message": "low on memory"}).value()
        assert (value.reason, value.message, value.containers) == ("Evicted", "low on memory", ())

    def test_its_program_stands_before_its_init_containers_and_sidecars(self) -> None:
        status = {
            "phase": "Failed",
            "initContainerStatuses": [wire.terminated(143, message="sidecar")],
            "containerStatuses": [wire.terminated(1, message="program")],
        }
        assert [end.message for end in read_pod(status=status).value().containers] == ["program", "sidecar"]

    def test_one_on_its_way_out_says_so(self) -> None:
        assert read_pod(status={"phase": "Failed"}, deletionTimestamp=wire.MADE).value().deleting

    def test_a_container_that_has_not_ended_says_nothing(self) -> None:
        status = {
            "phase": "Failed",
            "containerStatuses": [{"name": "job", "state": {"waiting": {"reason": "Pulling"}}}],
        }
        assert read_pod(status=status).value().containers == ()

    @pytest.mark.parametrize(("status", "disrupted"), [("True", True), ("False", False)])
    def test_a_drained_node_is_no_fault_of_its_own(self, status: str, disrupted: bool) -> None:
        conditions = [{"type": "Ready", "status": "False"}, {"type": "DisruptionTarget", "status": status}]
        assert read_pod(status={"phase": "Failed", "conditions": conditions}).value().disrupted == disrupted

    @pytest.mark.parametrize("written", ["", "-1", "two", "1.5", "²", "٣", "9" * 5000, " 1"])
    def test_its_count_is_an_annotation_that_anybody_may_have_written(self, written: str) -> None:
        assert 0 <= read_pod(annotations={FAILURES: written}).value().failures_before < 10**6


def test_a_list_tells_its_version_and_whether_there_is_more() -> None:
    body = b'{"metadata": {"resourceVersion": "77", "continue": "abc"}, "items": [' + wire.job() + b"]}"
    page = msgspec.json.decode(body, type=ObjectList[JobObject])
    assert (page.metadata.resource_version, page.metadata.continue_, len(page.items)) == ("77", "abc", 1)


def test_a_no_of_the_api_server_may_say_how_long_to_wait() -> None:
    body = b'{"kind": "Status", "code": 429, "reason": "TooManyRequests", "details": {"retryAfterSeconds": 3}}'
    assert msgspec.json.decode(body, type=ApiStatus).details.retry_after_seconds == 3
