"""A cluster as tests and the demo use it."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from . import (
    bases,
    builds,
    cgroups,
    forwarding,
    images,
    kind,
    local,
    node,
    nodefiles,
    paths,
    ports,
    processes,
    providers,
    volumes,
)
from .builds import Say
from .kind import Kind
from .local import LocalControlPlane
from .node import LocalNode
from .paths import ClusterError
from .providers import Provider, Size, Wish


@dataclass(frozen=True)
class Cluster:
    """A cluster by name: which provider made it, how large it is, and its ports on the host's 127.0.0.1."""

    name: str
    provider: Provider
    size: Size
    ports: dict[str, int]

    @classmethod
    def up(
        cls,
        name: str = "dev",
        size: Size | None = None,
        provider: Wish | None = None,
        say: Callable[[str], None] = print,
    ) -> Cluster:
        """Bring the cluster up, or return at once when it runs. What a killed run has left behind is removed first.

        `size` defaults to that of a running cluster, else to control-plane. `provider` goes before
        $SCHEDULEDTASK_CLUSTER_PROVIDER; without either, see `providers.choose`.

        Raises ClusterError with the mend when the cluster runs in another size, or cannot be made here.
        """
        directory = paths.cluster_directory(name)
        with paths.locked(f"cluster-{name}"):
            existing = _load(directory)
            if existing and existing.is_running():
                existing._must_be(size)
                existing._runner.await_ready(lambda _: None)
                say(f"cluster {name} ({existing.size}, {existing.provider}) is already up")
                return existing
            if directory.exists():
                say(f"removing what is left of an earlier cluster {name}")
                _remove(directory)
            wanted = size or "control-plane"
            chosen, why = providers.choose(provider, os.environ, wanted, kind.engine_answers)
            say(f"cluster {name}: size {wanted}, provider {chosen} ({why})")
            cluster = _create(name, chosen, wanted)
            try:
                cluster._runner.up(say)
            except BaseException:
                processes.kill(directory)
                if not (directory / "log").exists():
                    _remove(directory)
                raise  # logs stay to be read; the next up or down takes them away
            say(f"cluster {name} ({cluster.size}, {cluster.provider}) is up: export KUBECONFIG={cluster.kubeconfig}")
            return cluster

    @classmethod
    def find(cls, name: str = "dev") -> Cluster:
        """The running cluster of that name. Raises ClusterError when it isn't up."""
        cluster = _load(paths.cluster_directory(name))
        if cluster is None or not cluster.is_running():
            raise ClusterError(f"cluster {name} is not up: start it with `python -m tests.cluster up --name {name}`")
        return cluster

    @property
    def directory(self) -> Path:
        """The folder that holds everything of this cluster; gone after `down`."""
        return paths.cluster_directory(self.name)

    @property
    def kubeconfig(self) -> Path:
        """An administrator's kubeconfig."""
        return self.directory / "kubeconfig"

    @property
    def audit_log(self) -> Path:
        """The API server's audit log: one JSON event a line, level Metadata, of every request of every user."""
        return self.directory / "audit.log"

    @property
    def daemons(self) -> dict[str, int]:
        """Name to process id of what runs for this cluster."""
        return {name: pid for pid, name in processes.running(self.directory).items() if name}

    def log(self, daemon: str) -> Path:
        """The log file of one of the daemons."""
        return processes.log_file(self.directory, daemon)

    def is_running(self) -> bool:
        """Whether the cluster lives: its daemons, or what keeps them running."""
        return self._runner.is_running()

    def restart(self, daemon: str) -> None:
        """Kill a daemon of the local provider as a crash would, start it again, and return when it works."""
        self._runner.restart(daemon)

    def kubectl(self, *arguments: str, input: str | None = None, check: bool = True) -> str:
        """Run kubectl as administrator; returns its standard output.

        Raises ClusterError with kubectl's own words when it fails and `check` is on.
        """
        done = subprocess.run(
            self.kubectl_command(*arguments), input=input, capture_output=True, text=True, env=self.environment()
        )
        if check and done.returncode:
            raise ClusterError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def kubectl_command(self, *arguments: str) -> list[str]:
        """The command line that `kubectl` runs."""
        return [str(self.binary("kubectl")), *arguments]

    def environment(self) -> dict[str, str]:
        """The environment in which kubectl and Helm work on this cluster.

        kubectl's cache of resource lists is the cluster's own: an earlier one's, on the same port, would be stale.
        """
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self.directory / "kubectl-cache")}

    def binary(self, name: str) -> Path:
        """Path of a program as it was built for this cluster (kubectl, helm, …)."""
        return builds.ensure([name], print)[name]

    def build_image(
        self,
        dockerfile: Path,
        tag: str,
        context: Path = paths.REPOSITORY,
        requirements: Sequence[Path] | None = None,
        say: Say = print,
    ) -> None:
        """Build an image that `load_image` can give to pods.

        The local provider has no network for that: it takes locally made bases and the wheels of `requirements`, which
        default to the lock files that the Dockerfile copies, see `images.build`.
        """
        if isinstance(self._runner, Kind):
            self._runner.build_image(dockerfile, tag, context)
        else:
            images.build(dockerfile, tag, context, requirements, say)

    def load_image(self, tag: str, say: Say = print) -> None:
        """Give pods the image that was built as `tag`; costs nothing when they have that very image already."""
        if isinstance(self._runner, Kind):
            self._runner.load_image(tag)
            return
        image = images.find(tag)
        loaded = self._node().load_image(image.reference, image.archive)
        say(f"image {tag} ({image.size / 1e6:.0f} MB): {'loaded into' if loaded else 'already in'} cluster {self.name}")

    def load_base_image(self, say: Say = print) -> str:
        """Give pods the base image that images are built on (Python and a shell), for pods of a test's own.

        Returns its reference, which is to be used with imagePullPolicy IfNotPresent.
        """
        self._node().load_image(bases.RUNTIME.reference, bases.ensure(bases.RUNTIME, say))
        return bases.RUNTIME.reference

    def make_volume(self, name: str, size: str = "1Gi") -> Path:
        """Make a PersistentVolume of the storage class `local` that pods of any user can write.

        Returns its folder on the host, which a test can fill and read. A volume that a deleted claim has left is given
        free again, with its files.
        """
        if not isinstance(self._runner, Kind):
            self._node()
        return volumes.make(self.directory, self.kubectl, name, size)

    def pods_to_host(self, port: int) -> AbstractContextManager[str]:
        """Within the block, a server on the host's 127.0.0.1:`port` answers pods at the ``host:port`` that is given."""
        return forwarding.pods_to_host(self._node().forward_socket, port)

    def host_to_pods(self, port: int, host: str | None = None, listen_port: int = 0) -> AbstractContextManager[int]:
        """Within the block, a NodePort (or a Service's or pod's `host` and port) answers on the host's 127.0.0.1.

        Gives the port on the host: `listen_port`, or any that is free.
        """
        return forwarding.host_to_pods(self._node().forward_socket, port, host or nodefiles.ADDRESS, listen_port)

    def enter_command(self, *command: str) -> list[str]:
        """The command line that runs `command` inside the node's namespaces."""
        return self._node().enter_command(*command)

    def down(self) -> None:
        """Remove the cluster with everything it has made. Does nothing when there is none."""
        with paths.locked(f"cluster-{self.name}"):
            _remove(self.directory)

    @property
    def _runner(self) -> LocalControlPlane | LocalNode | Kind:
        return _runner_type(self.provider, self.size)(self.directory, self.ports)

    def _node(self) -> LocalNode:
        runner = self._runner
        if not isinstance(runner, LocalNode):
            has = f"cluster {self.name} has size {self.size} and provider {self.provider}"
            raise ClusterError(f"{has}: only a node of the provider local can do this")
        return runner

    def _must_be(self, size: Size | None) -> None:
        if size and size != self.size:
            raise ClusterError(
                f"cluster {self.name} is up with size {self.size}, not {size}: "
                f"take another --name, or `down --name {self.name}` first"
            )


def _runner_type(provider: Provider, size: Size) -> type[LocalControlPlane] | type[LocalNode] | type[Kind]:
    if provider == "kind":
        return Kind
    return LocalNode if size == "node" else LocalControlPlane


def remove(name: str) -> bool:
    """Remove the cluster called `name`, or whatever is left of it. Returns whether there was anything."""
    directory = paths.cluster_directory(name)
    with paths.locked(f"cluster-{name}"):
        existed = directory.exists()
        _remove(directory)
    return existed


def every() -> list[Cluster]:
    """All clusters that have been started and not taken down."""
    found = (_load(paths.cluster_directory(name)) for name in paths.cluster_names())
    return [cluster for cluster in found if cluster]


def _create(name: str, provider: Provider, size: Size) -> Cluster:
    """Choose ports and write the cluster down, before anything of it is started."""
    with paths.locked("ports"):
        taken = [port for other in every() for port in other.ports.values()]
        names = {Kind: kind.PORTS, LocalNode: node.PORTS, LocalControlPlane: local.PORTS}[_runner_type(provider, size)]
        cluster = Cluster(name, provider, size, ports.choose(names, taken))
        cluster.directory.mkdir(parents=True)
        (cluster.directory / "cluster.json").write_text(json.dumps(dataclasses.asdict(cluster)))
    return cluster


def _load(directory: Path) -> Cluster | None:
    try:
        return Cluster(**json.loads((directory / "cluster.json").read_text()))
    except (OSError, ValueError, TypeError):  # none, or half a one: whoever wrote it was killed
        return None


def _remove(directory: Path) -> None:
    cluster = _load(directory)
    if cluster and isinstance(cluster._runner, Kind):
        cluster._runner.remove()
    processes.kill(directory)
    cgroups.remove(cgroups.group_name(directory))
    if directory.exists():
        shutil.rmtree(directory)
