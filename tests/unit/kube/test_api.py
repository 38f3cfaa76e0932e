"""The few calls to the API server: what is sent, and what becomes of its answers."""

import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from scheduledtask.api.status import ScheduledTaskStatus
from scheduledtask.domain.events import PostEvent
from scheduledtask.domain.retry import JobPatch
from scheduledtask.domain.values import Stuck
from scheduledtask.kube.api import ApiError, KubernetesApi, NotLeaderError
from tests.unit.builders import KEY, NOON, a_cron_job, a_job, a_task
from tests.unit.kube import wire_objects as wire
from tests.unit.kube.http_server import HttpServer, says, status

OK = b"{}"


@pytest.mark.parametrize(
    "note",
    [
        pytest.param("short", id="short"),
        pytest.param("a" * 1024, id="as long as may be"),
        pytest.param("a" * 1025, id="one too long"),
        pytest.param("ü" * 1024, id="of two bytes each"),
        pytest.param("a" + "日" * 5000, id="of three bytes each"),
        pytest.param("🙂" * 300, id="of four bytes each"),
    ],
)
async def test_the_note_of_an_event_fits_into_the_bytes_that_it_may_have(note: str) -> None:
    server = HttpServer([says(OK, 201)])
    async with server as api:
        await api.post_event(a_task(), PostEvent("RunFailed", note, "subject"), NOON)
    sent = server.requests[0][3]["note"]
    assert len(sent.encode()) <= 1024
    assert sent == note or (sent.endswith("…") and note.startswith(sent[:-1]))
    assert len(sent.encode()) > 1015 or sent == note


async def test_the_same_event_has_the_same_name_and_another_another() -> None:
    server = HttpServer([says(OK, 201)] * 3)
    async with server as api:
        for subject in ("one", "one", "two"):
            await api.post_event(a_task(), PostEvent("RunFailed", "note", subject), NOON)
    names = [body["metadata"]["name"] for _, _, _, body in server.requests]
    assert names[0] == names[1] != names[2]


async def test_an_event_that_is_there_already_is_no_error() -> None:
    async with HttpServer([says(status(409, "already exists"), 409)]) as api:
        await api.post_event(a_task(), PostEvent("RunFailed", "note", "one"), NOON)


async def patched(patch: JobPatch) -> dict[str, Any]:
    """What is sent to change a Job."""
    server = HttpServer([says(wire.job())])
    async with server as api:
        await api.patch_job(KEY, patch)
    sent: dict[str, Any] = server.requests[0][3]
    return sent


async def test_the_end_of_a_stuck_attempt_and_its_account_are_one_patch() -> None:
    stuck = Stuck(2, NOON, "ErrImagePull", "no such host")
    assert await patched(JobPatch(a_job(), suspend=True, stuck=stuck)) == {
        "metadata": {
            "uid": "uid-of-run-1",
            "resourceVersion": "0",
            "annotations": {
                "scheduledtask.dev/stuck-attempts": "2",
                "scheduledtask.dev/stuck-time": "2026-11-22T12:00:00Z",
                "scheduledtask.dev/stuck-reason": "ErrImagePull",
                "scheduledtask.dev/stuck-message": "no such host",
            },
        },
        "spec": {"suspend": True},
    }


@pytest.mark.parametrize(("suspended", "parallelism"), [(True, 0), (False, None)])
async def test_a_suspended_job_that_goes_on_only_to_end_gets_no_pod(suspended: bool, parallelism: int | None) -> None:
    patch = JobPatch(a_job(suspended=suspended), suspend=False, time_left=timedelta(0), given_up=("Cancelled", "x"))
    spec = (await patched(patch))["spec"]
    assert (spec["suspend"], spec["activeDeadlineSeconds"], spec["backoffLimit"]) == (False, 1, 0)
    assert spec.get("parallelism") == parallelism


@pytest.mark.parametrize("code", [200, 404, 409])
async def test_a_job_that_is_gone_or_another_by_now_need_not_be_deleted(code: int) -> None:
    server = HttpServer([says(status(code, ""), code)])
    async with server as api:
        await api.delete_job(KEY, "run-1", "uid")
    method, path, _, body = server.requests[0]
    assert (method, path) == ("DELETE", "/apis/batch/v1/namespaces/match-history/jobs/run-1")
    assert body["preconditions"] == {"uid": "uid"}


JOB = a_job(version=7)
GIVEN_UP = ("Cancelled", "enough")


@pytest.mark.parametrize(
    ("patch", "spec", "annotations"),
    [
        (JobPatch(JOB, suspend=True), {"suspend": True}, {}),
        (JobPatch(JOB, suspend=False), {"suspend": False}, {}),
        (
            JobPatch(JOB, suspend=False, time_left=timedelta(minutes=1), admitted_at=NOON),
            {"suspend": False, "activeDeadlineSeconds": 60},
            {"admitted-at": "2026-11-22T12:00:00Z"},
        ),
        (
            JobPatch(JOB, suspend=False, given_up=GIVEN_UP, failures_left=1),
            {"suspend": False, "backoffLimit": 1},
            {"given-up-reason": "Cancelled", "given-up-message": "enough"},
        ),
        (
            JobPatch(JOB, suspend=True, given_up=GIVEN_UP, withdrawn_at=NOON),
            {"suspend": True},
            {
                "given-up-reason": "Cancelled",
                "given-up-message": "enough",
                "withdrawn-at": "2026-11-22T12:00:00Z",
            },
        ),
    ],
    ids=["suspend", "resume", "first turn", "give up", "withdraw"],
)
async def test_a_run_is_changed_only_as_it_was_read(
    patch: JobPatch, spec: dict[str, object], annotations: dict[str, str]
) -> None:
    server = HttpServer([says(wire.job())])
    async with server as api:
        await api.patch_job(KEY, patch)
    body = server.requests[0][3]
    assert (body["metadata"]["uid"], body["metadata"]["resourceVersion"]) == (JOB.uid, "7")
    assert body["spec"] == spec
    assert body["metadata"].get("annotations", {}) == {
        f"scheduledtask.dev/{key}": value for key, value in annotations.items()
    }


async def test_a_status_is_written_only_over_the_version_that_was_read() -> None:
    server = HttpServer([says(wire.task())])
    async with server as api:
        await api.write_status(a_task(), 5, ScheduledTaskStatus(success_count=1, last_run_time=NOON))
    method, path, _, body = server.requests[0]
    assert (method, path.endswith("/scheduledtasks/report/status")) == ("PUT", True)
    assert (body["metadata"]["resourceVersion"], body["metadata"]["uid"]) == ("5", "task-uid")
    assert (body["status"]["successCount"], body["status"]["lastRunTime"]) == (1, "2026-11-22T12:00:00Z")
    assert None not in body["status"].values()


@pytest.mark.parametrize(
    ("code", "body", "reason", "message", "wait"),
    [
        (429, status(429, "slow down", retryAfterSeconds=7), "", "slow down", 7),
        (502, b"<html>bad gateway</html>", "", "<html>bad gateway</html>", 0),
        (500, b"\xff\xfe", "", "\ufffd\ufffd", 0),
        (403, json.dumps({"reason": "Forbidden", "message": "no"}).encode(), "Forbidden", "no", 0),
        (503, b"", "", "", 0),
    ],
)
async def test_a_no_is_told_in_the_words_of_the_server(
    code: int, body: bytes, reason: str, message: str, wait: int
) -> None:
    async with HttpServer([says(body, code)]) as api:
        with pytest.raises(ApiError) as told:
            await api.pods_of_job("ns", "run-1")
    assert (told.value.code, told.value.reason) == (code, reason)
    assert (told.value.message, told.value.retry_after) == (message, wait)


async def test_an_answer_that_cannot_be_read_is_told_as_such() -> None:
    async with HttpServer([says(b'{"items": 5}')]) as api:
        with pytest.raises(msgspec.MsgspecError):
            await api.pods_of_job("ns", "run-1")


async def test_nothing_is_written_without_leave_and_reading_goes_on() -> None:
    leads = [True]
    server = HttpServer([says(OK, 201), says(b'{"metadata": {}, "items": []}'), says(OK)])
    async with server:
        api = KubernetesApi(server.configuration, lambda: leads[0])
        await api.post_event(a_task(), PostEvent("RunFailed", "note", "one"), NOON)
        leads[0] = False
        for write in (
            api.post_event(a_task(), PostEvent("RunFailed", "note", "two"), NOON),
            api.delete_job(KEY, "run-1", "uid"),
            api.patch_job(KEY, JobPatch(a_job(), suspend=True)),
            api.write_status(a_task(), 5, ScheduledTaskStatus()),
        ):
            with pytest.raises(NotLeaderError):
                await write
        await api.pods_of_job("ns", "run-1")
        await api.close()
    assert [method for method, _, _, _ in server.requests] == ["POST", "GET"]


async def test_what_was_decided_about_a_version_is_done_to_that_version_alone() -> None:
    known = {"uid": "cron-job-uid", "resourceVersion": "5"}
    body = {"metadata": {"name": "report", "namespace": "match-history"}, "spec": {"schedule": "0 * * * *"}}
    server = HttpServer([says(wire.cron_job())] * 3 + [says(wire.job())])
    async with server as api:
        await api.apply_cron_job(body, None)
        await api.apply_cron_job(body, a_cron_job(version=5))
        await api.fence_cron_job(KEY, a_cron_job(version=5), NOON)
        await api.patch_job(KEY, JobPatch(a_job(version=6), suspend=True))
    created, applied, fenced, patched = (sent["metadata"] for _, _, _, sent in server.requests)
    assert created == body["metadata"]
    assert applied == {**body["metadata"], **known}
    assert fenced == known
    assert patched == {"uid": "uid-of-run-1", "resourceVersion": "6"}
