"""How it all ended, as a value: what must be the same whatever went wrong on the way.

One line of text for each fact, so that what differs between two runs reads by itself. Times, UIDs and the names of pods
are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from tests.receiver import Received

Body = dict[str, Any]
EndState = tuple[str, ...]

COUNTERS = (
    "successCount",
    "failureCount",
    "cancelledCount",
    "retryCount",
    "skippedCount",
    "missedCount",
    "consecutiveFailures",
    "consecutiveMissed",
    "activeRuns",
)
OF_HISTORY = ("run", "trigger", "outcome", "reason", "attempts", "exitCode", "message", "slots")
OF_CRON_JOB = ("schedule", "timeZone", "suspend", "concurrencyPolicy", "startingDeadlineSeconds")
OPERATOR = "scheduledtask.dev/operator"
JOB_NAME = "batch.kubernetes.io/job-name"


def end_state(
    objects: Mapping[str, Mapping[str, Body]], events: Iterable[Body], received: Iterable[Received]
) -> EndState:
    """The facts of one namespace. `objects` by resource and name; `events` as events.k8s.io has them."""
    lines = [
        *(line for name, task in objects["scheduledtasks"].items() for line in _task(name, task)),
        *(_cron_job(name, cron_job) for name, cron_job in objects["cronjobs"].items()),
        *(_job(name, job, objects["pods"].values()) for name, job in objects["jobs"].items()),
        *_events(events),
        *_webhooks(received),
    ]
    return tuple(sorted(lines))


def differences(expected: EndState, found: EndState) -> list[str]:
    """What is missing and what is there instead, empty where nothing differs."""
    missing, surplus = Counter(expected) - Counter(found), Counter(found) - Counter(expected)
    return sorted([*(f"- {line}" for line in missing.elements()), *(f"+ {line}" for line in surplus.elements())])


def overlaps(open_at_once: Iterable[Iterable[tuple[str, str]]], tasks: Mapping[str, Body]) -> list[str]:
    """The runs of one group that could have pods at the same moment. `open_at_once` has task and run."""
    groups = {name: task["spec"].get("concurrency", {}).get("group") for name, task in tasks.items()}
    found = set()
    for together in open_at_once:
        runs: dict[str, list[str]] = {}
        for task, run in together:
            if groups.get(task):
                runs.setdefault(groups[task], []).append(run)
        found |= {f"group {group}: {sorted(of_group)} at once" for group, of_group in runs.items() if len(of_group) > 1}
    return sorted(found)


def of_tasks(end: EndState, names: Collection[str]) -> EndState:
    """The facts of some tasks. The names of their runs begin with theirs."""

    def is_of(line: str) -> bool:
        subject = line.split()[1].rstrip(":")
        return any(subject == name or subject.startswith(f"{name}-") for name in names)

    return tuple(line for line in end if is_of(line))


def _task(name: str, task: Body) -> Iterator[str]:
    status = task.get("status", {})
    yield f"task {name}: " + ", ".join(f"{counter} {status.get(counter, 0)}" for counter in COUNTERS)
    observed = status.get("observedGeneration") == task["metadata"]["generation"]
    commands = sorted(key for key in task["metadata"].get("annotations", {}) if "scheduledtask.dev/" in key)
    waiting = len(status.get("webhookMessages", ()))
    yield f"task {name}: {status.get('state')}, observed {observed}, commands {commands}, {waiting} messages wait"
    yield f"task {name}: {status.get('lastOutcome')}, last error {status.get('lastError', {}).get('reason')}"
    yield f"task {name}: {status.get('resolvedSchedule')}, next {status.get('nextRunTimes')}"
    for condition in status.get("conditions", ()):
        yield f"task {name}: {condition['type']} {condition['status']} {condition['reason']}"
    for number, entry in enumerate(status.get("history", ())):
        told = ", ".join(f"{field} {entry[field]}" for field in OF_HISTORY if field in entry)
        yield f"task {name}: history {number}: {told}"


def _cron_job(name: str, cron_job: Body) -> str:
    spec = cron_job["spec"]
    told = ", ".join(f"{field} {spec.get(field)}" for field in OF_CRON_JOB)
    active = sorted(reference["name"] for reference in cron_job.get("status", {}).get("active", ()))
    owner = [reference["name"] for reference in cron_job["metadata"].get("ownerReferences", ())]
    return f"cronjob {name}: {told}, active {active}, owner {owner}"


def _job(name: str, job: Body, pods: Iterable[Body]) -> str:
    status = job.get("status", {})
    ends = [
        f"{condition['type']} {condition.get('reason', '')}"
        for condition in status.get("conditions", ())
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True"
    ]
    phases = Counter(pod["status"]["phase"] for pod in pods if pod["metadata"]["labels"].get(JOB_NAME) == name)
    return (
        f"job {name}: {ends}, failed {status.get('failed', 0)}, succeeded {status.get('succeeded', 0)}, "
        f"suspended {job['spec'].get('suspend', False)}, pods {dict(sorted(phases.items()))}"
    )


def _events(events: Iterable[Body]) -> Iterator[str]:
    """Only the operator's own; those of the controllers come as often as they come."""
    own = Counter(
        f"event {event['regarding']['name']}: {event['reason']}: {event.get('note')}"
        for event in events
        if event.get("reportingController") == OPERATOR
    )
    return (f"{line} (x{count})" for line, count in own.items())


def _webhooks(received: Iterable[Received]) -> Iterator[str]:
    """Each message once, however often it was delivered; and whatever breaks the promise about ids and bodies."""
    bodies: dict[str, set[bytes]] = {}
    told: dict[str, set[str]] = {}
    for request in received:
        bodies.setdefault(request.id, set()).add(request.body)
        data = request.message["data"]
        what = f"webhook {data['task']}: {request.message['type']} {data.get('run', {}).get('run')} {data['counters']}"
        told.setdefault(what, set()).add(request.id)
    yield from (what if len(ids) == 1 else f"{what} under {len(ids)} ids" for what, ids in told.items())
    yield from (f"webhook {known}: {len(found)} bodies" for known, found in bodies.items() if len(found) > 1)
