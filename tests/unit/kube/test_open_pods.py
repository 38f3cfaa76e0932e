"""What is read of a pod that is late in starting."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from scheduledtask.domain.values import OpenPod
from scheduledtask.kube.open_pods import open_pod
from scheduledtask.kube.wire import PodObject
from tests.unit.kube import wire_objects as wire

MADE = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def read(status: dict[str, Any], **more: Any) -> OpenPod | None:
    return open_pod(msgspec.json.decode(wire.pod(status=status, **more), type=PodObject))


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"name": "job", "state": {"waiting": {"reason": reason, "message": message}}}


def test_a_pod_without_a_node_says_why() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    found = read({"phase": "Pending", "conditions": [condition]})
    assert found == OpenPod("run-1-0-abc", MADE, pending=True, unscheduled=("Unschedulable", "0/1 nodes"))


def test_its_containers_say_what_they_wait_for_init_containers_first() -> None:
    ended = wire.terminated(0)
    ended["state"]["terminated"]["finishedAt"] = "2026-11-22T12:01:00Z"
    found = read(
        {
            "phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "True"}],
            "initContainerStatuses": [ended, waiting("ErrImagePull", "no such host")],
            "containerStatuses": [waiting("PodInitializing")],
        }
    )
    assert found is not None
    assert found.waiting == (("ErrImagePull", "no such host"), ("PodInitializing", ""))
    assert (found.running, found.last_end, found.unscheduled) == (False, MADE.replace(minute=1), None)


def test_one_whose_init_container_runs_says_so() -> None:
    running = {"name": "prepare", "state": {"running": {"startedAt": wire.MADE}}}
    found = read({"phase": "Pending", "initContainerStatuses": [running]})
    assert found is not None
    assert (found.pending, found.running) == (True, True)


def test_one_that_runs_waits_for_nothing() -> None:
    found = read({"phase": "Running"})
    assert found is not None
    assert not found.pending


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_one_that_has_ended_is_not_open(phase: str) -> None:
    assert read({"phase": phase}) is None


def test_nor_is_one_that_is_on_its_way_out() -> None:
    assert read({"phase": "Pending"}, deletionTimestamp=wire.MADE) is None
