"""The operator away, and back: Kubernetes does the work meanwhile, and nothing goes uncounted."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from tests.e2e.conftest import KEEPS_ALL, fresh_namespace
from tests.e2e.installed import InstalledOperator
from tests.e2e.programs import ProgramTasks, ended, failures_told
from tests.integration.operator_process import eventually
from tests.integration.tasks import Body

SLOTS_AWAY = 2


@dataclass(frozen=True)
class Absence:
    """What was counted of each minutely task before the operator went, and the Jobs that were there by then."""

    counted: dict[str, int]
    jobs: dict[str, frozenset[str]]


@pytest.fixture(scope="module")
def away(operator: InstalledOperator, tasks: ProgramTasks, minutely: tuple[str, ...]) -> Iterator[Absence]:
    """From here on the operator is scaled to zero; runs of on-demand tasks have just been started without it."""
    tasks.apply_program("hopeless", "import sys; sys.exit(77)", retry={"maxAttempts": 5}, history=KEEPS_ALL)
    tasks.apply_program("stubborn", "raise OSError('connection refused')", retry={"maxAttempts": 2}, history=KEEPS_ALL)
    tasks.apply_program("doomed", "import time; time.sleep(300)")
    for name in ("hopeless", "stubborn", "doomed"):
        tasks.await_ready(name)
    operator.stop()
    tasks.start_run("hopeless", "hopeless-1")
    tasks.start_run("stubborn", "stubborn-1")
    yield Absence(
        {name: counts(tasks.status(name)) for name in minutely},
        {name: frozenset(job["metadata"]["name"] for job in tasks.jobs(name)) for name in minutely},
    )
    operator.start()


@pytest.fixture(scope="module")
def back(operator: InstalledOperator, tasks: ProgramTasks, away: Absence) -> Absence:
    """From here on the operator is there again, after `SLOTS_AWAY` slots of every minutely task."""
    for name, before in away.jobs.items():
        eventually(
            partial(ended_since, tasks, name, before),
            lambda runs: len(runs) >= SLOTS_AWAY,
            f"{name} ran at {SLOTS_AWAY} slots without the operator",
            60 * SLOTS_AWAY + 60,
        )
    assert {name: counts(tasks.status(name)) for name in away.counted} == away.counted, "nobody has counted meanwhile"
    operator.start()
    return away


def counts(status: Body) -> int:
    return int(status["successCount"] + status["failureCount"])


def ended_since(tasks: ProgramTasks, name: str, before: frozenset[str]) -> list[str]:
    return [job["metadata"]["name"] for job in tasks.jobs(name) if ended(job) and job["metadata"]["name"] not in before]


def test_a_non_retryable_exit_code_ends_the_run_without_the_operator(tasks: ProgramTasks, away: Absence) -> None:
    tasks.kubectl("wait", "job/hopeless-1", "--for=condition=Failed", "--timeout=60s")

    assert tasks.get("job", "hopeless-1")["status"]["failed"] == 1
    assert len(tasks.listed("pod", "job-name=hopeless-1")) == 1
    assert tasks.status("hopeless")["failureCount"] == 0, "nobody is there to count"


def test_a_failed_attempt_is_tried_again_without_the_operator(tasks: ProgramTasks, away: Absence) -> None:
    tasks.kubectl("wait", "job/stubborn-1", "--for=condition=Failed", "--timeout=60s")

    assert tasks.get("job", "stubborn-1")["status"]["failed"] == 2


def test_deleting_a_task_without_the_operator_removes_all_its_children(tasks: ProgramTasks, away: Absence) -> None:
    mine = ("cronjobs,jobs,pods", "-l", "scheduledtask.dev/task=doomed", "-o", "name")
    tasks.start_run("doomed", "doomed-1")
    eventually(lambda: tasks.kubectl("get", *mine).split(), lambda names: len(names) == 3, "the run has a pod")

    tasks.kubectl("delete", "stask", "doomed", "--timeout=20s")

    eventually(lambda: tasks.kubectl("get", *mine), lambda names: names == "", "all children are gone", 60)


def test_deleting_a_namespace_without_the_operator_does_not_hang(tasks: ProgramTasks, away: Absence) -> None:
    other = fresh_namespace(tasks.cluster, tasks.image)
    other.apply("orphan")

    tasks.cluster.kubectl("delete", "namespace", other.namespace, "--timeout=60s")


def test_the_slots_that_passed_meanwhile_are_counted_once_the_operator_is_back(
    tasks: ProgramTasks, back: Absence
) -> None:
    for name, before in back.counted.items():
        status = tasks.await_balance(name)
        assert counts(status) >= before + SLOTS_AWAY


def test_what_failed_meanwhile_is_told_in_full(tasks: ProgramTasks, back: Absence) -> None:
    hopeless = tasks.await_balance("hopeless")
    stubborn = tasks.await_balance("stubborn")

    assert (hopeless["failureCount"], hopeless["retryCount"], hopeless["history"][0]["attempts"]) == (1, 0, 1)
    assert (hopeless["lastError"]["reason"], hopeless["lastError"]["exitCode"]) == ("NonRetryableExitCode", 77)
    assert (stubborn["failureCount"], stubborn["retryCount"]) == (1, 1)
    assert stubborn["lastError"]["message"].endswith("OSError: connection refused")


def test_nothing_is_counted_again_after_another_restart(
    operator: InstalledOperator, tasks: ProgramTasks, back: Absence
) -> None:
    tasks.await_balance("hopeless")
    version = tasks.get("stask", "hopeless")["metadata"]["resourceVersion"]

    operator.stop()
    operator.start()

    tasks.apply("noticed")
    tasks.await_ready("noticed")
    assert tasks.get("stask", "hopeless")["metadata"]["resourceVersion"] == version
    assert len(failures_told(tasks, "hopeless")) == 1
