"""The API server and etcd crash and come back while runs are under way."""

import asyncio

import pytest

from tests.cluster import Cluster
from tests.faults.hands import Ends, by
from tests.faults.lab import Ground, lab

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]


@pytest.mark.parametrize("daemon", ["kube-apiserver", "etcd"])
async def test_runs_go_on_when_the_control_plane_is_back(ground: Ground, cluster: Cluster, daemon: str) -> None:
    async with lab(ground, by({("patient-x", 1): Ends(1, "busy"), ("patient-x", 2): Ends(0)})) as here:
        await here.create("patient", retry={"maxAttempts": 2, "backoff": ["15s"]})
        await here.command("patient", "run", "x")
        await here.mirror.until(
            lambda mirror: mirror.get("scheduledtasks", "patient")["status"]["active"][0]["nextAttemptTime"],
            "it waits for the second attempt",
        )

        await asyncio.to_thread(cluster.restart, daemon)

        entry = await here.outcome("patient", "patient-x")
        assert (entry["outcome"], entry["attempts"]) == ("Succeeded", 2)
        await here.answered("patient")
        await here.command("patient", "run", "y")
        await here.active("patient", "patient-y")
        assert here.operator.ends == ()
