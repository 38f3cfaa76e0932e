"""Objects as the API server sends them, as JSON bytes."""

import json
from typing import Any

MADE = "2026-11-22T12:00:00Z"


def metadata(name: str, **more: Any) -> dict[str, Any]:
    """Metadata in the namespace match-history; version 5."""
    return {
        "name": name,
        "namespace": "match-history",
        "uid": f"uid-of-{name}",
        "resourceVersion": "5",
        "generation": 1,
        "creationTimestamp": MADE,
        **more,
    }


def task(status: dict[str, Any] | None = None, spec: dict[str, Any] | None = None, **more: Any) -> bytes:
    """A ScheduledTask."""
    template = {"spec": {"containers": [{"name": "job", "image": "job:1"}]}}
    body = {"metadata": metadata("report", **more), "spec": spec or {"schedule": "0 * * * *", "template": template}}
    return json.dumps(body if status is None else {**body, "status": status}).encode()


def cron_job(spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None, **more: Any) -> bytes:
    """A CronJob of the task `report`."""
    owners = [
        {"apiVersion": "v1", "kind": "Folder", "name": "f", "uid": "folder"},
        {"apiVersion": "x/v1", "kind": "ScheduledTask", "name": "report", "uid": "task-uid", "controller": True},
    ]
    more = {"labels": {"scheduledtask.dev/task": "report"}, "ownerReferences": owners, **more}
    body = {
        "metadata": metadata("report", **more),
        "spec": {"schedule": "0 * * * *", "jobTemplate": {}, **(spec or {})},
    }
    return json.dumps({**body, "status": status or {}}).encode()


def job(
    spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None, name: str = "run-1", **more: Any
) -> bytes:
    """A Job of the task `report`, made by the CronJob controller."""
    more = {
        "labels": {"scheduledtask.dev/task": "report"},
        "annotations": {"batch.kubernetes.io/cronjob-scheduled-timestamp": MADE},
        **more,
    }
    spec = {"backoffLimit": 2147483647, "backoffLimitPerIndex": 4, "template": {"spec": {}}, **(spec or {})}
    return json.dumps({"metadata": metadata(name, **more), "spec": spec, "status": status or {}}).encode()


def pod(status: dict[str, Any] | None = None, **more: Any) -> bytes:
    """The pod of an attempt of that Job."""
    labels = {"scheduledtask.dev/task": "report", "batch.kubernetes.io/controller-uid": "uid-of-run-1"}
    body = metadata("run-1-0-abc", **{"labels": labels, **more})
    return json.dumps({"metadata": body, "spec": {}, "status": status or {}}).encode()


def terminated(code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    """An entry of containerStatuses."""
    state = {"exitCode": code, "reason": reason, "startedAt": MADE}
    return {"name": "job", "state": {"terminated": {**state, "message": message} if message else state}}
