"""The operator removed by Helm, another one for a single namespace in its place, and the first one installed again."""

from collections.abc import Iterator

import pytest

from tests import install
from tests.e2e.conftest import fresh_namespace
from tests.e2e.installed import InstalledOperator
from tests.e2e.programs import ProgramTasks
from tests.integration.tasks import Body

NAMESPACE_OF_THE_OTHER = "e2e-other-release"


@pytest.fixture(scope="module")
def left_behind(tasks: ProgramTasks, minutely: tuple[str, ...]) -> dict[str, Body]:
    """From here on no release is installed. Gives the minutely tasks' CronJobs as they were before."""
    cron_jobs = {name: tasks.get("cronjob", name) for name in minutely}
    install.uninstall_chart(tasks.cluster)
    return cron_jobs


@pytest.fixture
def other_release(tasks: ProgramTasks, left_behind: dict[str, Body]) -> Iterator[ProgramTasks]:
    """The tasks of the only namespace that a second release serves, which is installed in a third namespace."""
    served = fresh_namespace(tasks.cluster, tasks.image)
    values = {"watchNamespace": served.namespace, "crds": {"install": False}}
    install.install_chart(tasks.cluster, NAMESPACE_OF_THE_OTHER, values=values)
    try:
        yield served
    finally:
        install.uninstall_chart(tasks.cluster, NAMESPACE_OF_THE_OTHER)
        for namespace in (served.namespace, NAMESPACE_OF_THE_OTHER):
            tasks.cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def test_uninstalling_removes_everything_but_the_definition_and_the_tasks(
    operator: InstalledOperator, tasks: ProgramTasks, left_behind: dict[str, Body]
) -> None:
    kinds = "deployments,replicasets,services,serviceaccounts,roles,rolebindings"
    left = operator.kubectl("get", kinds, "-o", "name").split()
    roles = operator.cluster.kubectl("get", "clusterroles,clusterrolebindings", "-o", "name")

    assert left == ["serviceaccount/default"]
    assert operator.release not in roles
    operator.cluster.kubectl("get", "crd", "scheduledtasks.scheduledtask.dev")
    for name, cron_job in left_behind.items():
        assert tasks.get("cronjob", name)["metadata"]["uid"] == cron_job["metadata"]["uid"]


def test_an_operator_of_one_namespace_serves_that_one_alone(tasks: ProgramTasks, other_release: ProgramTasks) -> None:
    before = tasks.status("stumble")
    tasks.apply_program("elsewhere", "print('nobody knows me')")

    other_release.apply_program("served", "print('at your service')")
    other_release.await_ready("served")
    other_release.start_run("served", "served-1")

    assert other_release.await_run("served", "served-1")["outcome"] == "Succeeded"
    assert "status" not in tasks.get("stask", "elsewhere")
    assert tasks.status("stumble") == before, "nobody counts there"


def test_installed_again_it_counts_what_ran_meanwhile_and_rewrites_nothing(
    tasks: ProgramTasks, left_behind: dict[str, Body]
) -> None:
    install.install_chart(tasks.cluster)

    tasks.apply_program("elsewhere", "print('somebody knows me')")
    tasks.await_ready("elsewhere")
    for name, cron_job in left_behind.items():
        tasks.await_balance(name)
        now = tasks.get("cronjob", name)["metadata"]
        assert (now["uid"], now["generation"]) == (cron_job["metadata"]["uid"], cron_job["metadata"]["generation"])
