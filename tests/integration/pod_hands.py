"""The part of a kubelet, played by hand: a control plane has no nodes, so these functions write the status of pods.

All else (API server, CronJob and Job controllers) is real. Runs on a real kubelet are in tests/e2e.
"""

from datetime import UTC, datetime
from typing import Any

from tests.cluster import Cluster
from tests.integration.administrator import MERGE_PATCH, administrator
from tests.integration.operator_process import eventually
from tests.integration.tasks import Tasks


def pods_of(cluster: Cluster, namespace: str, job: str) -> list[dict[str, Any]]:
    """The pods of a Job, the oldest first."""
    pods = Tasks(cluster, namespace).listed("pod", f"batch.kubernetes.io/job-name={job}")
    return sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))


def begin_pod(cluster: Cluster, namespace: str, job: str) -> None:
    """Await the Job's pod that has not ended, and let it run as a kubelet would."""
    running = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    _patch_status(cluster, namespace, _open_pod(cluster, namespace, job), running)


def hold_pod(cluster: Cluster, namespace: str, job: str, status: dict[str, Any]) -> str:
    """Await the Job's pod that has not ended, and write what a scheduler or kubelet says of it; returns its name."""
    pod = _open_pod(cluster, namespace, job)
    _patch_status(cluster, namespace, pod, status)
    return str(pod["metadata"]["name"])


def image_error(reason: str, message: str) -> dict[str, Any]:
    """The status of a pod whose image can't be pulled."""
    waiting = {"reason": reason, "message": message}
    container = {"name": "main", "image": "none", "imageID": "", "ready": False, "restartCount": 0}
    return {"containerStatuses": [{**container, "state": {"waiting": waiting}}]}


def end_pod(cluster: Cluster, namespace: str, job: str, exit_code: int, message: str = "", reason: str = "") -> None:
    """Await the Job's pod that has not ended, and end it as a kubelet would."""
    pod = _open_pod(cluster, namespace, job)
    _patch_status(cluster, namespace, pod, ended_status(pod, exit_code, message, reason))


def ended_status(pod: dict[str, Any], exit_code: int, message: str = "", reason: str = "") -> dict[str, Any]:
    """The status that a kubelet writes when the container of a pod has ended."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ended = {
        "exitCode": exit_code,
        "reason": reason or ("Error" if exit_code else "Completed"),
        "message": message,
        "startedAt": now,
        "finishedAt": now,
    }
    container = {
        "name": pod["spec"]["containers"][0]["name"],
        "image": "none",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": {"terminated": ended},
    }
    return {"phase": "Failed" if exit_code else "Succeeded", "startTime": now, "containerStatuses": [container]}


def _open_pod(cluster: Cluster, namespace: str, job: str) -> dict[str, Any]:
    """The Job's pod that has not ended, once there is one."""
    pods = eventually(
        lambda: [pod for pod in pods_of(cluster, namespace, job) if pod["status"]["phase"] in ("Pending", "Running")],
        bool,
        f"Job {job} has a pod",
        60,
    )
    return pods[0]


def _patch_status(cluster: Cluster, namespace: str, pod: dict[str, Any], status: dict[str, Any]) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}/status"
    administrator(cluster).patch(path, json={"status": status}, headers=MERGE_PATCH).raise_for_status()
