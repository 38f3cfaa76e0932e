"""The configuration files of a node's daemons.

Everything that Kubernetes would keep in a fixed place on a machine lies in the cluster's folder instead; what insists
on a fixed place is mounted over, see `supervisor`.
"""

from __future__ import annotations

import json
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .controlplane import ControlPlane

NAME = "node1"
ADDRESS = "10.243.0.1"
DNS_ADDRESS = "10.243.0.10"
POD_RANGE = "10.244.0.0/24"
POD_GATEWAY = "10.244.0.1"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
PAUSE_IMAGE = "localhost/pause:1"
FORWARD_SOCKET = "forward.sock"  # in the cluster's folder; see `forwarding`
# In the environment: the descriptor of the host's network namespace, handed down to the forwarder.
HOST_NETWORK = "SCHEDULEDTASK_CLUSTER_HOST_NETWORK"

BASE_OBJECTS = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: system:coredns}
rules:
- {apiGroups: [""], resources: [endpoints, services, pods, namespaces], verbs: [list, watch]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: system:coredns}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: system:coredns}
subjects: [{kind: User, name: system:coredns, apiGroup: rbac.authorization.k8s.io}]
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: local, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
"""


@dataclass(frozen=True)
class Node:
    """One node: its folder, its programs, its control group and the API server's port on the host's 127.0.0.1."""

    directory: Path
    binaries: Mapping[str, Path]
    group: str
    host_port: int

    @property
    def plane(self) -> ControlPlane:
        """The node's control plane; in a network of its own it can have the usual ports."""
        return ControlPlane(
            self.directory,
            self.binaries,
            etcd_port=2379,
            api_port=6443,
            host_port=self.host_port,
            advertise_address=ADDRESS,
        )

    def save(self) -> None:
        """Write the node down for the supervisor, which starts with nothing but the folder."""
        content = {"binaries": {name: str(path) for name, path in self.binaries.items()}, "host_port": self.host_port}
        (self.directory / "node.json").write_text(json.dumps({**content, "group": self.group}))

    @classmethod
    def load(cls, directory: Path) -> Node:
        """Read what `save` wrote."""
        content = json.loads((directory / "node.json").read_text())
        binaries = {name: Path(path) for name, path in content["binaries"].items()}
        return cls(directory, binaries, content["group"], content["host_port"])


def write_files(node: Node) -> None:
    """Write every file below the node's folder."""
    folder = node.directory
    for name in ("containerd", "kubelet", "pod-logs", "var-log", "log", "volumes", "cni", "certs.d/_default"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "resolv.conf").write_text("# nothing outside the cluster has a name\n")
    (folder / "containerd.toml").write_text(containerd(folder))
    # No registry is ever asked: every pull goes to a closed port of the loopback interface, and fails at once.
    (folder / "certs.d/_default/hosts.toml").write_text(
        'server = "http://127.0.0.1:1"\n[host."http://127.0.0.1:1"]\n  capabilities = ["pull", "resolve"]\n'
    )
    (folder / "cni/10-bridge.conflist").write_text(json.dumps(pod_network()))
    (folder / "kubelet.json").write_text(json.dumps(kubelet(node)))
    (folder / "proxy.json").write_text(json.dumps(proxy(node)))
    (folder / "Corefile").write_text(corefile(node))


def containerd(folder: Path) -> str:
    """containerd's configuration: nothing outside the folder but its sockets below /run."""
    unused = ["snapshotter.v1.btrfs", "snapshotter.v1.zfs", "snapshotter.v1.aufs", "snapshotter.v1.devmapper",
              "internal.v1.opt", "tracing.processor.v1.otlp", "internal.v1.tracing"]  # fmt: skip
    return f"""version = 2
root = "{folder}/containerd"
state = "/run/containerd"
oom_score = 0
disabled_plugins = {json.dumps([f"io.containerd.{name}" for name in unused])}
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{folder}/certs.d"
"""


def pod_network() -> dict[str, Any]:
    """The CNI chain: pods on one bridge that leads nowhere else."""
    addresses = {
        "type": "host-local",
        "dataDir": "/run/cni-addresses",
        "ranges": [[{"subnet": POD_RANGE, "gateway": POD_GATEWAY}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": addresses,
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, ports]}


def kubelet(node: Node) -> dict[str, Any]:
    """The kubelet's configuration."""
    keys = node.directory / "pki"
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(keys / "ca.crt")},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "tlsCertFile": str(keys / "kubelet.crt"),
        "tlsPrivateKeyFile": str(keys / "kubelet.key"),
        "failCgroupV1": False,  # it would refuse to start on version 1
        "failSwapOn": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.group}",
        "oomScoreAdj": 0,  # lowering it needs more than root in a container has
        "maxOpenFiles": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "podLogsDir": str(node.directory / "pod-logs"),
        "resolvConf": str(node.directory / "resolv.conf"),
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": "cluster.local",
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,  # what was loaded must stay: it can't be pulled again
        "serializeImagePulls": False,
        "makeIPTablesUtilChains": False,
        "syncFrequency": "10s",
        "volumeStatsAggPeriod": "10s",
        "fileCheckFrequency": "0s",
        "httpCheckFrequency": "0s",
        "nodeStatusUpdateFrequency": "5s",
    }


def proxy(node: Node) -> dict[str, Any]:
    """kube-proxy's configuration: nftables, and no conntrack settings, which belong to the whole machine."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(node.plane.component_kubeconfig("proxy"))},
        "hostnameOverride": NAME,
        "clusterCIDR": POD_RANGE,
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "nftables": {"minSyncPeriod": "0s", "syncPeriod": "30s"},
        "nodePortAddresses": [f"{ADDRESS}/32"],
    }


def corefile(node: Node) -> str:
    """CoreDNS's configuration: the cluster's zones, and "no such name" at once for everything else."""
    return f"""cluster.local:53 in-addr.arpa:53 ip6.arpa:53 {{
    bind {DNS_ADDRESS}
    errors
    health 127.0.0.1:8081
    ready 127.0.0.1:8181
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {node.plane.component_kubeconfig("dns")} context
        pods insecure
        ttl 5
    }}
    cache 5
}}
.:53 {{
    bind {DNS_ADDRESS}
    errors
    template ANY ANY . {{
        rcode NXDOMAIN
    }}
}}
"""
