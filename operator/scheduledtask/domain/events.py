"""Kubernetes Events: what is told of a task besides its status."""

from dataclasses import dataclass

from scheduledtask.domain.outcome import EndedRun


@dataclass(frozen=True, slots=True)
class PostEvent:
    """A Kubernetes Event (a warning) about the task. What has the same `subject` is posted once."""

    reason: str
    note: str
    subject: str


def failure_event(run: EndedRun) -> PostEvent:
    """That a run failed, after how many attempts and why."""
    entry = run.entry
    attempts = f"{entry.attempts} attempt" + ("" if entry.attempts == 1 else "s")
    code = f", exit code {entry.exit_code}" if entry.exit_code is not None else ""
    last_line = (entry.message or "").rstrip().rpartition("\n")[2]
    note = f"Run {entry.run} failed after {attempts} ({entry.reason}{code}): {last_line}"
    return PostEvent("RunFailed", note, entry.uid or "")
