"""Building the cluster's programs from Go modules, once per version, into the cache.

Each folder below ``build/`` is a Go module that pins what it builds with go.mod and go.sum (hashes, no addresses).
A build is keyed by those files, the linker flags and the Go version; it appears in the cache in one rename, so that a
build that was broken off leaves nothing.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import gotoolchain
from .gotoolchain import Go
from .paths import SOURCES, ClusterError, cache, locked

Say = Callable[[str], None]


@dataclass(frozen=True)
class Program:
    """A program, the module folder that pins it, and its package; `seconds` is what a cold build took on two cores."""

    name: str
    module: str
    package: str
    seconds: int


# In the order in which they are built: first what a control plane needs, then what a node adds.
PROGRAMS = {
    program.name: program
    for program in (
        Program("etcd", "etcd", "go.etcd.io/etcd/server/v3", 50),
        Program("kube-apiserver", "kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver", 275),
        Program("kube-controller-manager", "kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager", 105),
        Program("kubectl", "kubernetes", "k8s.io/kubernetes/cmd/kubectl", 25),
        Program("kube-scheduler", "kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler", 10),
        Program("kubelet", "kubernetes", "k8s.io/kubernetes/cmd/kubelet", 40),
        Program("kube-proxy", "kubernetes", "k8s.io/kubernetes/cmd/kube-proxy", 10),
        Program("coredns", "coredns", ".", 80),
        Program("helm", "helm", "helm.sh/helm/v3/cmd/helm", 140),
        Program("pause", "pause", ".", 2),
        Program("kind", "kind", "sigs.k8s.io/kind", 20),
        # kwok would be one line here and a go.mod in build/kwok; nothing needs it yet.
    )
}


def version(module: Path, package: str) -> str:
    """The version that a module folder's go.mod pins for `package`.

    For the folder's own package it is that of the one module which go.mod requires directly, or "local" without any.
    """
    path = package
    text = (module / "go.mod").read_text()
    if package == ".":
        direct = re.search(r"^require \S+ (v\S+)$", text, re.MULTILINE)
        return direct[1] if direct else "local"
    while "/" in path:
        if found := re.search(rf"^(?:require)?\s*{re.escape(path)} (v\S+)", text, re.MULTILINE):
            return found[1]
        path = path.rpartition("/")[0]
    raise ClusterError(f"{module}/go.mod does not require {package}")


def linker_flags(program: Program, module_version: str) -> str:
    """Strip symbols; tell Kubernetes programs their version, which they otherwise report as v0.0.0."""
    flags = "-s -w"
    if program.module == "kubernetes":
        major, minor = module_version.removeprefix("v").split(".")[:2]
        at = "-X k8s.io/component-base/version"
        flags += f" {at}.gitVersion={module_version} {at}.gitMajor={major} {at}.gitMinor={minor}"
    return flags


def key(module: Path, program: Program, go_label: str) -> str:
    """Changes with whatever could change the program: the module's files, the flags, the Go version."""
    digest = hashlib.sha256()
    for file in sorted(module.glob("*")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    digest.update(linker_flags(program, version(module, program.package)).encode())
    digest.update(go_label.encode())
    return digest.hexdigest()[:12]


def target(program: Program, go: Go) -> Path:
    """Where a built program lies in the cache."""
    module = SOURCES / program.module
    pinned = version(module, program.package)
    return cache() / "bin" / f"{program.module}-{pinned}-{key(module, program, go.label)}" / program.name


def ensure(names: Iterable[str], say: Say) -> dict[str, Path]:
    """Paths of the named programs; those that the cache lacks are built first.

    One after the other: the compiler itself uses every core, and the programs share most of their packages.
    """
    wanted = [PROGRAMS[name] for name in PROGRAMS if name in set(names)]
    go = gotoolchain.find(say)
    paths = {program.name: target(program, go) for program in wanted}
    missing = [program for program in wanted if not paths[program.name].exists()]
    if missing:
        with locked("builds"):
            missing = [program for program in missing if not paths[program.name].exists()]
            if missing:
                minutes = sum(program.seconds for program in missing) / 60
                say(
                    f"building {len(missing)} programs with {go.label}, once: about {minutes:.0f} min cold on two cores"
                )
            for number, program in enumerate(missing, 1):
                _build(program, go, paths[program.name], f"[{number}/{len(missing)}]", say)
    return paths


def _build(program: Program, go: Go, path: Path, position: str, say: Say) -> None:
    module = SOURCES / program.module
    pinned = version(module, program.package)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")  # one at a time, under the lock
    # The same flags for everything, so that packages compiled for one program serve the next from Go's own cache.
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    command = [
        str(go.command),
        "build",
        "-ldflags",
        linker_flags(program, pinned),
        "-o",
        str(unfinished),
        program.package,
    ]
    started = time.monotonic()
    try:
        with _progress(f"{position} {program.name} {pinned}", say):
            done = subprocess.run(command, cwd=module, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise ClusterError(f"go build {program.package} failed:\n{done.stderr.strip()[-4000:]}")
        unfinished.rename(path)
    finally:
        unfinished.unlink(missing_ok=True)
    say(f"{position} {program.name} {pinned}: built in {time.monotonic() - started:.0f} s")


@contextmanager
def _progress(what: str, say: Say) -> Iterator[None]:
    """Say every half minute that `what` is still being built."""
    over = threading.Event()

    def tell() -> None:
        started = time.monotonic()
        while not over.wait(30):
            say(f"{what}: building for {time.monotonic() - started:.0f} s")

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()
