"""Whatever spec somebody applies: it is refused at once, or its CronJob is in place, or a condition says why not.

FUZZ_EXAMPLES makes more of it: how many specs are tried.
"""

import json
import os
import time
from collections import Counter
from typing import Any

import httpx
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.cluster import Cluster
from tests.install import NAMESPACE
from tests.integration.operator_process import OperatorProcess, eventually
from tests.integration.spec_fuzz import specs
from tests.integration.tasks import Body, Tasks, condition

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "250"))
NAMES = [f"fuzz-{number}" for number in range(8)]
"""Few, so that most specs are edits of a task that has another."""
WRITES_A_SPEC = 6
"""Of the operator, at most: CronJob, fence, status, an Event or two, a run's slot."""
QUIET_SECONDS = 5.0


def test_any_spec_is_refused_or_put_in_place_or_explained(
    tasks: Tasks, operator: OperatorProcess, api_server: httpx.Client
) -> None:
    counts: Counter[str] = Counter()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(NAMES), specs())
    def try_out(name: str, spec: dict[str, Any]) -> None:
        counts["tried"] += 1
        answer = _apply(api_server, tasks, name, spec)
        if answer.status_code >= 400:
            assert answer.status_code < 500, answer.text[:2000]
            counts["refused"] += 1
            return
        ready = _verdict(api_server, tasks, name, answer.json()["metadata"]["generation"])
        counts[f"{ready['status']} {ready['reason']}"] += 1
        assert ready["message"]
        assert operator.log_lines("reconcile crashed") == []
        if ready["status"] == "True":
            assert api_server.get(f"/apis/batch/v1/namespaces/{tasks.namespace}/cronjobs/{name}").status_code == 200
        if counts["tried"] % 25 == 0:
            assert _probe(api_server, tasks, counts["tried"])["status"] == "True", "another task goes on"

    try_out()
    print(dict(counts))
    assert counts["True Scheduled"], "some are accepted"
    assert counts["refused"], "and some refused"
    time.sleep(QUIET_SECONDS)
    writes = _writes(tasks.cluster, tasks.namespace)
    assert writes.total() <= WRITES_A_SPEC * (counts["tried"] - counts["refused"]), writes
    # A promise about a time in which next to nothing happens: there is no condition to await.
    time.sleep(QUIET_SECONDS)
    more = _writes(tasks.cluster, tasks.namespace) - writes
    print(writes.total(), more)
    assert all(number <= WRITES_A_SPEC for number in more.values()), more


def _apply(api_server: httpx.Client, tasks: Tasks, name: str, spec: Body) -> httpx.Response:
    """Give the task this spec, or make it."""
    path = f"/apis/scheduledtask.dev/v1alpha1/namespaces/{tasks.namespace}/scheduledtasks"
    edit = json.dumps([{"op": "replace", "path": "/spec", "value": spec}])
    headers = {"Content-Type": "application/json-patch+json"}
    answer = api_server.patch(f"{path}/{name}", content=edit, headers=headers)
    return api_server.post(path, json={**tasks.body(name), "spec": spec}) if answer.status_code == 404 else answer


def _verdict(api_server: httpx.Client, tasks: Tasks, name: str, generation: int) -> Body:
    """The condition Ready, once the operator has looked at this generation."""
    path = f"/apis/scheduledtask.dev/v1alpha1/namespaces/{tasks.namespace}/scheduledtasks/{name}"

    def ready() -> Body:
        status = api_server.get(path).json().get("status", {})
        return condition(status, "Ready") if status.get("observedGeneration") == generation else {}

    return eventually(ready, bool, f"{name} has a condition Ready for generation {generation}")


def _probe(api_server: httpx.Client, tasks: Tasks, number: int) -> Body:
    spec = {**tasks.body("probe")["spec"], "schedule": f"{number % 60} 0 1 1 *"}
    return _verdict(
        api_server, tasks, "probe", _apply(api_server, tasks, "probe", spec).json()["metadata"]["generation"]
    )


def _writes(cluster: Cluster, namespace: str) -> Counter[str]:
    """The operator's writes in a namespace, by the name of what was written."""
    counts: Counter[str] = Counter()
    # Not splitlines: refusals quote what was sent, line separators of Unicode included. The last line is yet to come.
    for line in cluster.audit_log.read_text().split("\n")[:-1]:
        event = json.loads(line)
        about = event.get("objectRef", {})
        ours = event["user"]["username"].startswith(f"system:serviceaccount:{NAMESPACE}:")
        if ours and about.get("namespace") == namespace and event["verb"] not in ("get", "list", "watch"):
            counts[str(about.get("name", about["resource"]))] += 1
    return counts
