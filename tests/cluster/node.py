"""The size `node` of the local provider, seen from outside its namespaces."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import builds, cgroups, controlplane, forwarding, machine, nodefiles, oci, packages, processes
from .builds import Say
from .nodefiles import HOST_NETWORK, Node
from .paths import REPOSITORY, ClusterError
from .processes import Daemon
from .waiting import until

PORTS = ("api",)
BINARIES = (*controlplane.BINARIES, "kube-scheduler", "kubelet", "kube-proxy", "coredns", "helm", "pause")
_SUPERVISOR = "supervisor"
_CTR = ("ctr", "--namespace", "k8s.io")
_NAMESPACES = ("--mount", "--net", "--pid", "--uts", "--ipc")


@dataclass(frozen=True)
class LocalNode:
    """One node in `directory`, its API server forwarded to ``ports["api"]`` on the host's 127.0.0.1."""

    directory: Path
    ports: Mapping[str, int]

    def up(self, say: Say) -> None:
        """Make the namespaces, start everything inside, and return when the node takes pods."""
        if lacks := machine.lacks():
            raise ClusterError("the size node cannot run here; it lacks " + "; ".join(lacks))
        packages.ensure(packages.NODE, say)
        binaries = builds.ensure(BINARIES, say)
        node = Node(self.directory, binaries, cgroups.group_name(self.directory), self.ports["api"])
        controlplane.write_files(node.plane, nodefiles.NAME, (nodefiles.ADDRESS,))
        nodefiles.write_files(node)
        node.save()
        cgroups.create(node.group)
        _start_supervisor(self.directory)
        self.await_ready(say)

    def is_running(self) -> bool:
        """Whether the supervisor lives: it keeps everything else running."""
        return _SUPERVISOR in processes.running(self.directory).values()

    def await_ready(self, say: Say) -> None:
        """Return when the API server answers, the node is Ready, and DNS and the default service account are there."""
        node = Node.load(self.directory)
        config = node.plane.admin_kubeconfig
        self._until("the API server answers", lambda: controlplane.api_answers(config))
        say("the API server answers")
        self._until("the first objects are made", lambda: _make_base_objects(node))
        self._until("containerd answers", lambda: _succeeds(self.enter_command("ctr", "version")))
        self._load_pause(node.binaries["pause"])
        self._until("the node is Ready", lambda: _is_ready(node))
        say("the node is Ready")
        self._until(
            "the default service account is made",
            lambda: controlplane.api_answers(config, controlplane.DEFAULT_ACCOUNT),
        )
        self._until("DNS answers", lambda: _dns_answers(node))

    def restart(self, daemon: str) -> None:
        """Kill a daemon (SIGKILL, as a crash would); the supervisor starts it again. Returns when the node is ready."""
        running = set(processes.running(self.directory).values()) - {"", _SUPERVISOR}
        if daemon not in running:
            raise ClusterError(f"no daemon {daemon!r} is running: there are {', '.join(sorted(running))}")
        processes.kill(self.directory, daemon)
        self._until(f"{daemon} is back", lambda: daemon in processes.running(self.directory).values())
        self.await_ready(lambda _: None)

    @property
    def forward_socket(self) -> Path:
        """Where the forwarder takes requests, see `forwarding`."""
        return self.directory / nodefiles.FORWARD_SOCKET

    def enter_command(self, *command: str) -> list[str]:
        """The command line that runs `command` inside the node's namespaces, as root on the node."""
        return ["nsenter", "--target", str(self._first_process()), *_NAMESPACES, "--", *command]

    def images(self) -> dict[str, str]:
        """Reference to manifest digest of each image that pods can use."""
        listed = subprocess.run(self.enter_command(*_CTR, "images", "list"), capture_output=True, text=True, check=True)
        rows = [line.split() for line in listed.stdout.splitlines()[1:]]
        return {row[0]: row[2] for row in rows}

    def load_image(self, reference: str, archive: Path) -> bool:
        """Give pods the image in an OCI archive under `reference`. Returns False when that very image is there."""
        if self.images().get(reference) == oci.manifest_digest(archive):
            return False
        repository = reference.rpartition(":")[0]
        command = self.enter_command(*_CTR, "images", "import", "--base-name", repository, str(archive))
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode or reference not in self.images():
            raise ClusterError(f"containerd did not take {reference} from {archive}: {done.stderr.strip()}")
        return True

    def _load_pause(self, program: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            layer, archive = Path(folder) / "layer.tar", Path(folder) / "pause.tar"
            oci.layer_with_file(layer, program, "/pause")
            oci.write(archive, nodefiles.PAUSE_IMAGE, layer, {"Entrypoint": ["/pause"]})
            self.load_image(nodefiles.PAUSE_IMAGE, archive)

    def _first_process(self) -> int:
        """Process id, on the host, of process 1 inside: the only child of the one that made the namespaces."""
        for pid, name in processes.running(self.directory).items():
            if name == _SUPERVISOR:
                children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
                if children:
                    return int(children[0])
        raise ClusterError(f"the node in {self.directory} is not running")

    def _until(self, what: str, condition: Callable[[], bool]) -> None:
        def holds_or_ended() -> bool:
            if condition():
                return True
            if not self.is_running():
                raise ClusterError(f"the node ended:\n{processes.log_tail(self.directory, _SUPERVISOR)}")
            return False

        until(f"{what} (logs: {self.directory}/log)", holds_or_ended, seconds=120)


def _start_supervisor(directory: Path) -> None:
    network = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        command = ("unshare", *_NAMESPACES, "--fork", "--kill-child=SIGKILL", "--mount-proc", "--propagation=private",
                   sys.executable, "-m", "tests.cluster.supervisor", str(directory))  # fmt: skip
        environment = {"PYTHONPATH": str(REPOSITORY), HOST_NETWORK: str(network)}
        processes.start(directory, Daemon(_SUPERVISOR, command, environment), pass_fds=(network,))
    finally:
        os.close(network)


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


def _kubectl(node: Node, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [str(node.binaries["kubectl"]), "--kubeconfig", str(node.plane.admin_kubeconfig), *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True)


def _make_base_objects(node: Node) -> bool:
    return _kubectl(node, "apply", "--filename=-", text=nodefiles.BASE_OBJECTS).returncode == 0


def _is_ready(node: Node) -> bool:
    condition = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    return _kubectl(node, "get", "node", nodefiles.NAME, "--output", condition).stdout == "True"


def _dns_answers(node: Node) -> bool:
    with forwarding.host_to_pods(node.directory / nodefiles.FORWARD_SOCKET, 8181, host="127.0.0.1") as port:
        return controlplane.answers(urllib.request.Request(f"http://127.0.0.1:{port}/ready"))
