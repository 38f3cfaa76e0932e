"""Where the cluster tool keeps things: everything lies in one cache folder outside the repository.

``bin/``, ``go/``, ``images/``, ``wheels/`` and ``buildah/`` hold what is built once and shared; ``clusters/<name>/``
holds one cluster, and nothing of a cluster lies anywhere else.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

SOURCES = Path(__file__).parent / "build"
REPOSITORY = Path(__file__).parents[2]

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


class ClusterError(Exception):
    """Something the user can mend; the message says what and how. The command line shows it without a traceback."""


def cache() -> Path:
    """``$SCHEDULEDTASK_CACHE``, else ``$XDG_CACHE_HOME/scheduledtask``, else ``~/.cache/scheduledtask``."""
    if own := os.environ.get("SCHEDULEDTASK_CACHE"):
        return Path(own).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "scheduledtask"


def cluster_directory(name: str) -> Path:
    """The folder of the cluster called `name`.

    Raises ClusterError for a name that could not also name a folder, a control group and a host.
    """
    if not _NAME.fullmatch(name):
        raise ClusterError(f"cluster name {name!r}: use 1 to 32 lower-case letters, digits and inner dashes")
    return cache() / "clusters" / name


def cluster_names() -> list[str]:
    """Names of all clusters that have a folder, running or left behind."""
    base = cache() / "clusters"
    return sorted(entry.name for entry in base.iterdir() if entry.is_dir()) if base.is_dir() else []


@contextlib.contextmanager
def locked(what: str) -> Iterator[None]:
    """Hold the machine-wide lock `what`; it goes with the process, however that ends."""
    folder = cache() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / what).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
