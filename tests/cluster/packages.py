"""The Debian packages that the size node and the image builds need, installed where that is possible."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from .builds import Say
from .paths import ClusterError, locked

_SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])

# A package and what shows that it is there: a command, or a file.
NODE = {
    "containerd": "containerd",
    "runc": "runc",
    "containernetworking-plugins": "/usr/lib/cni/bridge",
    "iptables": "iptables",
    "nftables": "nft",
    "conntrack": "conntrack",
    "iproute2": "ip",
    "util-linux": "nsenter",
    "openssl": "openssl",
}
IMAGES = {"buildah": "buildah", "mmdebstrap": "mmdebstrap", "util-linux": "unshare"}


def missing(packages: dict[str, str]) -> list[str]:
    """Names of the packages whose command or file is not there."""
    return [package for package, proof in packages.items() if not _is_there(proof)]


def _is_there(proof: str) -> bool:
    return Path(proof).exists() if proof.startswith("/") else shutil.which(proof, path=_SEARCH) is not None


def ensure(packages: dict[str, str], say: Say) -> None:
    """Install what is missing, as root on Debian and its kin; elsewhere raise ClusterError that names it."""
    lacking = missing(packages)
    if not lacking:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise ClusterError(f"missing: {', '.join(lacking)} (names of Debian packages); install them and try again")
    with locked("apt"):
        say(f"installing Debian packages: {', '.join(lacking)}")
        _apt_get("update")
        _apt_get("install", "--yes", "--no-install-recommends", *lacking)
    if still := missing(packages):
        raise ClusterError(f"apt-get installed {', '.join(still)}, yet what they should bring is not there")


def _apt_get(*arguments: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(["apt-get", "-q", *arguments], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise ClusterError(f"apt-get {' '.join(arguments)} failed: {done.stderr.strip()[-2000:]}")
