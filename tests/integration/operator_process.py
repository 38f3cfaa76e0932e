"""The operator as a process of its own, with the rights that the chart gives it and no others."""

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import httpx
import yaml

from tests.cluster import Cluster
from tests.install import NAMESPACE, render

REPOSITORY = Path(__file__).parents[2]
RIGHTS = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
Answer = TypeVar("Answer")


def eventually(read: Callable[[], Answer], wanted: Callable[[Answer], bool], what: str, seconds: float = 60) -> Answer:
    """Read until the answer is as wanted and return it; AssertionError with the last answer after `seconds`."""
    deadline = time.monotonic() + seconds
    while not wanted(answer := read()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}; the last answer: {answer}"
        time.sleep(0.1)
    return answer


def operator_kubeconfig(
    cluster: Cluster, folder: Path, namespace: str = NAMESPACE, values: Mapping[str, Any] | None = None
) -> Path:
    """A kubeconfig of the service account that the chart makes of the values, bound to the chart's roles.

    Roles of one namespace are the same objects: other values need another namespace.
    """
    cluster.kubectl("create", "namespace", namespace, check=False)
    rendered = yaml.safe_load_all(render(values or {}, namespace))
    documents = [document for document in rendered if document and document["kind"] in RIGHTS]
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=yaml.safe_dump_all(documents))
    account = next(document for document in documents if document["kind"] == "ServiceAccount")["metadata"]["name"]
    token = cluster.kubectl("create", "token", account, "--namespace", namespace, "--duration=3h").strip()
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    path = folder / "operator.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


def user_of(kubeconfig: Path) -> str:
    """Who the API server takes the bearer of a service account token for: the token's subject."""
    return str(_claims(kubeconfig)["sub"])


def credential_of(kubeconfig: Path) -> str:
    """What the audit log calls a service account token: it tells apart those who have the same account."""
    return f"JTI={_claims(kubeconfig)['jti']}"


def _claims(kubeconfig: Path) -> dict[str, Any]:
    token = yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]["token"]
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


class OperatorProcess:
    """One operator. `start` and `stop` may be called again and again; the log goes on in the same file."""

    def __init__(self, kubeconfig: Path, log: Path, *options: str) -> None:
        self._kubeconfig = kubeconfig
        self._log = log
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    def start(self) -> None:
        """Start and wait until it is synced."""
        self._log_start = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "scheduledtask", "--listen-port=0", "--log-format=json", *self._options],
                cwd=REPOSITORY / "operator",
                env={**os.environ, "KUBECONFIG": str(self._kubeconfig)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            eventually(self._ready, bool, f"the operator is synced; its log:\n{self._log.read_text()[-4000:]}")
        except BaseException:
            # Else it would work on, beside the operators of the tests that follow.
            self.kill()
            raise

    def stop(self) -> int:
        """Ask it to end and return its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it without asking."""
        self._end(signal.SIGKILL)

    def signal(self, number: int) -> None:
        """Send it a signal and return at once."""
        os.kill(self.pid, number)

    def await_end(self) -> int:
        """Wait until it has ended and return its exit code."""
        assert self._process is not None
        return self._process.wait(timeout=30)

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def get(self, path: str) -> httpx.Response:
        """Ask its own HTTP server."""
        return httpx.get(f"http://127.0.0.1:{self._port()}{path}", timeout=5)

    def log_lines(self, message: str) -> list[dict[str, object]]:
        """The lines with this message that it logged since its last start."""
        return [line for line in self._lines() if line.get("message") == message]

    def _lines(self) -> Iterator[dict[str, object]]:
        for line in self._log.read_text()[self._log_start :].splitlines():
            if line.startswith("{"):
                yield json.loads(line)

    def _end(self, number: int) -> int:
        self.signal(number)
        return self.await_end()

    def _port(self) -> int | None:
        match = re.search(r'"port": ?(\d+)', self._log.read_text()[self._log_start :])
        return int(match[1]) if match else None

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the operator ended:\n{self._log.read_text()[-4000:]}"
        try:
            return self._port() is not None and self.get("/readyz").status_code == 200
        except httpx.HTTPError:
            return False
