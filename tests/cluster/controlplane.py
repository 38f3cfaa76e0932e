"""etcd, kube-apiserver and kube-controller-manager: files and command lines, the same for both sizes of cluster."""

from __future__ import annotations

import base64
import json
import secrets
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import pki
from .processes import Daemon

SERVICE_RANGE = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"
NODE_PORTS = "30080-30179"
DEFAULT_ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"
BINARIES = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")

_COMPONENT_USERS = {
    "controller-manager": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "proxy": ("system:kube-proxy", ""),
    "dns": ("system:coredns", ""),
}
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


@dataclass(frozen=True)
class ControlPlane:
    """Where one control plane keeps its files and listens.

    `advertise_address` is what the Service ``kubernetes`` points at; None where no pod will ever ask for it.
    `host_port` is the port of the API server on the host's 127.0.0.1, `api_port` the one it listens on itself.
    """

    directory: Path
    binaries: Mapping[str, Path]
    etcd_port: int
    api_port: int
    host_port: int
    advertise_address: str | None = None

    @property
    def etcd(self) -> str:
        return f"http://127.0.0.1:{self.etcd_port}"

    @property
    def server(self) -> str:
        """The API server's address as the daemons next to it see it."""
        return f"https://127.0.0.1:{self.api_port}"

    @property
    def admin_kubeconfig(self) -> Path:
        return self.directory / "kubeconfig"

    def component_kubeconfig(self, component: str) -> Path:
        return self.directory / "kubeconfigs" / component


def kubeconfig(server: str, token: str, authority: bytes) -> str:
    """A kubeconfig with everything inside (JSON, which every YAML reader accepts)."""
    cluster = {"server": server, "certificate-authority-data": base64.b64encode(authority).decode()}
    context = {"cluster": "cluster", "user": "user", "namespace": "default"}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "cluster", "cluster": cluster}],
            "users": [{"name": "user", "user": {"token": token}}],
            "contexts": [{"name": "context", "context": context}],
            "current-context": "context",
        },
        indent=1,
    )


def write_files(plane: ControlPlane, node: str | None = None, node_addresses: tuple[str, ...] = ()) -> None:
    """Write certificates, tokens, kubeconfigs and the audit policy; with a `node`, also what its kubelet needs."""
    folder = plane.directory
    names = (
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    )
    addresses = ("127.0.0.1", API_SERVICE_ADDRESS, *node_addresses)
    subject_names = tuple(f"DNS:{name}" for name in names) + tuple(f"IP:{address}" for address in addresses)
    certificates = [pki.Certificate("apiserver", "/CN=kube-apiserver", "serverAuth", subject_names)]
    users = dict(_COMPONENT_USERS)
    if node:
        certificates += [
            pki.Certificate("kubelet", f"/CN={node}", "serverAuth",
                            (f"DNS:{node}", *(f"IP:{address}" for address in node_addresses))),
            pki.Certificate("kubelet-client", "/O=system:masters/CN=kube-apiserver-kubelet-client", "clientAuth"),
        ]  # fmt: skip
        users["kubelet"] = (f"system:node:{node}", "system:nodes")
    pki.make(folder / "pki", tuple(certificates))
    authority = (folder / "pki" / "ca.crt").read_bytes()

    admin_token = secrets.token_urlsafe(24)
    lines = [f"{admin_token},admin,admin,system:masters"]
    for component, (user, groups) in users.items():
        token = secrets.token_urlsafe(24)
        lines.append(f"{token},{user},{component},{groups}")
        _write_secret(plane.component_kubeconfig(component), kubeconfig(plane.server, token, authority))
    _write_secret(folder / "tokens.csv", "\n".join(lines) + "\n")
    _write_secret(plane.admin_kubeconfig, kubeconfig(f"https://127.0.0.1:{plane.host_port}", admin_token, authority))
    (folder / "audit-policy.json").write_text(json.dumps(AUDIT_POLICY))


def _write_secret(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)


def etcd(plane: ControlPlane) -> Daemon:
    """etcd without fsync: a test cluster need not survive a power cut. Its peer port is any, nobody calls it."""
    return Daemon(
        "etcd",
        (
            str(plane.binaries["etcd"]),
            "--data-dir=etcd",
            f"--listen-client-urls={plane.etcd}",
            f"--advertise-client-urls={plane.etcd}",
            "--listen-peer-urls=http://127.0.0.1:0",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ),
    )


def apiserver(plane: ControlPlane) -> Daemon:
    """kube-apiserver with RBAC, the default admission plugins (Pod Security, ServiceAccount, …) and an audit log."""
    keys = plane.directory / "pki"
    flags = {
        "etcd-servers": plane.etcd,
        "secure-port": str(plane.api_port),
        "tls-cert-file": f"{keys}/apiserver.crt",
        "tls-private-key-file": f"{keys}/apiserver.key",
        "client-ca-file": f"{keys}/ca.crt",
        "service-cluster-ip-range": SERVICE_RANGE,
        "service-node-port-range": NODE_PORTS,
        "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
        "service-account-key-file": f"{keys}/sa.key",
        "service-account-signing-key-file": f"{keys}/sa.key",
        "token-auth-file": str(plane.directory / "tokens.csv"),
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "allow-privileged": "true",
        "audit-policy-file": str(plane.directory / "audit-policy.json"),
        "audit-log-path": str(plane.directory / "audit.log"),
        "audit-log-maxsize": "4096",  # MB before it would be rotated away from a test that counts
        "profiling": "false",
    }
    if plane.advertise_address is None:
        flags |= {"bind-address": "127.0.0.1", "advertise-address": "127.0.0.1", "endpoint-reconciler-type": "none"}
    else:
        flags |= {
            "bind-address": "0.0.0.0",
            "advertise-address": plane.advertise_address,
            "kubelet-preferred-address-types": "InternalIP",
            "kubelet-certificate-authority": f"{keys}/ca.crt",
            "kubelet-client-certificate": f"{keys}/kubelet-client.crt",
            "kubelet-client-key": f"{keys}/kubelet-client.key",
        }
    return Daemon("kube-apiserver", _command(plane, "kube-apiserver", flags))


def controller_manager(plane: ControlPlane) -> Daemon:
    """kube-controller-manager as kubeadm runs it: default rates, and a service account for each controller.

    So tests measure what users get, and the audit log tells the controllers apart. The default rates are also why it
    takes four seconds to start: it makes its service accounts first.
    """
    keys = plane.directory / "pki"
    flags = {
        "kubeconfig": str(plane.component_kubeconfig("controller-manager")),
        "service-account-private-key-file": f"{keys}/sa.key",
        "root-ca-file": f"{keys}/ca.crt",
        "cluster-signing-cert-file": f"{keys}/ca.crt",
        "cluster-signing-key-file": f"{keys}/ca.key",
        "use-service-account-credentials": "true",
        "leader-elect": "false",
        "secure-port": "0",
        "node-monitor-grace-period": "20s",
    }
    return Daemon("kube-controller-manager", _command(plane, "kube-controller-manager", flags))


def _command(plane: ControlPlane, binary: str, flags: Mapping[str, str]) -> tuple[str, ...]:
    return (str(plane.binaries[binary]), *(f"--{name}={value}" for name, value in flags.items()))


def etcd_is_healthy(plane: ControlPlane) -> bool:
    """Whether etcd answers that it is healthy."""
    return answers(urllib.request.Request(f"{plane.etcd}/health"))


def api_answers(config: Path, path: str = "/readyz") -> bool:
    """Whether the API server of a kubeconfig written here answers 200 at `path`."""
    if not config.exists():
        return False
    content = json.loads(config.read_text())
    cluster = content["clusters"][0]["cluster"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    token = content["users"][0]["user"]["token"]
    request = urllib.request.Request(cluster["server"] + path, headers={"Authorization": f"Bearer {token}"})
    return answers(request, ssl.create_default_context(cadata=authority))


def answers(request: urllib.request.Request, context: ssl.SSLContext | None = None) -> bool:
    """Whether a server answers a request with 200, within two seconds and past any proxy that the machine has set."""
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if context:
        handlers.append(urllib.request.HTTPSHandler(context=context))
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
