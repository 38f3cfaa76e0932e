"""One attempt of a run: what it has written so far, its end in its midst, and why it failed."""

from tests.integration.administrator import administrator
from tests.integration.pod_hands import pods_of
from tests.integration.tasks import Body, Tasks


def log_of(tasks: Tasks, run: str) -> str:
    """What the run's last attempt has written; nothing before it runs."""
    pods = pods_of(tasks.cluster, tasks.namespace, run)
    if not pods:
        return ""
    path = f"/api/v1/namespaces/{tasks.namespace}/pods/{pods[-1]['metadata']['name']}/log"
    answer = administrator(tasks.cluster).get(path)
    return answer.text if answer.is_success else ""


def stop_attempt(tasks: Tasks, task: str, run: str) -> Body:
    """Delete the run's pod, so that it gets SIGTERM; why the attempt failed, as the task tells it."""
    [pod] = pods_of(tasks.cluster, tasks.namespace, run)
    tasks.kubectl("delete", "pod", pod["metadata"]["name"], "--wait=false")
    return await_failure(tasks, task, run)


def await_failure(tasks: Tasks, task: str, run: str, seconds: float = 90) -> Body:
    """Why the run's attempt failed, once the next one is waited for."""

    def failures(status: Body) -> list[Body]:
        return [
            entry["lastFailure"] for entry in status["active"] if entry["run"] == run and "nextAttemptTime" in entry
        ]

    return failures(tasks.await_status(task, failures, f"an attempt of {run} has failed", seconds))[0]
