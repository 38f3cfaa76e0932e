"""The operator killed in the middle of its work."""

import pytest

from tests.e2e.conftest import KEEPS_ALL
from tests.e2e.installed import InstalledOperator
from tests.e2e.programs import ProgramTasks

RUNS = 8


def test_runs_that_end_while_the_operator_is_killed_are_counted_once(
    operator: InstalledOperator, tasks: ProgramTasks, minutely: tuple[str, ...]
) -> None:
    if operator.cluster.provider != "local":
        pytest.skip(f"with the provider {operator.cluster.provider} nothing can signal a container from its node")
    tasks.apply_program(
        "burst", "import os; os._exit(int(os.environ['TASK_RUN'][-1]) % 2)", history=KEEPS_ALL, retry={"maxAttempts": 1}
    )
    tasks.await_ready("burst")
    for number in range(RUNS):
        tasks.start_run("burst", f"burst-{number}")
    tasks.await_status("burst", lambda status: status["history"], "the first run is counted")

    operator.kill()

    for number in range(RUNS):
        tasks.await_run("burst", f"burst-{number}")
    status = tasks.await_balance("burst")
    assert (status["successCount"], status["failureCount"]) == (RUNS // 2, RUNS // 2)
    for name in minutely:
        tasks.await_balance(name)
