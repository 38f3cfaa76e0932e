"""Ports on 127.0.0.1 for a cluster, chosen free and remembered while the cluster exists.

They lie below the range from which Linux takes the ports of outgoing connections (32768 and up), so that no client can
sit on one between its choice and the start of the daemon.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable

RANGE = range(20000, 28000)


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1 at `port` right now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def choose(names: Iterable[str], taken: Iterable[int], free: Callable[[int], bool] = is_free) -> dict[str, int]:
    """A free port for each name, none of them in `taken` (ports that other clusters remember)."""
    reserved = set(taken)
    candidates = (port for port in RANGE if port not in reserved and free(port))
    return {name: next(candidates) for name in names}
