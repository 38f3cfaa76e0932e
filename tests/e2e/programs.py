"""Tasks whose runs are real: small Python programs in pods that a `restricted` namespace admits."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.integration.operator_process import eventually
from tests.integration.tasks import Body, Tasks


@dataclass(frozen=True)
class ProgramTasks(Tasks):
    """The ScheduledTasks of a namespace that enforces `restricted`; `image` has a Python and is on the node."""

    image: str

    def apply_program(self, name: str, program: str, *arguments: str, memory: str = "64Mi", **spec: Any) -> None:
        """Apply a task that runs `program` with these arguments; `memory` is its container's limit."""
        self.apply(name, template=self.template(program, *arguments, memory=memory), **spec)

    def template(self, program: str, *arguments: str, memory: str = "64Mi") -> Body:
        """The pod template of a program."""
        container = {
            "name": "main",
            "image": self.image,
            "command": ["python3", "-c", program],
            "args": list(arguments),
            "resources": {"limits": {"memory": memory}},
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
        security = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
        pod = {"securityContext": security, "containers": [container], "terminationGracePeriodSeconds": 5}
        return {"spec": pod}

    def await_run(self, name: str, run: str) -> Body:
        """The history's entry of this run, once it has ended."""
        return await_run(self, name, run)

    def jobs(self, name: str) -> list[Body]:
        """The Jobs of a task."""
        selector = f"scheduledtask.dev/task={name}"
        return self.listed("job", selector)

    def await_balance(self, name: str, seconds: float = 40) -> Body:
        """The status, once counters and history say exactly what the ended Jobs say: none left out, none twice."""
        eventually(
            lambda: imbalance(self.status(name), self.jobs(name)),
            lambda differences: not differences,
            f"the account of {name} equals its Jobs",
            seconds,
        )
        return self.status(name)


def await_run(tasks: Tasks, name: str, run: str, seconds: float = 90) -> Body:
    """The history's entry of a run of task `name`, once it has ended."""

    def entries(status: Body) -> list[Body]:
        return [entry for entry in status["history"] if entry.get("run") == run]

    return entries(tasks.await_status(name, entries, f"run {run} has ended", seconds))[0]


def failures_told(tasks: Tasks, name: str) -> list[Body]:
    """The Events that tell of a failed run of task `name`."""
    return [event for event in tasks.events(name) if event["reason"] == "RunFailed"]


def ended(job: Body) -> str | None:
    """`Complete` or `Failed` for a Job that has ended."""
    true = {entry["type"] for entry in job["status"].get("conditions", ()) if entry["status"] == "True"}
    return next((end for end in ("Complete", "Failed") if end in true), None)


def imbalance(status: Body, jobs: list[Body]) -> list[str]:
    """Where counters and history differ from what the Jobs say. The task must keep all its Jobs and history."""
    ends = {job["metadata"]["name"]: ended(job) for job in jobs}
    failed_attempts = sum(job["status"].get("failed", 0) for job in jobs if ended(job))
    failed_runs = sum(end == "Failed" for end in ends.values())
    by_jobs = {
        "successCount": sum(end == "Complete" for end in ends.values()),
        "failureCount": failed_runs,
        "retryCount": failed_attempts - failed_runs,
        "cancelledCount": 0,
        "history": sorted(name for name, end in ends.items() if end),
    }
    by_status = {field: status.get(field, 0) for field in by_jobs}
    by_status["history"] = sorted(entry["run"] for entry in status.get("history", ()))
    return [
        f"{field}: {by_status[field]}, by the Jobs {told}"
        for field, told in by_jobs.items()
        if by_status[field] != told
    ]


def time_of(text: str) -> datetime:
    """A time of a status."""
    return datetime.fromisoformat(text)
