"""The provider for machines with a Docker engine: kind, built from its Go module.

Untried: where this was written, no Docker engine runs. It is kept small and to what kind documents. Volumes, images and
the audit log should work as with the local provider; forwards and the restart of single daemons are not offered.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import builds, controlplane
from .builds import Say
from .paths import ClusterError

PORTS = ("api",)
BINARIES = ("kind", "kubectl", "helm")
_STORAGE_CLASS = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "local"},
    "provisioner": "kubernetes.io/no-provisioner",
    "volumeBindingMode": "WaitForFirstConsumer",
}


def engine_answers() -> bool:
    """Whether a Docker engine answers ``docker info``."""
    if not shutil.which("docker"):
        return False
    try:
        return subprocess.run(["docker", "info"], capture_output=True, timeout=15).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def configuration(directory: Path, port: int) -> dict[str, Any]:
    """kind's configuration: the API server at `port`; folders for volumes and the audit log shared with the node."""
    shared = ("volumes", "audit")
    arguments = {
        "audit-policy-file": "/audit/policy.json",
        "audit-log-path": "/audit/audit.log",
        "audit-log-maxsize": "4096",
    }
    volume = {"name": "audit", "hostPath": f"{directory}/audit", "mountPath": "/audit", "pathType": "Directory"}
    patch = {
        "kind": "ClusterConfiguration",
        "apiServer": {
            "extraArgs": [{"name": name, "value": value} for name, value in arguments.items()],
            "extraVolumes": [volume],
        },
    }
    node = {
        "role": "control-plane",
        "extraMounts": [{"hostPath": f"{directory}/{name}", "containerPath": f"{directory}/{name}"} for name in shared],
        "kubeadmConfigPatches": [json.dumps(patch)],
    }
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {"apiServerAddress": "127.0.0.1", "apiServerPort": port},
        "nodes": [node],
    }


@dataclass(frozen=True)
class Kind:
    """One kind cluster, with its kubeconfig and shared folders in `directory`."""

    directory: Path
    ports: Mapping[str, int]

    def up(self, say: Say) -> None:
        """Create the cluster and return when its node is ready."""
        builds.ensure(BINARIES, say)
        for name in ("volumes", "audit"):
            (self.directory / name).mkdir()
        (self.directory / "audit/policy.json").write_text(json.dumps(controlplane.AUDIT_POLICY))
        (self.directory / "audit.log").symlink_to("audit/audit.log")
        file = self.directory / "kind.json"
        file.write_text(json.dumps(configuration(self.directory, self.ports["api"])))
        kubeconfig = self.directory / "kubeconfig"
        self._kind("create", "cluster", f"--config={file}", f"--kubeconfig={kubeconfig}", "--wait=180s")
        kubectl = builds.ensure(["kubectl"], say)["kubectl"]
        _run([str(kubectl), f"--kubeconfig={kubeconfig}", "apply", "--filename=-"], input=json.dumps(_STORAGE_CLASS))

    def is_running(self) -> bool:
        """Whether the node's container runs."""
        command = ["docker", "inspect", "--format={{.State.Running}}", f"{self._name}-control-plane"]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip() == "true"

    def await_ready(self, say: Say) -> None:
        """Nothing to wait for: `up` returns only when everything works."""

    def restart(self, daemon: str) -> None:
        """Not with kind. Raises ClusterError."""
        raise ClusterError(f"cannot restart {daemon}: with provider kind the daemons are kind's own")

    def remove(self) -> None:
        """Delete the kind cluster; does nothing when there is none."""
        self._kind("delete", "cluster")

    def build_image(self, dockerfile: Path, tag: str, context: Path) -> None:
        """Build an image with Docker, on the Dockerfile's own bases."""
        _run(["docker", "build", f"--tag={tag}", f"--file={dockerfile}", str(context)])

    def load_image(self, tag: str) -> None:
        """Give pods an image of the Docker engine."""
        self._kind("load", "docker-image", tag)

    @property
    def _name(self) -> str:
        return f"scheduledtask-{self.directory.name}"

    def _kind(self, *arguments: str) -> None:
        _run([str(builds.ensure(["kind"], print)["kind"]), *arguments, f"--name={self._name}"])


def _run(command: Sequence[str], input: str | None = None) -> None:
    done = subprocess.run(command, input=input, capture_output=True, text=True)
    if done.returncode:
        raise ClusterError(f"{' '.join(command[:3])} failed: {done.stderr.strip()[-3000:]}")
