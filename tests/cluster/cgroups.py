"""A control group of its own for each node, so that pods get real limits and `down` finds every process.

Version 1 (one tree per controller) is what this was tried on. Version 2 (one tree) is written but untried.
"""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from .paths import ClusterError

MOUNTS = Path("/proc/mounts")


@dataclass(frozen=True)
class Hierarchies:
    """The mount points of the control-group trees; `version` is 1 when every controller has its own."""

    version: int
    roots: tuple[Path, ...]


def group_name(directory: Path) -> str:
    """The name of the group of the cluster in `directory`; two caches may hold clusters of the same name."""
    return f"scheduledtask-{directory.name}-{hashlib.sha256(str(directory).encode()).hexdigest()[:6]}"


def hierarchies(mounts: str) -> Hierarchies:
    """Read the control-group trees from the text of /proc/mounts. Raises ClusterError when there are none."""
    fields = [line.split() for line in mounts.splitlines()]
    first = tuple(dict.fromkeys(Path(field[1]) for field in fields if field[2] == "cgroup"))
    second = tuple(Path(field[1]) for field in fields if field[2] == "cgroup2")
    if first:
        return Hierarchies(1, first + second)
    if second:
        return Hierarchies(2, second[:1])
    raise ClusterError("no control groups are mounted below /sys/fs/cgroup: the size node cannot work here")


def present() -> Hierarchies:
    """The control-group trees of this machine."""
    return hierarchies(MOUNTS.read_text())


def _roots() -> tuple[Path, ...]:
    try:
        return present().roots
    except ClusterError:  # then there is nothing to remove either
        return ()


def create(group: str) -> None:
    """Make the group in every tree, with what the kubelet wants to find in it."""
    trees = present()
    for root in trees.roots:
        if trees.version == 2:
            _delegate(root)
        for folder in (root / group, root / group / "daemons"):
            folder.mkdir(exist_ok=True)
            for name in ("cpuset.cpus", "cpuset.mems"):
                file = folder / name
                if trees.version == 1 and file.exists() and not file.read_text().strip():
                    file.write_text((folder.parent / name).read_text())
        if trees.version == 2:
            _delegate(root / group)


def _delegate(folder: Path) -> None:
    controllers = (folder / "cgroup.controllers").read_text().split()
    wanted = [name for name in ("cpu", "cpuset", "memory", "pids", "io") if name in controllers]
    (folder / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in wanted))


def enter(group: str) -> None:
    """Move this process, and so its later children, into the part of the group that holds the daemons."""
    for root in present().roots:
        (root / group / "daemons" / "cgroup.procs").write_text(str(os.getpid()))


def remove(group: str, seconds: float = 20) -> None:
    """Kill what is left in the group, and remove it from every tree. Raises ClusterError if it stays."""
    deadline = time.monotonic() + seconds
    tops = [root / group for root in _roots() if (root / group).exists()]
    while tops:
        for top in tops:
            for file in top.rglob("cgroup.procs"):
                _kill_all(file)
        for top in tops:
            _remove_tree(top)
        tops = [top for top in tops if top.exists()]
        if tops and time.monotonic() > deadline:
            raise ClusterError(
                f"control group {tops[0]} is still in use {seconds:.0f} s after its processes were killed"
            )
        time.sleep(0.02 if tops else 0)


def _kill_all(file: Path) -> None:
    try:
        pids = file.read_text().split()
    except OSError:
        return
    for pid in pids:
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            continue


def _remove_tree(top: Path) -> None:
    for folder, _, _ in os.walk(top, topdown=False):
        try:
            Path(folder).rmdir()
        except OSError as error:  # a process in it is not quite gone: the next round takes it
            if error.errno not in (errno.EBUSY, errno.ENOENT, errno.ENOTEMPTY):
                raise
