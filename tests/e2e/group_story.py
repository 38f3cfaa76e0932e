"""What happens when runs of two tasks of one group are asked for in every way.

$GROUP_TRIGGERS is how many are asked for, besides those of the slots.
"""

import json
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from tests.e2e.programs import ProgramTasks, time_of
from tests.e2e.record import latest, recorded
from tests.integration.operator_process import eventually
from tests.integration.tasks import Body

TRIGGERS = int(os.environ.get("GROUP_TRIGGERS", "16"))
PRIORITIES = {"low": 0, "high": 2}
NATIVE = timedelta(seconds=10)
"""What the Job controller waits after a first failure; it doubles with each."""
BACKOFF = timedelta(seconds=12)

OFTEN_BUSY = """
import json, os, random, sys, time
began = time.time()
chance = random.Random(os.environ["TASK_RUN"] + os.environ["TASK_FAILED_ATTEMPTS"])
time.sleep(chance.uniform(0.5, 2))
code = chance.choices([0, 75, 65], [75, 20, 5])[0]
milliseconds = [round(moment * 1000) for moment in (began, time.time())]
json.dump({"message": "busy" if code else "done", "result": {"at": milliseconds}}, open("/dev/termination-log", "w"))
sys.exit(code)
"""


@dataclass(frozen=True)
class Attempt:
    """A pod that has ended. `since`: from when on it waited for its turn."""

    task: str
    run: str
    since: datetime
    created: datetime
    started: datetime
    finished: datetime
    milliseconds: tuple[int, int]
    """From when to when it ran, by its program's clock."""
    exit_code: int

    @property
    def rank(self) -> datetime:
        """Who goes first has the lowest: 1 of priority is worth a minute of waiting."""
        return self.since - timedelta(minutes=PRIORITIES[self.task])


@dataclass(frozen=True)
class Story:
    """What was asked for, and all that came of it."""

    asked: dict[str, str]
    """The task of each manual run, by its name."""
    jobs: dict[str, Body]
    attempts: list[Attempt]
    """In the order in which they were made."""
    histories: list[tuple[str, Body]]
    """All entries in any version of a history, with their tasks."""
    statuses: dict[str, Body]

    @property
    def attempts_by_run(self) -> dict[str, list[Attempt]]:
        ordered = sorted(self.attempts, key=lambda attempt: (attempt.run, attempt.created))
        return {run: list(attempts) for run, attempts in groupby(ordered, lambda attempt: attempt.run)}


def tell_story(tasks: ProgramTasks) -> Story:
    """Ask for runs in every way, and return when all have ended."""
    with recorded(tasks, "jobs") as jobs, recorded(tasks, "pods") as pods, recorded(tasks, "stask") as versions:
        apply_tasks(tasks)
        asked = ask_for_runs(tasks)
        eventually(
            lambda: {label(job, "scheduledtask.dev/task") for job in latest(jobs).values() if is_slot(job)},
            lambda names: names == set(PRIORITIES),
            "each task has had a slot",
            90,
        )
        for name in PRIORITIES:
            tasks.patch(name, suspend=True)
        eventually(
            lambda: (set(asked) - set(latest(jobs)), len(latest(jobs)) - count_of_ended(versions)),
            lambda rest: rest == (set(), 0),
            "each run has an outcome",
            120 + 20 * TRIGGERS,
        )
        eventually(
            lambda: [name for name, pod in latest(pods).items() if not container_end(pod)],
            lambda names: not names,
            "each pod has ended",
        )
    statuses = {name: tasks.status(name) for name in PRIORITIES}
    return Story(asked, latest(jobs), attempts_of(latest(jobs), latest(pods)), list(entries(versions)), statuses)


def apply_tasks(tasks: ProgramTasks) -> None:
    for name, priority in PRIORITIES.items():
        tasks.apply_program(
            name,
            OFTEN_BUSY,
            schedule="* * * * *",
            concurrency={"policy": "Queue", "group": "miner", "priority": priority},
            retry={"maxAttempts": 3, "backoff": ["12s"], "nonRetryable": {"exitCodes": [65]}, "beyondNextSlot": True},
            history={"runs": 100, "succeededJobs": 100, "failedJobs": 100},
        )
    for name in PRIORITIES:
        tasks.await_ready(name)


def ask_for_runs(tasks: ProgramTasks) -> dict[str, str]:
    """Ask for a run of this task or that one, in this way or that one, every now and then."""
    chance = random.Random(TRIGGERS)
    asked = {}
    for number in range(TRIGGERS):
        name = chance.choice(list(PRIORITIES))
        if chance.random() < 0.5:
            tasks.kubectl("annotate", "stask", name, f"run.scheduledtask.dev/x{number}=")
            asked[f"{name}-x{number}"] = name
        else:
            tasks.start_run(name, f"{name}-by-hand-{number}")
            asked[f"{name}-by-hand-{number}"] = name
        time.sleep(chance.uniform(0, 2))
    return asked


def attempts_of(jobs: dict[str, Body], pods: dict[str, Body]) -> list[Attempt]:
    found: list[Attempt] = []
    for pod in sorted(pods.values(), key=lambda pod: time_of(pod["metadata"]["creationTimestamp"])):
        run, end = label(pod, "job-name"), container_end(pod)
        before = [attempt for attempt in found if attempt.run == run]
        since = time_of(jobs[run]["metadata"]["creationTimestamp"])
        if before:
            since = before[-1].finished + max(BACKOFF, NATIVE * 2 ** (len(before) - 1))
        began, ended = json.loads(end["message"])["result"]["at"]
        attempt = Attempt(
            task=label(jobs[run], "scheduledtask.dev/task"),
            run=run,
            since=since,
            created=time_of(pod["metadata"]["creationTimestamp"]),
            started=time_of(end["startedAt"]),
            finished=time_of(end["finishedAt"]),
            milliseconds=(began, ended),
            exit_code=end["exitCode"],
        )
        found.append(attempt)
    return found


def container_end(pod: Body) -> Body:
    """How the pod's container ended, or {}."""
    states = [status["state"] for status in pod["status"].get("containerStatuses", ())]
    end: Body = states[0].get("terminated", {}) if states else {}
    return end


def entries(versions: list[Body]) -> Iterator[tuple[str, Body]]:
    for event in list(versions):
        task = event["object"]
        for entry in task.get("status", {}).get("history", ()):
            yield task["metadata"]["name"], entry


def count_of_ended(versions: list[Body]) -> int:
    statuses = [task.get("status", {}) for task in latest(versions).values()]
    return sum(status.get("successCount", 0) + status.get("failureCount", 0) for status in statuses)


def label(body: Body, name: str) -> str:
    return str(body["metadata"]["labels"][name])


def is_slot(job: Body) -> bool:
    return "batch.kubernetes.io/cronjob-scheduled-timestamp" in job["metadata"].get("annotations", {})
