"""The command line of the cluster tool."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from . import bases, builds, controlplane, images, node, packages, paths
from . import cluster as clusters
from .cluster import Cluster
from .paths import ClusterError

_ABOUT = """\
Real Kubernetes clusters for the tests and the demo, several side by side.

  control-plane  etcd, kube-apiserver and kube-controller-manager: up in seconds, no root, no pods are run
  node           plus scheduler, kubelet, containerd, kube-proxy and DNS in namespaces of their own: pods run for real

The programs are built from Go modules at the first start, which takes minutes, and kept in ~/.cache/scheduledtask."""

_EXAMPLES = """\
examples:
  python -m tests.cluster up                                   # a control plane called dev
  python -m tests.cluster up --name e2e --size node            # a whole node, side by side with it
  export KUBECONFIG=$(python -m tests.cluster kubeconfig)
  python -m tests.cluster kubectl -- get pods --all-namespaces
  python -m tests.cluster logs kube-apiserver
  python -m tests.cluster down --all                           # nothing stays"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Errors that the user can mend are one message, not a traceback."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m tests.cluster",
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    named = argparse.ArgumentParser(add_help=False)
    named.add_argument("--name", default="dev", help="which cluster (default: dev)")

    up = commands.add_parser("up", parents=[named], help="start a cluster, or do nothing if it is up")
    up.add_argument("--size", choices=["control-plane", "node"], help="default: control-plane, or what is up")
    up.add_argument(
        "--provider",
        choices=["auto", "kind", "local"],
        help="kind needs a Docker engine, local needs none (default: $SCHEDULEDTASK_CLUSTER_PROVIDER, else auto: "
        "kind for a node where a Docker engine answers, local otherwise)",
    )
    up.set_defaults(run=_up)

    down = commands.add_parser("down", parents=[named], help="remove a cluster and everything it has made")
    down.add_argument("--all", action="store_true", help="every cluster, whatever its name")
    down.set_defaults(run=_down)

    status = commands.add_parser("status", help="list the clusters with their daemons, ports and folders")
    status.set_defaults(run=_status)

    kubeconfig = commands.add_parser("kubeconfig", parents=[named], help="print the path of the kubeconfig")
    kubeconfig.set_defaults(run=lambda options: print(Cluster.find(options.name).kubeconfig))

    kubectl = commands.add_parser("kubectl", parents=[named], help="run kubectl as administrator: kubectl -- get pods")
    kubectl.add_argument("arguments", nargs=argparse.REMAINDER, metavar="-- ARGUMENT…")
    kubectl.set_defaults(run=_kubectl)

    logs = commands.add_parser("logs", parents=[named], help="show the logs of the cluster's daemons")
    logs.add_argument("daemon", nargs="?", help="one daemon (default: the end of each)")
    logs.add_argument("-f", "--follow", action="store_true", help="go on as the log grows")
    logs.set_defaults(run=_logs)

    enter = commands.add_parser(
        "exec", parents=[named], help="run a command inside the node's namespaces: exec -- ip route"
    )
    enter.add_argument("arguments", nargs=argparse.REMAINDER, metavar="-- COMMAND…")
    enter.set_defaults(run=_exec)

    build = commands.add_parser("build", help="build what a size needs without starting anything (up does it as well)")
    build.add_argument("--size", choices=["control-plane", "node"], default="node", help="default: node")
    build.set_defaults(run=_build)

    build_image = commands.add_parser(
        "build-image",
        help="build an image from a Dockerfile, without a network",
        description="The Dockerfile gets ARG BASE_IMAGE (Python, no pip) and ARG BUILD_IMAGE (Python with pip), "
        "both made on this machine, and the wheels of the lock files that it copies.",
    )
    build_image.add_argument("--tag", required=True, help="name:version, as manifests call it")
    build_image.add_argument("--file", type=Path, required=True, metavar="DOCKERFILE")
    build_image.add_argument(
        "--requirements",
        type=Path,
        action="append",
        help="a lock file to fetch the wheels of, instead (may be repeated)",
    )
    build_image.add_argument("context", type=Path, nargs="?", default=paths.REPOSITORY, help="default: the repository")
    build_image.set_defaults(run=_build_image)

    load_image = commands.add_parser("load-image", parents=[named], help="give pods images that build-image has built")
    load_image.add_argument("tags", nargs="+", metavar="TAG")
    load_image.set_defaults(run=_load_image)

    volume = commands.add_parser("volume", parents=[named], help="make a PersistentVolume; prints its folder")
    volume.add_argument("volume", metavar="VOLUME")
    volume.add_argument("--capacity", default="1Gi", help="default: 1Gi")
    volume.set_defaults(run=_volume)

    forward = commands.add_parser(
        "forward",
        parents=[named],
        help="connect the host's 127.0.0.1 and the cluster's network until interrupted",
        description="The node has no other way out or in. Prints the address at which the target answers.",
    )
    direction = forward.add_mutually_exclusive_group(required=True)
    direction.add_argument(
        "--to-host", type=int, metavar="PORT", help="let pods reach a server on the host's 127.0.0.1"
    )
    direction.add_argument(
        "--to-node", metavar="[HOST:]PORT", help="let the host reach a NodePort, or a Service or pod"
    )
    forward.add_argument("--port", type=int, default=0, help="with --to-node: the port on the host (default: any free)")
    forward.set_defaults(run=_forward)

    restart = commands.add_parser("restart", parents=[named], help="kill a daemon as a crash would and start it again")
    restart.add_argument("daemon")
    restart.set_defaults(run=lambda options: Cluster.find(options.name).restart(options.daemon))
    return parser


def _up(options: argparse.Namespace) -> None:
    Cluster.up(options.name, options.size, options.provider, _stopwatch())


def _stopwatch() -> builds.Say:
    started = time.monotonic()
    return lambda text: print(f"{time.monotonic() - started:6.1f} s  {text}", flush=True)


def _down(options: argparse.Namespace) -> None:
    for name in paths.cluster_names() if options.all else [options.name]:
        started = time.monotonic()
        existed = clusters.remove(name)
        print(
            f"cluster {name}: down in {time.monotonic() - started:.1f} s"
            if existed
            else f"cluster {name}: there is none"
        )


def _status(options: argparse.Namespace) -> None:
    for cluster in clusters.every():
        state = "up" if cluster.is_running() else "broken (up or down mends it)"
        print(f"{cluster.name}: {state}, size {cluster.size}, provider {cluster.provider}, folder {cluster.directory}")
        print(f"  ports on 127.0.0.1: {', '.join(f'{name} {port}' for name, port in cluster.ports.items())}")
        for daemon, pid in sorted(cluster.daemons.items()):
            print(f"  {daemon:24} pid {pid}")


def _kubectl(options: argparse.Namespace) -> None:
    cluster = Cluster.find(options.name)
    command = cluster.kubectl_command(*_after_dashes(options.arguments))
    os.execve(command[0], command, cluster.environment())


def _after_dashes(arguments: list[str]) -> list[str]:
    return arguments[1:] if arguments[:1] == ["--"] else arguments


def _logs(options: argparse.Namespace) -> int:
    folder = paths.cluster_directory(options.name) / "log"
    files = [folder / f"{options.daemon}.log"] if options.daemon else sorted(folder.glob("*.log"))
    if not all(file.exists() for file in files) or not files:
        known = ", ".join(sorted(file.stem for file in folder.glob("*.log"))) or "none: the cluster is not up"
        raise ClusterError(f"no such log; there are: {known}")
    follow = ["-f"] if options.follow else []
    lines = "+1" if options.daemon and not options.follow else "20"
    return subprocess.run(["tail", *follow, "-n", lines, *files]).returncode


def _exec(options: argparse.Namespace) -> None:
    command = Cluster.find(options.name).enter_command(*(_after_dashes(options.arguments) or ["bash"]))
    os.execvp(command[0], command)


def _build(options: argparse.Namespace) -> None:
    say = _stopwatch()
    if options.size == "control-plane":
        builds.ensure(controlplane.BINARIES, say)
        return
    builds.ensure(node.BINARIES, say)
    if os.geteuid() == 0:
        packages.ensure(packages.NODE | packages.IMAGES, say)
        for base in (bases.BUILD, bases.RUNTIME):
            bases.ensure(base, say)
    else:
        say("not root: the base images are left out, and the size node cannot run")


def _build_image(options: argparse.Namespace) -> None:
    images.build(options.file, options.tag, options.context, options.requirements, print)


def _load_image(options: argparse.Namespace) -> None:
    cluster = Cluster.find(options.name)
    for tag in options.tags:
        cluster.load_image(tag)


def _volume(options: argparse.Namespace) -> None:
    print(Cluster.find(options.name).make_volume(options.volume, options.capacity))


def _forward(options: argparse.Namespace) -> None:
    cluster = Cluster.find(options.name)
    if options.to_host:
        with cluster.pods_to_host(options.to_host) as address:
            print(f"pods reach the host's 127.0.0.1:{options.to_host} at {address}", flush=True)
            signal.pause()
    host, _, port = options.to_node.rpartition(":")
    with cluster.host_to_pods(int(port), host or None, options.port) as taken:
        print(f"{options.to_node} answers at 127.0.0.1:{taken}", flush=True)
        signal.pause()
