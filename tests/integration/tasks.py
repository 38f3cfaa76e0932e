"""Making and reading ScheduledTasks in tests."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.cluster import Cluster
from tests.integration.administrator import administrator
from tests.integration.operator_process import eventually

Body = dict[str, Any]
NEVER_SOON = "0 0 1 1 *"
"""A schedule that is due once a year: slots don't disturb the test."""
PATHS = {
    "stask": ("apis/scheduledtask.dev/v1alpha1", "scheduledtasks"),
    "cronjob": ("apis/batch/v1", "cronjobs"),
    "job": ("apis/batch/v1", "jobs"),
    "pod": ("api/v1", "pods"),
    "event": ("api/v1", "events"),
}
"""Where the API server has the objects of each kind: API group, and plural."""


@dataclass(frozen=True)
class Tasks:
    """The ScheduledTasks of one namespace."""

    cluster: Cluster
    namespace: str

    def body(self, name: str, **spec: Any) -> Body:
        """A small valid task; `spec` adds to its spec or replaces what is there."""
        container = {"name": "main", "image": "none.invalid/none", "command": ["run"]}
        return {
            "apiVersion": "scheduledtask.dev/v1alpha1",
            "kind": "ScheduledTask",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "schedule": NEVER_SOON,
                "retry": {"maxAttempts": 1},
                "template": {"spec": {"containers": [container]}},
                **spec,
            },
        }

    def apply(self, name: str, **spec: Any) -> None:
        self.kubectl("apply", "-f", "-", input=json.dumps(self.body(name, **spec)))

    def patch(self, name: str, **spec: Any) -> None:
        self.kubectl("patch", "stask", name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def start_run(self, name: str, run: str) -> None:
        self.kubectl("create", "job", run, f"--from=cronjob/{name}")

    def status(self, name: str) -> Body:
        status: Body = self.get("stask", name).get("status", {})
        return status

    def await_status(self, name: str, wanted: Callable[[Body], Any], what: str, seconds: float = 60) -> Body:
        """The status once it is as wanted; what is absent from it (a KeyError, an IndexError) is not there yet."""

        def holds(status: Body) -> bool:
            try:
                return bool(wanted(status))
            except LookupError:
                return False

        return eventually(lambda: self.status(name), holds, f"task {name}: {what}", seconds)

    def await_outcome(self, name: str, run: str) -> Body:
        """The entry of a run in the history, once it is there."""

        def entry() -> Body:
            return next((row for row in self.status(name).get("history", ()) if row.get("run") == run), {})

        return eventually(entry, bool, f"task {name}: run {run} has ended")

    def await_ready(self, name: str, status: str = "True") -> Body:
        """The condition Ready, once its status is this for the current generation."""

        def ready() -> Body:
            task = self.get("stask", name)
            seen = task.get("status", {}).get("observedGeneration") == task["metadata"]["generation"]
            return condition(task.get("status", {}), "Ready") if seen else {}

        return eventually(ready, lambda found: found.get("status") == status, f"task {name} is Ready={status}")

    def get(self, kind: str, name: str) -> Body:
        """One object, of a kind of `PATHS`."""
        return self._read(kind, f"/{name}")

    def listed(self, kind: str, labels: str = "") -> list[Body]:
        """The objects of a kind, those alone that have these labels."""
        items: list[Body] = self._read(kind, params={"labelSelector": labels})["items"]
        return items

    def names(self, *kinds: str) -> list[str]:
        """What `kubectl get` calls the objects of these kinds, but for the API group: ``job/report-1``."""
        return [f"{kind}/{item['metadata']['name']}" for kind in kinds for item in self.listed(kind)]

    def events(self, name: str) -> list[Body]:
        """Kubernetes Events about a task, those that others post included."""
        return [event for event in self.listed("event") if event["involvedObject"]["name"] == name]

    def kubectl(self, *arguments: str, input: str | None = None) -> str:
        return self.cluster.kubectl("--namespace", self.namespace, *arguments, input=input)

    def _read(self, kind: str, rest: str = "", params: dict[str, str] | None = None) -> Body:
        group, plural = PATHS[kind]
        path = f"/{group}/namespaces/{self.namespace}/{plural}{rest}"
        body: Body = administrator(self.cluster).get(path, params=params).raise_for_status().json()
        return body


def condition(status: Body, kind: str) -> Body:
    """The condition of that type, or {}."""
    return next((entry for entry in status.get("conditions", ()) if entry["type"] == kind), {})
