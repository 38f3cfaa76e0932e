"""One control plane for all tests of faults; each test has a namespace and an operator of its own on it."""

import os
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.cluster import Cluster
from tests.faults.lab import Ground, control_plane, grounded


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with control_plane(os.environ.get("INTEGRATION_CLUSTER", "faults")) as cluster:
        yield cluster


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def ground(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    async with grounded(cluster, tmp_path_factory.mktemp("faults")) as ground:
        yield ground
