"""The objects of the bench: tasks as people write them, and Jobs that ended as a run does."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta

from tests.bench.operator.client import Body
from tests.integration.pod_hands import ended_status

GROUP = "/apis/scheduledtask.dev/v1alpha1"
TASK_LABEL = "scheduledtask.dev/task"
SLOT = "batch.kubernetes.io/cronjob-scheduled-timestamp"
NEVER_SOON = "H H 1 1 *"
"""Due once a year, so that no slot disturbs what is measured."""


def tasks_path(namespace: str, name: str = "") -> str:
    return f"{GROUP}/namespaces/{namespace}/scheduledtasks" + (f"/{name}" if name else "")


def jobs_path(namespace: str, name: str = "") -> str:
    return f"/apis/batch/v1/namespaces/{namespace}/jobs" + (f"/{name}" if name else "")


def cron_jobs_path(namespace: str, name: str = "") -> str:
    return f"/apis/batch/v1/namespaces/{namespace}/cronjobs" + (f"/{name}" if name else "")


def pods_path(namespace: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/pods" + (f"/{name}" if name else "")


def task(namespace: str, number: int, name: str = "task", **retry: object) -> Body:
    """A ScheduledTask of middling size: some 1.3 KiB of JSON."""
    container = {
        "name": "main",
        "image": "registry.example/match-history:2026.11.1",
        "command": ["match-history", "refresh-history-index"],
        "args": ["--region", "$(PARAM_REGION)", "--batch", "500"],
        "env": [
            {"name": "DATA_ROOT", "value": "/data"},
            {"name": "LOG_LEVEL", "value": "info"},
            {"name": "API_TOKEN", "valueFrom": {"secretKeyRef": {"name": "api", "key": "token"}}},
        ],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    return {
        "apiVersion": "scheduledtask.dev/v1alpha1",
        "kind": "ScheduledTask",
        "metadata": {"name": f"{name}-{number:05}", "namespace": namespace, "labels": {"team": f"team-{number % 7}"}},
        "spec": {
            "schedule": NEVER_SOON,
            "timeZone": "Europe/Berlin",
            "timeouts": {"run": "2h", "attempt": "30m"},
            "retry": retry,
            "parameters": [{"name": "region", "default": "euw", "description": "Which region is read."}],
            "template": {
                "spec": {
                    "containers": [container],
                    "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
                }
            },
        },
    }


def copied_cron_job(live: Body, namespace: str) -> Body:
    """What a client would send to make the same CronJob in another namespace."""
    metadata = {"name": live["metadata"]["name"], "namespace": namespace, "labels": live["metadata"]["labels"]}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": live["spec"]}


def job_of(cron_job: Body, name: str, slot: datetime | None) -> Body:
    """A Job as the CronJob controller makes it for a slot or, without one, as `kubectl create job --from` does."""
    meta, template = cron_job["metadata"], cron_job["spec"]["jobTemplate"]
    note = {"cronjob.kubernetes.io/instantiate": "manual"}
    if slot:
        note = {SLOT: time_text(slot)}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": meta["namespace"],
            "labels": template["metadata"]["labels"],
            "annotations": note,
            "ownerReferences": [
                {
                    "apiVersion": "batch/v1",
                    "kind": "CronJob",
                    "name": meta["name"],
                    "uid": meta["uid"],
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": copy.deepcopy(template["spec"]),
    }


def complete_job_status(now: datetime) -> Body:
    """The status that the Job controller gives a run whose only pod has succeeded."""
    conditions = [
        {
            "type": kind,
            "status": "True",
            "reason": "CompletionsReached",
            "message": "Reached expected number of succeeded pods",
            "lastProbeTime": time_text(now),
            "lastTransitionTime": time_text(now),
        }
        for kind in ("SuccessCriteriaMet", "Complete")
    ]
    return {
        "startTime": time_text(now - timedelta(seconds=1)),
        "completionTime": time_text(now),
        "succeeded": 1,
        "completedIndexes": "0",
        "ready": 0,
        "terminating": 0,
        "uncountedTerminatedPods": {},
        "conditions": conditions,
    }


def ended_pod_status(pod: Body, exit_code: int) -> Body:
    """The status that a kubelet writes when the container of a pod has ended, with last words as jobs write them."""
    failure, success = '{"error": {"class": "Upstream", "message": "503"}}', '{"result": {"files": 12}}'
    return ended_status(pod, exit_code, failure if exit_code else success)


def time_text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
