"""An administrator's HTTP client of a cluster: for what kubectl can't send, and for many requests in little time.

A kubectl costs the machine 60 ms of CPU, a request over a kept connection 0.6 ms: who polls with the first slows down
all others.
"""

import atexit
import base64
import ssl
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.cluster import Cluster

MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}


def administrator(cluster: Cluster) -> httpx.Client:
    """The client of a cluster, made once. Threads may share it."""
    return _client(cluster.kubeconfig.read_text())


@cache
def _client(kubeconfig: str) -> httpx.Client:
    config = yaml.safe_load(kubeconfig)
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    trusted = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    headers = {}
    if "token" in user:
        headers["Authorization"] = f"Bearer {user['token']}"
    else:
        _present_certificate(trusted, user)
    client = httpx.Client(base_url=cluster["server"], headers=headers, verify=trusted, timeout=30, trust_env=False)
    atexit.register(client.close)
    return client


def _present_certificate(context: ssl.SSLContext, user: dict[str, Any]) -> None:
    """Show the certificate of a kubeconfig's user; OpenSSL reads one from a file only."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "user.pem"
        parts = (base64.b64decode(user[f"client-{part}-data"]) for part in ("certificate", "key"))
        file.write_bytes(b"\n".join(parts))
        context.load_cert_chain(file)
