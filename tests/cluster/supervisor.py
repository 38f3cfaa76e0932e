"""The first process inside a node's namespaces: prepares mounts and network, then keeps the daemons running.

As process 1 it takes every process of the node with it when it ends, and collects orphans. It never touches the world
outside but through files in the cluster's folder and the one network descriptor that it hands to the forwarder.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import cgroups, controlplane, nodefiles, processes
from .nodefiles import HOST_NETWORK, Node
from .paths import REPOSITORY
from .processes import Daemon

_FIXED_PLACES = ("/var/lib/cni", "/var/lib/kubelet")  # libcni's cache, the kubelet's device plugins: not configurable
_SYSTEM = Path("/proc/sys/net")


@dataclass(frozen=True)
class Step:
    """A daemon, and what must hold before it is started: nothing dies for want of another, no client backs off."""

    daemon: Daemon
    when: Callable[[], bool] = lambda: True
    pass_fds: tuple[int, ...] = ()


def main(directory: Path) -> None:
    """Run the node in `directory`. Never returns."""
    node = Node.load(directory)
    cgroups.enter(node.group)
    prepare_mounts(directory)
    prepare_network()
    keep_running(directory, steps(node))


def run(*command: str) -> None:
    """Run a command that must succeed; it is shown in the log."""
    print("+", *command, flush=True)
    subprocess.run(command, check=True)


def prepare_mounts(directory: Path) -> None:
    """Give the node its own /run, /var/log, /sys and other fixed places; the propagation is private already."""
    run("mount", "-t", "tmpfs", "-o", "mode=755,size=256m", "tmpfs", "/run")
    for folder in ("/run/lock", "/run/netns"):
        Path(folder).mkdir()
    run("mount", "--bind", str(directory / "var-log"), "/var/log")
    names = Path("/etc/resolv.conf").resolve()  # often a link into /run, which is empty now
    names.parent.mkdir(parents=True, exist_ok=True)
    if not names.exists():
        names.touch()
    run("mount", "--bind", str(directory / "resolv.conf"), str(names))
    for place in _FIXED_PLACES:
        Path(place).mkdir(parents=True, exist_ok=True)
        run("mount", "-t", "tmpfs", "tmpfs", place)
    # /sys/class/net shows the network of whoever mounted /sys: a fresh one, with the control groups moved over.
    Path("/run/cgroup").mkdir()
    run("mount", "--rbind", "/sys/fs/cgroup", "/run/cgroup")
    run("mount", "-t", "sysfs", "sysfs", "/sys")
    run("mount", "--move", "/run/cgroup", "/sys/fs/cgroup")


def prepare_network() -> None:
    """A bridge with the node's addresses and no way out: what pods send elsewhere is answered "unreachable" at once."""
    run("hostname", nodefiles.NAME)
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "node0", "type", "bridge")
    run("ip", "link", "set", "node0", "up")
    run("ip", "address", "add", f"{nodefiles.ADDRESS}/24", "dev", "node0")
    run("ip", "address", "add", f"{nodefiles.DNS_ADDRESS}/32", "dev", "node0")
    # A route for Service addresses: without one, connecting to them fails before kube-proxy's rules see it.
    run("ip", "route", "add", controlplane.SERVICE_RANGE, "dev", "node0")
    settings = {"ipv4/ip_forward": 1, "ipv4/conf/all/route_localnet": 1, "ipv4/icmp_ratelimit": 0}
    for name, value in settings.items():
        (_SYSTEM / name).write_text(str(value))
    bridged = _SYSTEM / "bridge/bridge-nf-call-iptables"
    if bridged.exists():  # only where the module br_netfilter is there; needed for a pod that reaches itself by Service
        bridged.write_text("1")


def steps(node: Node) -> list[Step]:
    """The daemons in the order of their start."""
    plane, folder = node.plane, node.directory
    config = plane.component_kubeconfig("controller-manager")

    def program(name: str) -> str:
        return str(node.binaries[name])

    scheduler = (
        program("kube-scheduler"),
        f"--kubeconfig={plane.component_kubeconfig('scheduler')}",
        "--leader-elect=false",
        "--authentication-skip-lookup",
        "--bind-address=127.0.0.1",
    )
    kubelet = (
        program("kubelet"),
        f"--config={folder}/kubelet.json",
        f"--kubeconfig={plane.component_kubeconfig('kubelet')}",
        f"--hostname-override={nodefiles.NAME}",
        f"--node-ip={nodefiles.ADDRESS}",
        f"--root-dir={folder}/kubelet",
        f"--cert-dir={folder}/kubelet/pki",
    )
    forwarder = Daemon(
        "forwarder",
        (sys.executable, "-m", "tests.cluster.forwarder", str(folder)),
        {"PYTHONPATH": str(REPOSITORY), HOST_NETWORK: os.environ[HOST_NETWORK]},
    )

    def api_answers() -> bool:
        return controlplane.api_answers(config)

    return [
        Step(forwarder, pass_fds=(int(os.environ[HOST_NETWORK]),)),
        Step(controlplane.etcd(plane)),
        Step(Daemon("containerd", ("containerd", f"--config={folder}/containerd.toml", "--log-level=warn"))),
        Step(controlplane.apiserver(plane), lambda: controlplane.etcd_is_healthy(plane)),
        Step(controlplane.controller_manager(plane), api_answers),
        Step(Daemon("kube-scheduler", scheduler), api_answers),
        Step(Daemon("kube-proxy", (program("kube-proxy"), f"--config={folder}/proxy.json")), api_answers),
        Step(Daemon("coredns", (program("coredns"), "-conf", f"{folder}/Corefile")), api_answers),
        Step(Daemon("kubelet", kubelet), lambda: _answers(nodefiles.CONTAINERD_SOCKET)),
    ]


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(path) == 0


def keep_running(directory: Path, wanted: list[Step]) -> None:
    """Start each daemon when its turn has come, and again when it is gone, at most once a second."""
    started: dict[str, float] = {}
    while True:
        _collect_orphans()
        alive = set(processes.running(directory).values())
        for step in wanted:
            name = step.daemon.name
            if name in alive or time.monotonic() - started.get(name, -1e9) < 1 or not step.when():
                continue
            print(f"{name} {'started again' if name in started else 'started'}", flush=True)
            processes.start(directory, step.daemon, step.pass_fds)
            started[name] = time.monotonic()
        time.sleep(0.1 if len(started) < len(wanted) else 0.5)


def _collect_orphans() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


if __name__ == "__main__":
    main(Path(sys.argv[1]))
