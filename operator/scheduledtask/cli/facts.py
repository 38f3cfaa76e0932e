"""What the commands read of tasks and pods.

Words such as states and reasons stay text here: a newer operator may know more of them than this command does.
"""

from datetime import datetime

from scheduledtask.kube.wire import FAILURE_COUNT, Metadata, Wire

MAIN_CONTAINER = "kubectl.kubernetes.io/default-container"


class ConditionFacts(Wire, frozen=True):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: datetime | None = None


class FailureFacts(Wire, frozen=True):
    reason: str
    message: str | None = None
    exit_code: int | None = None


class ActiveFacts(Wire, frozen=True):
    run: str
    uid: str
    trigger: str
    attempt: int
    start_time: datetime | None = None
    slot: datetime | None = None
    next_attempt_time: datetime | None = None
    last_failure: FailureFacts | None = None
    waiting_for: str | None = None
    progress: str | None = None


class EntryFacts(Wire, frozen=True):
    trigger: str
    end_time: datetime
    outcome: str
    reason: str = ""
    run: str | None = None
    uid: str | None = None
    slot: datetime | None = None
    slots: int = 1
    start_time: datetime | None = None
    attempts: int = 0
    exit_code: int | None = None
    message: str | None = None


class RetryFacts(Wire, frozen=True):
    max_attempts: int = 5


class ConcurrencyFacts(Wire, frozen=True):
    policy: str = "Forbid"


class SpecFacts(Wire, frozen=True):
    schedule: str | None = None
    time_zone: str = "Etc/UTC"
    suspend: bool = False
    pause_until: str | None = None
    pause_reason: str | None = None
    retry: RetryFacts = RetryFacts()
    concurrency: ConcurrencyFacts = ConcurrencyFacts()


class StatusFacts(Wire, frozen=True):
    observed_generation: int | None = None
    state: str | None = None
    resolved_schedule: str | None = None
    next_run_time: datetime | None = None
    next_run_times: tuple[datetime, ...] = ()
    conditions: tuple[ConditionFacts, ...] = ()
    active: tuple[ActiveFacts, ...] = ()
    history: tuple[EntryFacts, ...] = ()
    counted_jobs: tuple[str, ...] = ()


class TaskFacts(Wire, frozen=True):
    """A ScheduledTask."""

    metadata: Metadata
    spec: SpecFacts = SpecFacts()
    status: StatusFacts = StatusFacts()


class EventFacts(Wire, frozen=True):
    """A Kubernetes Event about a task."""

    metadata: Metadata
    message: str = ""
    event_time: datetime | None = None

    @property
    def told_at(self) -> datetime:
        return self.event_time or self.metadata.created


class NamedFacts(Wire, frozen=True):
    metadata: Metadata


class ContainerFacts(Wire, frozen=True):
    name: str


class PodSpecFacts(Wire, frozen=True):
    containers: tuple[ContainerFacts, ...] = ()


class WaitingFacts(Wire, frozen=True):
    reason: str = ""
    message: str = ""


class TerminatedFacts(Wire, frozen=True):
    exit_code: int


class StateFacts(Wire, frozen=True):
    waiting: WaitingFacts | None = None
    terminated: TerminatedFacts | None = None


class ContainerStatusFacts(Wire, frozen=True):
    name: str
    state: StateFacts = StateFacts()


class PodConditionFacts(Wire, frozen=True):
    type: str
    status: str
    reason: str = ""
    message: str = ""


class PodStatusFacts(Wire, frozen=True):
    phase: str = ""
    container_statuses: tuple[ContainerStatusFacts, ...] = ()
    conditions: tuple[PodConditionFacts, ...] = ()


class PodFacts(Wire, frozen=True):
    """A pod, which is one attempt of a run."""

    metadata: Metadata
    spec: PodSpecFacts = PodSpecFacts()
    status: PodStatusFacts = PodStatusFacts()

    @property
    def attempt(self) -> int:
        """Its number, from 1, by the Job controller's own count of failures before it."""
        failures = self.metadata.annotations.get(FAILURE_COUNT, "")
        return (int(failures) if failures.isascii() and failures.isdecimal() else 0) + 1

    @property
    def main_container(self) -> str:
        named = self.metadata.annotations.get(MAIN_CONTAINER)
        return named or self.spec.containers[0].name

    @property
    def has_started(self) -> bool:
        """Whether its main container has run, so that there is a log to ask for."""
        if self.status.phase in ("Running", "Succeeded", "Failed"):
            states = {entry.name: entry.state for entry in self.status.container_statuses}
            state = states.get(self.main_container)
            return state is not None and state.waiting is None
        return False

    @property
    def obstacle(self) -> str:
        """Why it has not started, as far as Kubernetes says; empty where it does not."""
        for entry in self.status.container_statuses:
            if entry.state.waiting and entry.state.waiting.reason:
                return _joined(entry.state.waiting.reason, entry.state.waiting.message)
        for condition in self.status.conditions:
            if condition.type == "PodScheduled" and condition.status == "False":
                return _joined(condition.reason, condition.message)
        return ""


def _joined(reason: str, message: str) -> str:
    return f"{reason}: {message}" if message else reason
