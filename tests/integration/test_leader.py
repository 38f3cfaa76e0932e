"""Two operators on a real control plane: one works, the other takes over, and nothing is done twice.

They have the same service account; by its token the audit log tells who asked for what.
"""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scheduledtask.domain.lease import LEASE_DURATION, RETRY_PERIOD
from tests.cluster import Cluster
from tests.install import NAMESPACE
from tests.integration.operator_process import OperatorProcess, credential_of, eventually, operator_kubeconfig
from tests.integration.pod_hands import end_pod
from tests.integration.tasks import Tasks

LEASE = "scheduledtask-operator"
QUIET_SECONDS = float(os.environ.get("QUIET_SECONDS", "20"))
TAKEOVER = LEASE_DURATION + 2 * RETRY_PERIOD * 1.2 + 10
"""Seconds: the other may have looked just before the last renewal, and looks late again; and a loaded machine."""
READS = {"get", "list", "watch"}
RENEWAL = "update leases"


@dataclass(frozen=True)
class Member:
    """One of the two, and the token by which the audit log knows it."""

    name: str
    process: OperatorProcess
    credential: str


class Pair:
    """Two operators that stand by for each other. `lead` is the one that was started first."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster = cluster
        self.lead, self.standby = self._member(folder / "one"), self._member(folder / "two")

    def start(self) -> None:
        self._kubectl("delete", "lease", LEASE, "--ignore-not-found")
        self.lead.process.start()
        self.await_leader(self.lead)
        self.standby.process.start()

    def end(self) -> None:
        for member in (self.lead, self.standby):
            if member.process.runs:
                member.process.kill()

    def lease(self) -> dict[str, Any]:
        spec: dict[str, Any] = json.loads(self._kubectl("get", "lease", LEASE, "-o", "json"))["spec"]
        return spec

    def await_leader(self, member: Member, seconds: float = 60) -> datetime:
        """Wait until this one works; returns since when."""
        [line] = eventually(lambda: member.process.log_lines("synced"), bool, f"{member.name} leads", seconds)
        assert self.lease()["holderIdentity"] == member.name
        return datetime.fromisoformat(str(line["timestamp"]))

    def requests(self, member: Member, namespace: str | None = None) -> Counter[str]:
        """What one of them asked for until now, by verb and resource; but for the Lease in one namespace only, if one
        is given: what other tests have left may still be on its way out."""
        counts: Counter[str] = Counter()
        for line in filter(None, self._cluster.audit_log.read_text().split("\n")):
            event = json.loads(line)
            if namespace and event.get("objectRef", {}).get("namespace", namespace) not in (namespace, NAMESPACE):
                continue
            credentials = event["user"].get("extra", {}).get("authentication.kubernetes.io/credential-id", ())
            if event["stage"] == "ResponseComplete" and member.credential in credentials:
                # Discovery is about no object.
                counts[f"{event['verb']} {event.get('objectRef', {}).get('resource')}"] += 1
        return counts

    def writes(self, member: Member) -> Counter[str]:
        return Counter({what: n for what, n in self.requests(member).items() if what.split()[0] not in READS})

    def _member(self, folder: Path) -> Member:
        folder.mkdir()
        kubeconfig = operator_kubeconfig(self._cluster, folder)
        election = ("--leader-elect", f"--lease-namespace={NAMESPACE}", f"--identity={folder.name}")
        return Member(
            folder.name, OperatorProcess(kubeconfig, folder / "operator.log", *election), credential_of(kubeconfig)
        )

    def _kubectl(self, *arguments: str) -> str:
        return self._cluster.kubectl("--namespace", NAMESPACE, *arguments)


@pytest.fixture
def pair(control_plane: Cluster, tmp_path: Path) -> Iterator[Pair]:
    made = Pair(control_plane, tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.end()


@pytest.fixture
def tasks(control_plane: Cluster, namespace: str) -> Tasks:
    return Tasks(control_plane, namespace)


def succeed(tasks: Tasks, run: str) -> None:
    """A run of `counted` that has ended before this returns."""
    tasks.start_run("counted", run)
    end_pod(tasks.cluster, tasks.namespace, run, 0)
    tasks.kubectl("wait", "--for=condition=Complete", f"job/{run}", "--timeout=60s")


def assert_counted(tasks: Tasks, *runs: str) -> None:
    """Each run has been counted once, or soon will be."""
    status = tasks.await_status("counted", lambda status: len(status["history"]) == len(runs), f"{runs} are counted")
    assert sorted(entry["run"] for entry in status["history"]) == sorted(runs)
    assert (status["successCount"], status["failureCount"], status["cancelledCount"]) == (len(runs), 0, 0)
    assert status["active"] == []


def test_a_killed_leader_is_followed_and_what_happened_meanwhile_is_counted_once(pair: Pair, tasks: Tasks) -> None:
    tasks.apply("counted")
    tasks.await_ready("counted")
    succeed(tasks, "before")
    assert_counted(tasks, "before")
    tasks.start_run("counted", "across")
    tasks.await_status("counted", lambda status: status["active"], "the run is active")
    assert pair.writes(pair.standby) == {}, "only the leader writes"
    assert pair.standby.process.get("/readyz").status_code == 200, "a standby is ready, or no rollout would end"
    assert "scheduledtask_leader 0.0" in pair.standby.process.get("/metrics").text

    killed = datetime.now(UTC)
    pair.lead.process.kill()
    end_pod(tasks.cluster, tasks.namespace, "across", 0)
    succeed(tasks, "meanwhile")
    took = pair.await_leader(pair.standby, TAKEOVER) - killed

    assert_counted(tasks, "before", "across", "meanwhile")
    assert took.total_seconds() < TAKEOVER
    assert "scheduledtask_leader 1.0" in pair.standby.process.get("/metrics").text
    assert pair.lease()["leaseTransitions"] == 1


def test_a_leader_that_is_told_to_end_gives_the_lease_up_at_once(pair: Pair, tasks: Tasks) -> None:
    tasks.apply("counted")
    tasks.await_ready("counted")
    succeed(tasks, "before")
    assert_counted(tasks, "before")

    assert pair.lead.process.stop() == 0
    stopped = datetime.now(UTC)
    took = pair.await_leader(pair.standby) - stopped

    assert took.total_seconds() < LEASE_DURATION, "it was not waited for to run out"
    succeed(tasks, "after")
    assert_counted(tasks, "before", "after")
    assert pair.standby.process.stop() == 0
    assert pair.lease()["holderIdentity"] == ""


def test_a_leader_that_stood_still_writes_nothing_when_it_wakes_and_ends(pair: Pair, tasks: Tasks) -> None:
    tasks.apply("counted")
    tasks.await_ready("counted")
    succeed(tasks, "before")
    assert_counted(tasks, "before")
    tasks.start_run("counted", "across")
    tasks.await_status("counted", lambda status: status["active"], "the run is active")
    # Its last write for now: a request that is on its way when the process stops is sent when it wakes, Lease or not.
    eventually(lambda: tasks.get("cronjob", "counted")["status"].get("active"), bool, "the run is adopted")

    pair.lead.process.signal(signal.SIGSTOP)
    end_pod(tasks.cluster, tasks.namespace, "across", 0)
    pair.await_leader(pair.standby, TAKEOVER)
    assert_counted(tasks, "before", "across")
    # What it has not heard of yet, and would write about.
    tasks.apply("new")
    succeed(tasks, "meanwhile")
    assert_counted(tasks, "before", "across", "meanwhile")
    written = pair.writes(pair.lead)

    pair.lead.process.signal(signal.SIGCONT)

    assert pair.lead.process.await_end() == 1
    [lost] = pair.lead.process.log_lines("leadership lost")
    assert f"{NAMESPACE}/{LEASE}" in str(lost["error"])
    assert pair.writes(pair.lead) == written
    succeed(tasks, "after")
    assert_counted(tasks, "before", "across", "meanwhile", "after")
    pair.lead.process.start()
    assert pair.lease()["holderIdentity"] == pair.standby.name, "started anew, it stands by"


def test_an_idle_pair_costs_one_renewal_in_two_seconds_and_as_many_looks(pair: Pair, tasks: Tasks) -> None:
    for number in range(20):
        tasks.apply(f"task-{number}")
    for number in range(20):
        tasks.await_ready(f"task-{number}")
    members = (pair.lead, pair.standby)
    before = {member.name: pair.requests(member, tasks.namespace) for member in members}

    # A promise about a time in which nothing happens: there is no condition to await.
    time.sleep(QUIET_SECONDS)

    lead, standby = (pair.requests(member, tasks.namespace) - before[member.name] for member in members)
    rounds = QUIET_SECONDS / RETRY_PERIOD
    assert rounds * 0.7 <= lead.pop(RENEWAL) <= rounds + 1
    assert rounds * 0.6 <= standby.pop("get leases") <= rounds + 1
    # Watches come to an end now and then.
    assert {what for what in lead + standby if not what.startswith("watch ")} == set()
