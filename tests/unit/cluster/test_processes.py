"""Daemons are found by the mark in their environment, and only they are killed."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import ClusterError, processes
from tests.cluster.processes import Daemon
from tests.cluster.waiting import until


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    processes.kill(tmp_path)


SLEEPER = Daemon("sleeper", ("sleep", "60"))


def test_a_started_daemon_is_found_at_once_by_its_name(directory: Path) -> None:
    processes.start(directory, SLEEPER)
    assert list(processes.running(directory).values()) == ["sleeper"]


def test_what_a_daemon_starts_belongs_to_the_cluster_but_is_not_the_daemon(directory: Path) -> None:
    processes.start(directory, Daemon("parent", ("sh", "-c", "sleep 60 & wait")))
    until("both are there", lambda: sorted(processes.running(directory).values()) == ["", "parent"], seconds=5)


def test_a_daemon_is_in_the_folder_of_its_cluster_and_inherits_no_more_than_it_must(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/somebody/elses")
    processes.start(directory, Daemon("teller", ("sh", "-c", "pwd; env"), {"OWN": "yes"}))
    until("it has told", lambda: "OWN=yes" in processes.log_tail(directory, "teller", 100), seconds=5)
    told = processes.log_tail(directory, "teller", 100).splitlines()
    assert told[0] == str(directory)
    assert not [line for line in told if line.startswith("KUBECONFIG=")]


def test_killing_one_daemon_leaves_the_others(directory: Path) -> None:
    processes.start(directory, SLEEPER)
    processes.start(directory, Daemon("other", SLEEPER.command))
    processes.kill(directory, "other")
    assert list(processes.running(directory).values()) == ["sleeper"]


def test_a_killed_daemon_has_let_go_of_its_port(directory: Path) -> None:
    serve = "import socket; memory = bytearray(b'x' * 2**29); server = socket.create_server(('127.0.0.1', {port}))"
    wait = "print('listening', flush=True); server.accept()"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes.start(directory, Daemon("server", (sys.executable, "-c", f"{serve.format(port=port)}; {wait}")))
    until("it listens", lambda: "listening" in processes.log_tail(directory, "server"), seconds=20)

    processes.kill(directory, "server")

    socket.create_server(("127.0.0.1", port)).close()


def test_killing_a_cluster_leaves_other_clusters_and_strangers(
    directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    neighbour = tmp_path_factory.mktemp("neighbour")
    processes.start(directory, SLEEPER)
    processes.start(neighbour, SLEEPER)
    with subprocess.Popen(SLEEPER.command) as stranger:
        processes.kill(directory)
        assert processes.running(directory) == {}
        assert list(processes.running(neighbour).values()) == ["sleeper"]
        assert stranger.poll() is None
        stranger.kill()
    processes.kill(neighbour)


def test_a_killed_daemon_leaves_no_zombie(directory: Path) -> None:
    processes.start(directory, SLEEPER)
    (pid,) = processes.running(directory)
    processes.kill(directory)

    def gone() -> bool:
        processes.kill(directory)
        return not Path(f"/proc/{pid}").exists()

    until("the process is collected", gone, seconds=5)


def test_a_program_that_is_not_there_is_an_error_at_once(directory: Path) -> None:
    with pytest.raises(FileNotFoundError):
        processes.start(directory, Daemon("absent", ("/no/such/program",)))


def test_waiting_in_vain_ends_with_what_was_waited_for() -> None:
    with pytest.raises(ClusterError, match="the moon is blue: not so after 0 s"):
        until("the moon is blue", lambda: os.getpid() < 0, seconds=0)
