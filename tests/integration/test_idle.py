"""Nothing is written when nothing changed: counted where it can't be missed, in the API server's audit log."""

import json
import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.cluster import Cluster
from tests.integration.operator_process import OperatorProcess, eventually, operator_kubeconfig, user_of
from tests.integration.tasks import Tasks

TASKS = 200
QUIET_SECONDS = float(os.environ.get("QUIET_SECONDS", "20"))
READS = {"get", "list", "watch"}


def test_converged_tasks_cost_no_writes_neither_idle_nor_after_a_restart(
    control_plane: Cluster, api_server: httpx.Client, namespace: str, tmp_path: Path
) -> None:
    tasks = Tasks(control_plane, namespace)
    path = f"/apis/scheduledtask.dev/v1alpha1/namespaces/{namespace}/scheduledtasks"
    with ThreadPoolExecutor(4) as pool:
        for answer in pool.map(lambda number: api_server.post(path, json=tasks.body(f"task-{number}")), range(TASKS)):
            assert answer.status_code == 201, answer.text
    kubeconfig = operator_kubeconfig(control_plane, tmp_path)
    operator = OperatorProcess(kubeconfig, tmp_path / "operator.log")
    operator.start()

    def ready() -> int:
        return sum(
            1
            for task in api_server.get(path).json()["items"]
            for entry in task.get("status", {}).get("conditions", ())
            if (entry["type"], entry["status"]) == ("Ready", "True")
        )

    eventually(ready, lambda number: number == TASKS, "all tasks are Ready", 60)
    first = _requests(control_plane, user_of(kubeconfig), namespace)
    assert first["patch cronjobs"] == TASKS, "each CronJob is applied once"
    assert first["update scheduledtasks/status"] == TASKS, "each status is written once"

    # A promise about a time in which nothing happens: there is no condition to await.
    time.sleep(QUIET_SECONDS)
    assert _writes(_requests(control_plane, user_of(kubeconfig), namespace) - first) == {}

    operator.stop()
    operator.start()
    time.sleep(QUIET_SECONDS)
    assert _writes(_requests(control_plane, user_of(kubeconfig), namespace) - first) == {}
    told = [str(line["task"]) for line in operator.log_lines("schedule is set up") if line["next_run"]]
    assert sum(task.startswith(f"{namespace}/") for task in told) == TASKS, "each is told of once"
    assert operator.stop() == 0


def _requests(cluster: Cluster, user: str, namespace: str) -> Counter[str]:
    """The requests of a user that have ended, by verb and resource; reads of all namespaces are among them."""
    counts: Counter[str] = Counter()
    # Not splitlines: refusals quote what users wrote, line ends of other alphabets among it.
    for line in filter(None, cluster.audit_log.read_text().split("\n")):
        event = json.loads(line)
        about = event.get("objectRef", {})
        if event["stage"] == "ResponseComplete" and event["user"]["username"] == user:
            if about.get("namespace", namespace) != namespace:
                continue
            resource = "/".join(part for part in (about.get("resource"), about.get("subresource")) if part)
            counts[f"{event['verb']} {resource}"] += 1
    return counts


def _writes(requests: Counter[str]) -> dict[str, int]:
    return {request: number for request, number in requests.items() if request.split()[0] not in READS}
