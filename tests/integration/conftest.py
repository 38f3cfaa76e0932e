"""A real control plane for the integration tests: etcd, kube-apiserver and kube-controller-manager, no nodes."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cluster import Cluster
from tests.install import serve_definition
from tests.integration.administrator import administrator
from tests.integration.command_line import CommandLine, kubeconfig_of
from tests.integration.operator_process import OperatorProcess, operator_kubeconfig
from tests.integration.tasks import Tasks


@pytest.fixture(scope="session")
def control_plane() -> Iterator[Cluster]:
    """The cluster `integration` (or $INTEGRATION_CLUSTER) that serves ScheduledTasks; $KEEP_CLUSTER leaves it up.

    Each worker of pytest-xdist has one of its own: tests restart servers and count requests.
    """
    names = [os.environ.get("INTEGRATION_CLUSTER", "integration"), os.environ.get("PYTEST_XDIST_WORKER")]
    cluster = Cluster.up("-".join(name for name in names if name), size="control-plane")
    try:
        serve_definition(cluster)
        yield cluster
    finally:
        if not os.environ.get("KEEP_CLUSTER"):
            cluster.down()


@pytest.fixture(scope="session")
def api_server(control_plane: Cluster) -> httpx.Client:
    """An administrator's HTTP client of the control plane."""
    return administrator(control_plane)


@pytest.fixture
def namespace(api_server: httpx.Client) -> Iterator[str]:
    """A fresh namespace, deleted with all that is in it when the test has ended."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    api_server.post("/api/v1/namespaces", json={"metadata": {"name": name}}).raise_for_status()
    try:
        yield name
    finally:
        api_server.delete(f"/api/v1/namespaces/{name}").raise_for_status()


@pytest.fixture(scope="module")
def operator(control_plane: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """An operator that runs, with the rights that the chart gives it."""
    folder = tmp_path_factory.mktemp("operator")
    process = OperatorProcess(operator_kubeconfig(control_plane, folder), folder / "operator.log")
    process.start()
    yield process
    assert process.stop() == 0


@pytest.fixture
def tasks(operator: OperatorProcess, control_plane: Cluster, namespace: str) -> Tasks:
    """A fresh namespace with an operator that works in it."""
    return Tasks(control_plane, namespace)


@pytest.fixture
def cli(control_plane: Cluster, namespace: str, tmp_path: Path) -> CommandLine:
    """The command line, with a kubeconfig whose context names that namespace."""
    return CommandLine(kubeconfig_of(control_plane, namespace, tmp_path))


WAITING = ("test_gates", "test_slot_truth", "test_slots", "test_operator", "test_stuck", "test_fuzzed_specs")
"""Modules that wait for minutes. They begin with the first: at the end everyone would wait for them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: WAITING.index(item.path.stem) if item.path.stem in WAITING else len(WAITING))
