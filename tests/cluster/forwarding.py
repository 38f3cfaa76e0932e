"""Asking a node's forwarder for a way in or out."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import nodefiles
from .paths import ClusterError


@contextmanager
def pods_to_host(control: Path, port: int) -> Iterator[str]:
    """Within the block, a server on the host's 127.0.0.1:`port` answers pods at the ``host:port`` that this gives."""
    with _forward(control, listen=("node", nodefiles.ADDRESS, 0), dial=("host", "127.0.0.1", port)) as taken:
        yield f"{nodefiles.ADDRESS}:{taken}"


@contextmanager
def host_to_pods(control: Path, port: int, host: str = nodefiles.ADDRESS, listen_port: int = 0) -> Iterator[int]:
    """Within the block, an address of the cluster answers on the host's 127.0.0.1 at the port that this gives.

    `host` is the address of a Service or pod; the default is the node's own, where `port` is a NodePort.
    `listen_port` asks for a certain port on the host; 0 takes any.
    """
    with _forward(control, listen=("host", "127.0.0.1", listen_port), dial=("node", host, port)) as taken:
        yield taken


@contextmanager
def _forward(control: Path, listen: tuple[str, str, int], dial: tuple[str, str, int]) -> Iterator[int]:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(control))
        except OSError as error:
            raise ClusterError(f"no forwarder at {control} ({error.strerror}): only a running node has one") from error
        client.sendall(json.dumps({"listen": listen, "dial": dial}).encode() + b"\n")
        answer = json.loads(client.makefile().readline())
        if "error" in answer:
            raise ClusterError(f"cannot forward {listen} to {dial}: {answer['error']}")
        yield int(answer["port"])
