"""The cluster tool itself: what it starts works, and what it takes down leaves nothing, whatever was killed."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster import Cluster, ClusterError, cgroups, machine, paths, processes, remove
from tests.cluster.waiting import until


def silent(_: str) -> None:
    """Progress is of no interest here."""


def is_listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def traces(name: str) -> list[object]:
    """Whatever a cluster has left on the machine."""
    directory = paths.cluster_directory(name)
    group = cgroups.group_name(directory)
    mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if str(directory) in line]
    groups = [root / group for root in cgroups.present().roots if (root / group).exists()]
    folder = [directory] if directory.exists() else []
    return [*processes.running(directory).items(), *mounts, *groups, *folder]


@contextmanager
def eventually_gone(name: str) -> Iterator[None]:
    try:
        yield
    finally:
        remove(name)
        assert traces(name) == []


@pytest.fixture(scope="module")
def control_planes() -> Iterator[tuple[Cluster, Cluster]]:
    """Two control planes, started at the same moment."""
    with eventually_gone("tool-one"), eventually_gone("tool-two"), ThreadPoolExecutor() as threads:
        one, two = threads.map(lambda name: Cluster.up(name, "control-plane", say=silent), ["tool-one", "tool-two"])
        yield one, two


def test_clusters_side_by_side_share_nothing(control_planes: tuple[Cluster, Cluster]) -> None:
    one, two = control_planes
    assert not set(one.ports.values()) & set(two.ports.values())
    one.kubectl("create", "namespace", "only-in-one")
    assert "only-in-one" in one.kubectl("get", "namespaces")
    assert "only-in-one" not in two.kubectl("get", "namespaces")


def test_a_second_up_finds_the_running_cluster(control_planes: tuple[Cluster, Cluster]) -> None:
    before = control_planes[0].daemons
    assert Cluster.up("tool-one", say=silent) == control_planes[0]
    assert control_planes[0].daemons == before


def test_a_running_cluster_is_not_given_out_as_one_of_another_size(control_planes: tuple[Cluster, Cluster]) -> None:
    with pytest.raises(ClusterError, match="is up with size control-plane, not node"):
        Cluster.up("tool-one", "node", say=silent)


def test_the_audit_log_counts_requests_by_user_and_verb(control_planes: tuple[Cluster, Cluster]) -> None:
    cluster = control_planes[0]
    cluster.kubectl("create", "configmap", "counted")
    events = [json.loads(line) for line in cluster.audit_log.read_text().splitlines()]
    creations = [
        event["user"]["username"]
        for event in events
        if event["verb"] == "create" and event["objectRef"].get("name") == "counted"
    ]
    assert creations == ["admin"]


def test_a_restarted_api_server_keeps_its_objects(control_planes: tuple[Cluster, Cluster]) -> None:
    cluster = control_planes[1]
    cluster.kubectl("create", "configmap", "kept")
    before = cluster.daemons
    cluster.restart("kube-apiserver")
    assert cluster.daemons["kube-apiserver"] != before["kube-apiserver"]
    assert cluster.daemons["etcd"] == before["etcd"]
    assert "kept" in cluster.kubectl("get", "configmaps")


def test_a_control_plane_that_was_killed_is_started_anew(control_planes: tuple[Cluster, Cluster]) -> None:
    killed = control_planes[1]
    killed.kubectl("create", "namespace", "lost")
    processes.kill(killed.directory)
    with pytest.raises(ClusterError, match="is not up"):
        Cluster.find(killed.name)
    again = Cluster.up(killed.name, "control-plane", say=silent)
    assert "lost" not in again.kubectl("get", "namespaces")


def test_down_leaves_nothing_of_what_was_killed(control_planes: tuple[Cluster, Cluster]) -> None:
    processes.kill(control_planes[1].directory)
    assert remove(control_planes[1].name)
    assert traces(control_planes[1].name) == []


def test_down_without_a_cluster_does_nothing() -> None:
    assert remove("tool-never-started") is False


@pytest.fixture(scope="module")
def node() -> Iterator[Cluster]:
    if lacks := machine.lacks():
        pytest.skip(f"a node cannot run here; it lacks {'; '.join(lacks)}")
    with eventually_gone("tool-node"):
        yield Cluster.up("tool-node", "node", say=silent)


def test_a_pod_reaches_its_volume_the_api_and_a_server_on_the_host_but_nothing_outside(node: Cluster) -> None:
    folder = node.make_volume("shared")
    (folder / "question").write_text("who?")
    with server_on_host(b"the host") as port, node.pods_to_host(port) as address:
        run_program(node, PROGRAM.format(address=address))
    answers = json.loads((folder / "answers").read_text())
    assert answers == {
        "question": "who?",
        "user": 12345,
        "host": "the host",
        "api": 200,
        "outside": "Network is unreachable",
    }


def test_an_image_is_loaded_once(node: Cluster) -> None:
    reference = node.load_base_image(silent)
    with_image = node.daemons
    assert node.load_base_image(silent) == reference
    assert node.daemons == with_image


def test_a_forward_ends_with_its_block(node: Cluster) -> None:
    with node.host_to_pods(6443, "10.243.0.1") as port:
        assert is_listening(port)
    until("the port is closed", lambda: not is_listening(port), seconds=5)


def test_a_daemon_that_dies_is_started_again(node: Cluster) -> None:
    before = node.daemons["kube-scheduler"]
    node.restart("kube-scheduler")
    assert node.daemons["kube-scheduler"] != before


def test_when_the_outermost_process_is_killed_everything_else_goes_with_it(node: Cluster) -> None:
    os.kill(node.daemons["supervisor"], signal.SIGKILL)
    until("no process is left", lambda: not processes.running(node.directory), seconds=10)


PROGRAM = """
import json, os, pathlib, socket, ssl, urllib.request
account = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount")
trusted = ssl.create_default_context(cafile=str(account / "ca.crt"))
token = (account / "token").read_text()
api = urllib.request.Request("https://kubernetes.default.svc/version", headers={{"Authorization": "Bearer " + token}})
try:
    outside = str(socket.create_connection(("192.0.2.1", 80), 5))
except OSError as error:
    outside = error.strerror
pathlib.Path("/data/answers").write_text(json.dumps({{
    "question": pathlib.Path("/data/question").read_text(),
    "user": os.getuid(),
    "host": urllib.request.urlopen("http://{address}").read().decode(),
    "api": urllib.request.urlopen(api, context=trusted).status,
    "outside": outside,
}}))
"""


@contextmanager
def server_on_host(answer: bytes) -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def run_program(cluster: Cluster, program: str) -> None:
    """Run a Python program in a pod, as some user without any right, with the volume `shared` at /data."""
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "shared"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    container = {
        "name": "program",
        "image": cluster.load_base_image(silent),
        "command": ["python3", "-c", program],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "program"},
        "spec": {
            "restartPolicy": "Never",
            "securityContext": {"runAsUser": 12345},
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "shared"}}],
            "containers": [container],
        },
    }
    objects = {"apiVersion": "v1", "kind": "List", "items": [claim, pod]}
    cluster.kubectl("apply", "--filename=-", input=json.dumps(objects))
    ended = ("Succeeded", "Failed")
    phase = ("get", "pod", "program", "--output=jsonpath={.status.phase}")
    until("the pod has ended", lambda: cluster.kubectl(*phase) in ended, seconds=60, pause=0.3)
    assert cluster.kubectl(*phase) == "Succeeded", cluster.kubectl("logs", "program")
