"""A real node with the operator on it, installed by Helm, and tasks that are due every minute from the start."""

import json
import os
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests import install
from tests.cluster import Cluster
from tests.e2e.group_story import Story, tell_story
from tests.e2e.installed import InstalledOperator
from tests.e2e.programs import ProgramTasks
from tests.e2e.record import recorded
from tests.integration.tasks import Body

STORY = (
    "test_failures",
    "test_stuck",
    "test_match_history",
    "test_source_monitor",
    "test_ticket_miner",
    "test_job_queue",
    "test_schedule",
    "test_groups",
    "test_retries",
    "test_absence",
    "test_crash",
    "test_chart",
    "test_uninstall",
)
"""The order of the modules: those that take the operator away come last, when others have seen it at work."""

KEEPS_ALL: Body = {"runs": 100, "succeededJobs": 100, "failedJobs": 100}
"""A `history` with which everything that ran can be compared with everything that was counted."""

ECHO = """
import json, os, sys
seen = {name: value for name, value in os.environ.items() if name.startswith(("TASK_", "PARAM_"))}
report = {"message": "seen", "result": {"environment": seen, "arguments": sys.argv[1:]}}
json.dump(report, open("/dev/termination-log", "w"))
"""

UNAVAILABLE = """
import os, sys
sys.exit("GET /matches: HTTP 503" if os.environ["TASK_FAILED_ATTEMPTS"] < "4" else 0)
"""


@dataclass(frozen=True)
class Watched:
    """A run of a task, and every version of the task since then."""

    task: str
    run: str
    versions: list[Body]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        return STORY.index(item.path.stem) if item.path.stem in STORY else -1

    items.sort(key=place)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster `e2e` (or $E2E_CLUSTER); $KEEP_CLUSTER leaves it up."""
    cluster = Cluster.up(os.environ.get("E2E_CLUSTER", "e2e"), size="node")
    try:
        yield cluster
    finally:
        if not os.environ.get("KEEP_CLUSTER"):
            cluster.down()


@pytest.fixture(scope="session")
def operator(cluster: Cluster) -> InstalledOperator:
    """The operator for the whole cluster, from its Dockerfile and its chart."""
    install.build_operator_image(cluster)
    install.install_chart(cluster)
    return InstalledOperator(cluster, install.NAMESPACE, install.RELEASE)


@pytest.fixture(scope="session")
def tasks(operator: InstalledOperator) -> Iterator[ProgramTasks]:
    """The tasks of a fresh namespace in which pods must be `restricted`."""
    made = fresh_namespace(operator.cluster, operator.image)
    try:
        yield made
    finally:
        operator.cluster.kubectl("delete", "namespace", made.namespace, "--wait=false")


@pytest.fixture(scope="session", autouse=True)
def minutely(tasks: ProgramTasks) -> tuple[str, ...]:
    """The names of tasks that are due every minute; several tests look at what has become of them."""
    clock: Body = {"schedule": "* * * * *", "history": KEEPS_ALL}
    tasks.apply_program(
        "echo",
        ECHO,
        "--days=$(PARAM_BACKFILL_DAYS)",
        "--run=$(TASK_RUN)",
        parameters=[{"name": "backfill_days", "type": "integer", "default": "3"}],
        retry={"maxAttempts": 4},
        **clock,
    )
    tasks.apply_program("stumble", "raise SystemExit('no such champion')", **clock)
    tasks.apply_program("linger", "import time; time.sleep(6)", **clock)
    return "echo", "stumble", "linger"


@pytest.fixture(scope="session", autouse=True)
def unavailable(tasks: ProgramTasks) -> Iterator[Watched]:
    """A run that fails four times and then succeeds. It waits for minutes, so it starts long before it is looked at."""
    tasks.apply_program("unavailable", UNAVAILABLE, retry={"maxAttempts": 5, "backoff": ["15s", "25s"]})
    tasks.await_ready("unavailable")
    with recorded(tasks, "stask", "unavailable") as versions:
        tasks.start_run("unavailable", "unavailable-1")
        yield Watched("unavailable", "unavailable-1", versions)


@pytest.fixture(scope="session", autouse=True)
def group_story(request: pytest.FixtureRequest, operator: InstalledOperator) -> Iterator[Future[Story]]:
    """What becomes of two tasks of one group. It takes minutes, so it begins long before test_groups looks at it."""
    if not any(item.path.stem == "test_groups" for item in request.session.items):
        yield Future()
        return
    tasks = fresh_namespace(operator.cluster, operator.image)
    with ThreadPoolExecutor(max_workers=1) as aside:
        yield aside.submit(tell_story, tasks)
    operator.cluster.kubectl("delete", "namespace", tasks.namespace, "--wait=false")


def fresh_namespace(cluster: Cluster, image: str) -> ProgramTasks:
    """A `restricted` namespace that nobody has used."""
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("apply", "-f", "-", input=json.dumps(install.restricted_namespace(name)))
    return ProgramTasks(cluster, name, image)
