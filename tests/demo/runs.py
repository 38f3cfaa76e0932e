"""Runs on a cluster: trigger them as a user does, and await what the tasks' statuses say of them."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.cluster import Cluster, ClusterError
from tests.demo.system import Ask, Installed

Status = dict[str, Any]
Statuses = Mapping[str, Status]


def trigger(here: Installed, ask: Ask) -> str:
    """Ask for a run now, with plain kubectl; returns the run's name."""
    # Digits alone behind the last hyphen would look like the name of a slot's run.
    name = f"demo-t{int(time.time())}"
    run = f"{ask.task}-{name}"
    if ask.parameters:
        command = f"run.scheduledtask.dev/{name}={json.dumps({'parameters': ask.parameters})}"
        here.cluster.kubectl("annotate", "scheduledtask", ask.task, command, "--namespace", here.namespace)
    else:
        here.cluster.kubectl("create", "job", run, f"--from=cronjob/{ask.task}", "--namespace", here.namespace)
    return run


def next_slots(here: Installed) -> dict[str, str]:
    """When the schedule of each task starts its next run, for those that have one."""
    listed = here.cluster.kubectl("get", "scheduledtasks", "--namespace", here.namespace, "--output", "json")
    tasks = json.loads(listed)["items"]
    slots = {task["metadata"]["name"]: task.get("status", {}).get("nextRunTime") for task in tasks}
    return {name: slot for name, slot in slots.items() if slot}


def entry(status: Status, run: str) -> Status | None:
    """What the history says of `run`; None until it has ended."""
    return next((ended for ended in status.get("history", []) if ended.get("run") == run), None)


def entry_of_slot(status: Status, slot: str) -> Status | None:
    """What the history says of the run of `slot`, a time as in `nextRunTime`; None until it has ended."""
    return next((ended for ended in status.get("history", []) if ended.get("slot") == slot and "run" in ended), None)


def await_statuses(here: Installed, what: str, reached: Callable[[Statuses], bool], seconds: float) -> Statuses:
    """The statuses of the namespace's tasks by name, as soon as `reached` is true of them.

    Raises ClusterError, naming `what` was waited for and showing what there is, when it takes longer than `seconds`.
    """
    statuses: dict[str, Status] = {}
    for name, status in _changes(here.cluster, here.namespace, seconds):
        statuses[name] = status
        if reached(statuses):
            return statuses
    there_is = here.cluster.kubectl("get", "scheduledtasks,jobs,pods", "--namespace", here.namespace)
    raise ClusterError(f"waited {seconds:.0f} s in vain for {what}; there is:\n{there_is}")


def _changes(cluster: Cluster, namespace: str, seconds: float) -> Iterator[tuple[str, Status]]:
    """Name and status of each task, now and whenever it changes, for so many seconds."""
    columns = 'jsonpath={.metadata.name}{" "}{.status}{"\\n"}'
    command = cluster.kubectl_command("get", "scheduledtasks", "--namespace", namespace, "--watch", "--output", columns)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=cluster.environment()) as watch:
        end = threading.Timer(seconds, watch.kill)
        end.start()
        try:
            assert watch.stdout is not None
            for line in watch.stdout:
                name, _, status = line.strip().partition(" ")
                yield name, json.loads(status or "{}")
        finally:
            end.cancel()
            watch.kill()
