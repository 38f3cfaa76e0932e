"""The few calls that the operator makes, over plain JSON bodies."""

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeVar

import aiohttp
import msgspec
from kubernetes.aio import client

from scheduledtask.api.status import ScheduledTaskStatus, format_time
from scheduledtask.domain.adoption import Adoption
from scheduledtask.domain.events import PostEvent
from scheduledtask.domain.retry import JobPatch
from scheduledtask.domain.values import API_VERSION, GROUP, KIND, VERSION, CronJob, Job, Key, Task
from scheduledtask.kube.connection import authorization, open_session
from scheduledtask.kube.wire import (
    ADMITTED_AT,
    GATEKEEPER,
    GIVEN_UP_MESSAGE,
    GIVEN_UP_REASON,
    JOB_NAME,
    STUCK_ATTEMPTS,
    STUCK_MESSAGE,
    STUCK_REASON,
    STUCK_TIME,
    WITHDRAWN_AT,
    ApiStatus,
    CronJobObject,
    JobObject,
    Metadata,
    ObjectList,
    PodObject,
    ScheduledTaskObject,
    SecretObject,
)

FIELD_MANAGER = "scheduledtask-operator"
REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=30)
PAGE_TIMEOUT = aiohttp.ClientTimeout(total=120, sock_read=60)
"""Of megabytes, while all else starts: if one page comes too late, the list begins anew with the first."""
NOTE_LIMIT = 1024
"""Bytes of an Event's note, set by the API server."""

Answer = TypeVar("Answer")


class ApiError(Exception):
    """The API server said no. `code` is the HTTP status; `message` is its own words."""

    def __init__(self, code: int, reason: str, message: str, retry_after: float = 0) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.reason = reason
        self.message = message
        self.retry_after = retry_after
        """Seconds that it asked to wait; 0 where it did not."""


class NotLeaderError(aiohttp.ClientError):
    """This process is not the leader, or no longer: the request was not sent."""


class KubernetesApi:
    """Calls to one API server. Every method raises ApiError, aiohttp.ClientError or TimeoutError.

    `may_write` is asked before each request that is no GET; if it says no, NotLeaderError is raised instead.
    """

    def __init__(
        self,
        configuration: client.Configuration,
        may_write: Callable[[], bool] = lambda: True,
        user_agent: str = FIELD_MANAGER,
        *,
        trust_env: bool = False,
    ) -> None:
        self._configuration = configuration
        self._session = open_session(configuration, user_agent, trust_env=trust_env)
        self._may_write = may_write

    async def close(self) -> None:
        await self._session.close()

    async def apply_cron_job(self, body: dict[str, Any], known: CronJob | None) -> CronJobObject:
        """Server-side apply: our fields become so, those of others stay. ApiError 409 if `known` has changed."""
        metadata = {**body["metadata"], **_as_known(known)} if known else body["metadata"]
        path = f"/apis/batch/v1/namespaces/{metadata['namespace']}/cronjobs/{metadata['name']}"
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        wanted = {**body, "metadata": metadata}
        answer = await self._send("PATCH", path, query, wanted, "application/apply-patch+yaml")
        return msgspec.json.decode(answer, type=CronJobObject)

    async def fence_cron_job(self, key: Key, known: CronJob, until: datetime) -> CronJobObject:
        """Make the CronJob controller pass over slots up to `until`. ApiError 409 if the CronJob has changed: to set
        the time back would have a slot run twice."""
        path = f"/apis/batch/v1/namespaces/{key.namespace}/cronjobs/{key.name}/status"
        body = {"metadata": _as_known(known), "status": {"lastScheduleTime": format_time(until)}}
        query = {"fieldManager": FIELD_MANAGER}
        answer = await self._send("PATCH", path, query, body, "application/merge-patch+json")
        return msgspec.json.decode(answer, type=CronJobObject)

    async def write_status(self, task: Task, resource_version: int, status: ScheduledTaskStatus) -> ScheduledTaskObject:
        """Replace the status, if nobody wrote the task since `resource_version`; else ApiError 409."""
        path = f"/apis/{GROUP}/{VERSION}/namespaces/{task.key.namespace}/scheduledtasks/{task.key.name}/status"
        body = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {
                "name": task.key.name,
                "namespace": task.key.namespace,
                "uid": task.uid,
                "resourceVersion": str(resource_version),
            },
            "status": status.model_dump(mode="json", by_alias=True, exclude_none=True),
        }
        answer = await self._send("PUT", path, {"fieldManager": FIELD_MANAGER}, body)
        return msgspec.json.decode(answer, type=ScheduledTaskObject)

    async def remove_annotations(self, task: Task, resource_version: int, keys: tuple[str, ...]) -> ScheduledTaskObject:
        """Remove annotations, if nobody wrote the task since `resource_version`; else ApiError 409."""
        path = f"/apis/{GROUP}/{VERSION}/namespaces/{task.key.namespace}/scheduledtasks/{task.key.name}"
        metadata = {
            "uid": task.uid,
            "resourceVersion": str(resource_version),
            "annotations": dict.fromkeys(keys),
        }
        query = {"fieldManager": FIELD_MANAGER}
        answer = await self._send("PATCH", path, query, {"metadata": metadata}, "application/merge-patch+json")
        return msgspec.json.decode(answer, type=ScheduledTaskObject)

    async def create_job(self, body: dict[str, Any]) -> JobObject:
        """Create a Job. ApiError 409 where one of that name exists: then somebody was faster."""
        path = f"/apis/batch/v1/namespaces/{body['metadata']['namespace']}/jobs"
        answer = await self._send("POST", path, {"fieldManager": FIELD_MANAGER}, body)
        return msgspec.json.decode(answer, type=JobObject)

    async def get_job(self, namespace: str, name: str) -> JobObject:
        """Read one Job."""
        return msgspec.json.decode(
            await self._send("GET", f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}", {}), type=JobObject
        )

    async def end_pod(self, namespace: str, name: str, uid: str) -> None:
        """Have the kubelet end a pod that runs, as Failed, with its logs kept; that it is gone is no error."""
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        body = {"metadata": {"uid": uid}, "spec": {"activeDeadlineSeconds": 1}}
        try:
            await self._send("PATCH", path, {"fieldManager": FIELD_MANAGER}, body, "application/merge-patch+json")
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    async def adopt(self, key: Key, adoption: Adoption) -> CronJobObject:
        """Tell the CronJob controller of Jobs that it did not make, or forgot; else ApiError 409."""
        active = [
            {"apiVersion": "batch/v1", "kind": "Job", "namespace": key.namespace, "name": job.name, "uid": job.uid}
            for job in adoption.active
        ]
        status: dict[str, Any] = {"active": active}
        if adoption.last_schedule_time:
            status["lastScheduleTime"] = format_time(adoption.last_schedule_time)
        path = f"/apis/batch/v1/namespaces/{key.namespace}/cronjobs/{key.name}/status"
        body = {"metadata": _as_known(adoption.cron_job), "status": status}
        answer = await self._send("PATCH", path, {"fieldManager": FIELD_MANAGER}, body, "application/merge-patch+json")
        return msgspec.json.decode(answer, type=CronJobObject)

    async def patch_job(self, key: Key, patch: JobPatch) -> JobObject:
        """Suspend or resume a Job, or have it end as Failed with its pods and logs kept. ApiError 409 if it has
        changed: a suspension that comes late would end an attempt that runs."""
        annotations: dict[str, str] = {}
        spec: dict[str, Any] = {"suspend": patch.suspend}
        if patch.time_left is not None:
            spec["activeDeadlineSeconds"] = max(1, int(patch.time_left.total_seconds()))
        if patch.admitted_at:
            annotations[ADMITTED_AT] = format_time(patch.admitted_at)
        if patch.given_up:
            annotations[GIVEN_UP_REASON], annotations[GIVEN_UP_MESSAGE] = patch.given_up
        if patch.withdrawn_at:
            annotations[WITHDRAWN_AT] = format_time(patch.withdrawn_at)
        elif patch.given_up:
            spec["backoffLimit"] = patch.failures_left
            if patch.job.suspended:
                # It goes on only to end: without this a pod would come for the second that its deadline takes.
                spec["parallelism"] = 0
        if patch.stuck:
            annotations |= {
                STUCK_ATTEMPTS: str(patch.stuck.attempts),
                STUCK_TIME: format_time(patch.stuck.time),
                STUCK_REASON: patch.stuck.reason,
                STUCK_MESSAGE: patch.stuck.message,
            }
        metadata = {**_as_known(patch.job), **({"annotations": annotations} if annotations else {})}
        return await self._patch_job(key.namespace, patch.job.name, {"metadata": metadata, "spec": spec})

    async def stamp_job(self, metadata: Metadata, stamp: str) -> JobObject:
        """Annotate a Job, so that whoever read it before can't write it any more; ApiError 409 where somebody did."""
        body = {
            "uid": metadata.uid,
            "resourceVersion": metadata.resource_version,
            "annotations": {GATEKEEPER: stamp},
        }
        return await self._patch_job(metadata.namespace, metadata.name, {"metadata": body})

    async def _patch_job(self, namespace: str, name: str, body: dict[str, Any]) -> JobObject:
        path = f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}"
        answer = await self._send("PATCH", path, {"fieldManager": FIELD_MANAGER}, body, "application/merge-patch+json")
        return msgspec.json.decode(answer, type=JobObject)

    async def delete_job(self, key: Key, name: str, uid: str) -> None:
        """Delete a Job with its pods; that it is gone already, or another one by now, is no error."""
        path = f"/apis/batch/v1/namespaces/{key.namespace}/jobs/{name}"
        body = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        try:
            await self._send("DELETE", path, {}, body)
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    async def pods_of_job(self, namespace: str, job: str) -> list[PodObject]:
        """The pods that a Job has now."""
        path = f"/api/v1/namespaces/{namespace}/pods"
        answer = await self._send("GET", path, {"labelSelector": f"{JOB_NAME}={job}"})
        return msgspec.json.decode(answer, type=ObjectList[PodObject]).items

    async def post_event(self, task: Task, event: PostEvent, now: datetime) -> None:
        """Post a warning about the task. Its name is made of what it says, so the same one is there once."""
        key = task.key
        identity = hashlib.sha256(f"{task.uid} {event.reason} {event.subject}".encode()).hexdigest()[:16]
        body = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{key.name}.{identity}", "namespace": key.namespace},
            "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": f"{GROUP}/operator",
            "reportingInstance": FIELD_MANAGER,
            "action": "Reconcile",
            "type": "Warning",
            "reason": event.reason,
            "note": _short(event.note),
            "regarding": {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "name": key.name,
                "namespace": key.namespace,
                "uid": task.uid,
            },
        }
        try:
            await self._send("POST", f"/apis/events.k8s.io/v1/namespaces/{key.namespace}/events", {}, body)
        except ApiError as error:
            if error.code != 409:
                raise

    async def read_secret(self, namespace: str, name: str) -> dict[str, bytes]:
        """The data of one Secret, which nothing here keeps."""
        answer = await self._send("GET", f"/api/v1/namespaces/{namespace}/secrets/{name}", {})
        return msgspec.json.decode(answer, type=SecretObject).data

    async def get_list(self, path: str, query: dict[str, str], kind: type[Answer]) -> Answer:
        """One page of a list."""
        return msgspec.json.decode(await self._send("GET", path, query, limits=PAGE_TIMEOUT), type=kind)

    @asynccontextmanager
    async def watch(self, path: str, query: dict[str, str], silence: float) -> AsyncIterator[AsyncIterator[bytes]]:
        """The lines of a watch, one JSON event each. TimeoutError after `silence` seconds without any."""
        limits = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=silence)
        response = await self._open("GET", path, {**query, "watch": "true"}, None, None, limits)
        try:
            if response.status != 200:
                raise _error(response.status, await response.read())
            yield _lines(response)
        finally:
            response.close()

    async def _send(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: dict[str, Any] | None = None,
        content_type: str = "application/json",
        limits: aiohttp.ClientTimeout = REQUEST_TIMEOUT,
    ) -> bytes:
        response = await self._open(method, path, query, body, content_type, limits)
        async with response:
            answer: bytes = await response.read()
        if response.status >= 300:
            raise _error(response.status, answer)
        return answer

    async def _open(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: dict[str, Any] | None,
        content_type: str | None,
        limits: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        headers = await authorization(self._configuration)
        if content_type:
            headers["Content-Type"] = content_type
        if method != "GET" and not self._may_write():
            raise NotLeaderError(f"not the leader: {method} {path} is not sent")
        return await self._session.request(
            method,
            f"{self._configuration.host}{path}",
            params=query,
            headers=headers,
            data=None if body is None else msgspec.json.encode(body),
            timeout=limits,
            server_hostname=self._configuration.tls_server_name,
        )


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Lines of any length: an object may be larger than the buffer of a stream reader's own line iterator."""
    pending: list[bytes] = []
    async for chunk in response.content.iter_any():
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            yield b"".join([*pending, line])
            pending = []
        if rest:
            pending.append(rest)


def _as_known(live: CronJob | Job) -> dict[str, str]:
    """Metadata that make a write fail with 409 if the object is not, to the version, the one that is known."""
    return {"uid": live.uid, "resourceVersion": str(live.version)}


def _short(note: str) -> str:
    encoded = note.encode()
    if len(encoded) <= NOTE_LIMIT:
        return note
    return encoded[: NOTE_LIMIT - len("…".encode())].decode(errors="ignore") + "…"


def _error(code: int, answer: bytes) -> ApiError:
    try:
        status = msgspec.json.decode(answer, type=ApiStatus)
    except msgspec.DecodeError:
        return ApiError(code, "", answer[:500].decode(errors="replace"))
    return ApiError(code, status.reason, status.message, status.details.retry_after_seconds)
