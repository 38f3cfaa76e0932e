"""One system on a cluster: its image, its manifests, something on its volume, and stand-ins for its upstreams."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import install
from tests.cluster import Cluster, ClusterError
from tests.cluster.builds import Say

IMAGES = install.REPOSITORY / "job_images"
UPSTREAMS = install.REPOSITORY / "tests" / "upstreams"
DATA_POD = "data"
"""Stays, so that a user can look into the volume."""
PORT = 8080

Object = dict[str, Any]


@dataclass(frozen=True)
class Ask:
    """A run that the demo asks for, with parameters if there are any."""

    task: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StandIn:
    """A server in the cluster that speaks an upstream's wire format. `settings` and `secrets` tell the jobs of it;
    `{url}` in the settings is its address."""

    name: str
    program: str
    """A file in tests/upstreams, on the standard library alone; it takes --host and --port."""
    arguments: tuple[str, ...] = ()
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By the name of the ConfigMap, which the manifests have, keys and values."""
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By the name of the Secret."""

    @property
    def url(self) -> str:
        return f"http://{self.name}:{PORT}"


@dataclass(frozen=True)
class System:
    """What the demo knows of a system. Namespace, claim and settings have the folder's name with hyphens."""

    folder: str
    asks: tuple[tuple[Ask, ...], ...]
    """The runs to ask for: those of a round at once, and the next round when they have ended."""
    stand_ins: tuple[StandIn, ...] = ()
    material: Callable[[Path], str] | None = None
    """Writes what the volume is to hold into a folder, and says in words what that is."""
    shown: tuple[str, ...] = ()
    """Files on the volume that are shown at the end."""
    check: Callable[[Callable[[str], bytes], Path], tuple[list[str], str]] | None = None
    """Given how to read a file of the volume, and the folder of the material: what is wrong, and what was compared."""

    @property
    def name(self) -> str:
        return self.folder.replace("_", "-")

    @property
    def image(self) -> str:
        return f"scheduledtask/{self.name}:0.1.0"

    @property
    def manifests(self) -> Path:
        return install.REPOSITORY / "manifests" / "systems" / self.folder


@dataclass(frozen=True)
class Installed:
    """A system on a cluster."""

    cluster: Cluster
    system: System

    @property
    def namespace(self) -> str:
        return self.system.name

    def build_image(self, say: Say) -> None:
        """Build the jobs' image and load it into the node."""
        dockerfile = IMAGES / self.system.folder / "Dockerfile"
        self.cluster.build_image(dockerfile, self.system.image, context=IMAGES, say=say)
        self.cluster.load_image(self.system.image, say=say)

    def apply_manifests(self) -> None:
        """Apply the system's manifests, with a volume for their claim where nothing provisions volumes."""
        if self.cluster.provider == "local":
            self.cluster.make_volume(f"{self.namespace}-data", "10Gi")
        self.cluster.kubectl("apply", "-k", str(self.system.manifests))

    def fill_volume(self) -> str:
        """Put the material on the volume, and return in words what that is."""
        self._apply(
            self._pod(
                DATA_POD, ["sleep", "infinity"], {"persistentVolumeClaim": {"claimName": self.namespace}}, "/data"
            )
        )
        self._await_pod(DATA_POD)
        if self.system.material is None:
            return "the volume is empty"
        self._material.mkdir(parents=True, exist_ok=True)
        words = self.system.material(self._material)
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add(self._material, arcname=".")
        unpack = (
            "import sys, tarfile; tarfile.open(fileobj=sys.stdin.buffer, mode='r|').extractall('/data', filter='data')"
        )
        self._in_data_pod("python3", "-c", unpack, input=archive.getvalue())
        return words

    def use(self, stand_in: StandIn) -> None:
        """Run a stand-in as a pod, tell the jobs of it, and return when it answers."""
        program = UPSTREAMS / stand_in.program
        pod = self._pod(
            stand_in.name,
            [
                *("python3", f"/program/{program.name}", "--host", "0.0.0.0", "--port", str(PORT)),
                *stand_in.arguments,
            ],
            {"configMap": {"name": stand_in.name}},
            "/program",
            readinessProbe={"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        )
        service = {"selector": {"app": stand_in.name}, "ports": [{"port": PORT}]}
        everybody: Object = {"podSelector": {}}
        self._apply(
            # The system's own policies let its jobs reach real upstreams only.
            self._object(
                "NetworkPolicy",
                "stand-ins",
                version="networking.k8s.io/v1",
                spec={**everybody, "ingress": [{"from": [everybody]}], "egress": [{"to": [everybody]}]},
            ),
            self._object("ConfigMap", stand_in.name, data={program.name: program.read_text()}),
            pod,
            self._object("Service", stand_in.name, spec=service),
        )
        for secret, values in stand_in.secrets.items():
            self._apply(self._object("Secret", secret, stringData=dict(values)))
        for config_map, values in stand_in.settings.items():
            patch = {"data": {key: value.replace("{url}", stand_in.url) for key, value in values.items()}}
            self.cluster.kubectl(
                *("patch", "configmap", config_map, "-n", self.namespace, "--type=merge"),
                *("--patch", json.dumps(patch)),
            )
        self._await_pod(stand_in.name)

    def read_file(self, path: str) -> bytes:
        """A file of the volume, by its path below /data."""
        return self._in_data_pod("cat", f"/data/{path}")

    def check(self) -> str | None:
        """Compare what the jobs have made with an independent computation; what was compared, if anything.

        Raises ClusterError where it differs.
        """
        if self.system.check is None:
            return None
        wrong, compared = self.system.check(self.read_file, self._material)
        if wrong:
            raise ClusterError(f"{compared}, but for:\n" + "\n".join(wrong[:20]))
        return compared

    @property
    def _material(self) -> Path:
        return self.cluster.directory / "demo-material" / self.system.folder

    def _object(self, kind: str, name: str, version: str = "v1", **content: Any) -> Object:
        metadata = {"name": name, "namespace": self.namespace}
        return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}

    def _apply(self, *objects: Object) -> None:
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.cluster.kubectl("apply", "-f", "-", input=json.dumps(listed))

    def _await_pod(self, name: str) -> None:
        self.cluster.kubectl("wait", "pod", name, "-n", self.namespace, "--for=condition=Ready", "--timeout=90s")

    def _pod(self, name: str, command: list[str], volume: Object, path: str, **container: Any) -> Object:
        """A pod of the jobs' image that satisfies the level `restricted`."""
        spec = {
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "runAsGroup": 65532,
                "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "volumes": [{"name": "volume", **volume}],
            "containers": [
                {
                    "name": name,
                    "image": self.system.image,
                    "command": command,
                    "volumeMounts": [{"name": "volume", "mountPath": path}],
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    **container,
                }
            ],
        }
        pod = self._object("Pod", name, spec=spec)
        pod["metadata"]["labels"] = {"app": name}
        return pod

    def _in_data_pod(self, *command: str, input: bytes | None = None) -> bytes:
        done = subprocess.run(
            self.cluster.kubectl_command("exec", "-i", DATA_POD, "-n", self.namespace, "--", *command),
            input=input,
            capture_output=True,
            env=self.cluster.environment(),
        )
        if done.returncode:
            raise ClusterError(f"{command[0]} in pod {DATA_POD}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout
