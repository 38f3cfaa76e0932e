"""The Lease on its way to the API server and back."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from scheduledtask.domain.lease import Lease
from scheduledtask.kube.api import ApiError
from scheduledtask.kube.leases import LeaseApi
from tests.unit.kube.http_server import HttpServer, says, status

ACQUIRED = datetime(2026, 11, 22, 12, 0, 0, 5, tzinfo=UTC)
RENEWED = datetime(2026, 11, 22, 12, 0, 2, tzinfo=UTC)
SPEC = {
    "holderIdentity": "operator-a",
    "leaseDurationSeconds": 15,
    "acquireTime": "2026-11-22T12:00:00.000005Z",
    "renewTime": "2026-11-22T12:00:02.000000Z",
    "leaseTransitions": 3,
}
LEASE = Lease("operator-a", 15, ACQUIRED, RENEWED, 3, "7")
PATH = "/apis/coordination.k8s.io/v1/namespaces/system/leases"


def stored(spec: dict[str, object], version: str = "7") -> bytes:
    return json.dumps({"metadata": {"name": "operator", "resourceVersion": version}, "spec": spec}).encode()


@asynccontextmanager
async def lease_api(server: HttpServer) -> AsyncIterator[LeaseApi]:
    async with server:
        api = LeaseApi(server.configuration, "system", "operator")
        try:
            yield api
        finally:
            await api.close()


@pytest.mark.parametrize(
    ("spec", "lease"),
    [
        pytest.param(SPEC, LEASE, id="held"),
        pytest.param({**SPEC, "holderIdentity": ""}, Lease("", 15, ACQUIRED, RENEWED, 3), id="given up"),
        pytest.param({}, Lease("", 0, None, None, 0), id="made by hand, with nothing in it"),
    ],
)
async def test_it_is_read_with_the_version_it_has(spec: dict[str, object], lease: Lease) -> None:
    server = HttpServer([says(stored(spec))])
    async with lease_api(server) as api:
        found = await api.read()
    assert found == lease
    assert found is not None
    assert found.version == "7"
    assert server.requests[0][:2] == ("GET", f"{PATH}/operator")


async def test_that_there_is_none_is_no_error() -> None:
    async with lease_api(HttpServer([says(status(404, "not found"), 404)])) as api:
        assert await api.read() is None


async def test_it_is_written_over_the_version_that_was_read() -> None:
    server = HttpServer([says(stored(SPEC, "8"))])
    async with lease_api(server) as api:
        written = await api.write(LEASE)
    assert written.version == "8"
    method, path, _, body = server.requests[0]
    assert (method, path) == ("PUT", f"{PATH}/operator")
    assert body["metadata"] == {"namespace": "system", "name": "operator", "resourceVersion": "7"}
    assert body["spec"] == SPEC


async def test_without_a_version_it_is_created() -> None:
    server = HttpServer([says(stored(SPEC), 201)])
    async with lease_api(server) as api:
        await api.write(replace(LEASE, version=""))
    method, path, _, body = server.requests[0]
    assert (method, path) == ("POST", PATH)
    assert body["metadata"] == {"namespace": "system", "name": "operator"}


async def test_that_somebody_was_faster_is_told() -> None:
    async with lease_api(HttpServer([says(status(409, "modified"), 409)])) as api:
        with pytest.raises(ApiError, match="409"):
            await api.write(LEASE)
