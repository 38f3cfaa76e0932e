"""Which run and which attempts `logs` shows, and how it names them."""

from typing import Any

import msgspec
import pytest

from scheduledtask.cli.errors import CommandError
from scheduledtask.cli.facts import PodFacts
from scheduledtask.cli.logs import choose_attempts, choose_run, headline
from scheduledtask.kube.wire import JobObject


def a_job(name: str, clock: str = "12:00") -> JobObject:
    meta = {"name": name, "uid": name, "creationTimestamp": f"2026-11-22T{clock}:00Z"}
    return msgspec.convert({"metadata": meta, "spec": {"backoffLimitPerIndex": 4}}, JobObject)


def a_pod(name: str = "pod", failures: str = "0", phase: str = "Running", **container: Any) -> PodFacts:
    meta = {"name": name, "uid": name, "annotations": {"batch.kubernetes.io/job-index-failure-count": failures}}
    states = [{"name": "main", "state": container}] if container else []
    spec = {"containers": [{"name": "main"}, {"name": "sidecar"}]}
    return msgspec.convert(
        {"metadata": meta, "spec": spec, "status": {"phase": phase, "containerStatuses": states}}, PodFacts
    )


def test_the_latest_run_is_meant_unless_one_is_named() -> None:
    jobs = [a_job("first", "09:00"), a_job("third", "11:00"), a_job("second", "10:00")]
    assert choose_run("task", jobs, None).metadata.name == "third"
    assert choose_run("task", jobs, "first").metadata.name == "first"


def test_a_run_that_is_gone_is_answered_with_those_that_are_there() -> None:
    with pytest.raises(CommandError, match=r"There are: second, first\."):
        choose_run("task", [a_job("first", "09:00"), a_job("second", "10:00")], "zeroth")


def test_pods_are_attempts_by_the_job_controllers_count() -> None:
    pods = [a_pod("one", "0"), a_pod("drained", "1"), a_pod("two", "1"), a_pod("odd", "x")]
    assert [pod.attempt for pod in pods] == [1, 2, 2, 1]
    assert [pod.metadata.name for pod in choose_attempts(a_job("run"), pods, 2, True)] == ["drained", "two"]


def test_an_attempt_that_may_still_come_is_awaited_and_else_answered_with_those_there_are() -> None:
    pods = [a_pod("one", "0"), a_pod("two", "1")]
    assert choose_attempts(a_job("run"), pods, 3, False) == []
    with pytest.raises(CommandError, match=r"no pod of attempt 3\. There are: 1, 2\."):
        choose_attempts(a_job("run"), pods, 3, True)


@pytest.mark.parametrize(
    ("pod", "line"),
    [
        (a_pod("run-0-abc", running={}), "==> run run, attempt 1 of 5, pod run-0-abc <=="),
        (
            a_pod("run-0-abc", "2", "Failed", terminated={"exitCode": 3}),
            "==> run run, attempt 3 of 5, pod run-0-abc, exit code 3 <==",
        ),
    ],
)
def test_each_log_stands_under_a_line_that_names_the_attempt(pod: PodFacts, line: str) -> None:
    assert headline(a_job("run"), pod) == line


@pytest.mark.parametrize(
    ("pod", "started", "obstacle"),
    [
        (a_pod(running={}), True, ""),
        (a_pod(phase="Failed", terminated={"exitCode": 1}), True, ""),
        (a_pod(phase="Pending"), False, ""),
        (a_pod(phase="Failed"), False, ""),
        (
            a_pod(phase="Pending", waiting={"reason": "ErrImagePull", "message": "no such image"}),
            False,
            "ErrImagePull: no such image",
        ),
        (a_pod(phase="Pending", waiting={"reason": "ContainerCreating"}), False, "ContainerCreating"),
    ],
)
def test_a_pod_without_a_log_says_what_it_waits_for(pod: PodFacts, started: bool, obstacle: str) -> None:
    assert (pod.has_started, pod.obstacle) == (started, obstacle)
