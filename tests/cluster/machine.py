"""What a machine must be able to do, besides having packages, to run the size node."""

from __future__ import annotations

import os
from pathlib import Path

from .paths import cache


def lacks() -> list[str]:
    """What keeps this machine from running a node; empty when nothing does."""
    filesystems = Path("/proc/filesystems").read_text()
    return node_lacks(filesystems, filesystem_of(cache(), Path("/proc/mounts").read_text()), os.geteuid())


def node_lacks(filesystems: str, cache_filesystem: str, user: int) -> list[str]:
    """What keeps a machine from running a node, each with the mend.

    `filesystems` is the text of /proc/filesystems, `cache_filesystem` the type of what holds the cache, `user` the
    effective user id.
    """
    found = []
    if user != 0:
        found.append("root: namespaces, mounts and control groups of a node need it (run with sudo)")
    if "overlay" not in filesystems.split():
        found.append("overlay file systems in the kernel: containers' roots are made of them (modprobe overlay)")
    if cache_filesystem == "overlay":
        found.append("a cache that is no overlay itself, as in a container: put $SCHEDULEDTASK_CACHE on a volume")
    return found


def filesystem_of(path: Path, mounts: str) -> str:
    """The type of the file system that holds `path`, by the text of /proc/mounts; the last of equal mounts counts."""
    holding = [
        (len(Path(fields[1]).parts), fields[2])
        for fields in (line.split() for line in mounts.splitlines())
        if path.is_relative_to(fields[1])
    ]
    deepest = max((depth for depth, _ in holding), default=0)
    return [kind for depth, kind in holding if depth == deepest][-1] if holding else ""
