"""The operator as a process of its own, and what it takes of the machine."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.integration.operator_process import user_of

REPOSITORY = Path(__file__).parents[3]
POLL_SECONDS = 0.2
"""Seldom: each answer takes the operator some milliseconds."""
PASSES = "scheduledtask_reconcile_seconds_count"
QUIET_SECONDS, QUIET_CPU = 2.0, 0.1
"""It has settled when it used less than so much processor time in so many seconds."""


@dataclass(frozen=True)
class Usage:
    """Processor time in seconds and resident memory in MiB, now and at its peak."""

    cpu: float
    memory: float
    peak: float


@dataclass(frozen=True)
class Start:
    """Seconds from the start until /readyz agrees, until the first pass over all is over, and until it is quiet."""

    synced: float
    passed: float
    settled: float
    stall: float
    """The longest time that it took to answer, in seconds: how long the event loop was blocked."""


class Operator:
    """One operator with the rights of a kubeconfig. Its log goes to a file."""

    def __init__(self, kubeconfig: Path, log: Path, *options: str) -> None:
        self.user = user_of(kubeconfig)
        self._kubeconfig = kubeconfig
        self._log = log
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._began = 0.0

    def launch(self) -> None:
        """Start the process; returns at once."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._port = probe.getsockname()[1]
        self._began = time.time()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "scheduledtask", f"--listen-port={self._port}", *self._options],
                cwd=REPOSITORY / "operator",
                env={**os.environ, **_image_memory(), "KUBECONFIG": str(self._kubeconfig)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def start(self, passes: int, seconds: float = 300) -> Start:
        """Start it and wait until it was over all of so many tasks and has settled. TimeoutError after `seconds`."""
        self.launch()
        synced = passed = stall = 0.0
        async with asyncio.timeout(seconds), aiohttp.ClientSession(f"http://127.0.0.1:{self._port}") as session:
            while not passed:
                await asyncio.sleep(POLL_SECONDS)
                asked = time.monotonic()
                ready = await self._get(session, "/readyz")
                done = await self._get(session, "/metrics") if synced else None
                if ready:
                    stall = max(stall, time.monotonic() - asked)
                if ready and ready[0] == 200 and not synced:
                    synced = time.time() - self._began
                if done and _all_passed(done[1], passes):
                    passed = time.time() - self._began
            settled = await self.settle(seconds)
        return Start(synced, passed, settled, stall)

    async def settle(self, seconds: float = 300) -> float:
        """Wait until it is quiet, and return how many seconds after its start that was."""
        async with asyncio.timeout(seconds):
            while True:
                before, now = self.usage().cpu, time.time()
                await asyncio.sleep(QUIET_SECONDS)
                if self.usage().cpu - before < QUIET_CPU:
                    return now - self._began

    def usage(self) -> Usage:
        """What it has taken until now. RuntimeError if it has ended."""
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"the operator has ended; its last words:\n{self._log.read_text()[-3000:]}")
        folder = Path(f"/proc/{self._process.pid}")
        ticks = folder.joinpath("stat").read_text().rpartition(")")[2].split()[11:13]
        status = folder.joinpath("status").read_text()
        memory = {name: int(amount) / 1024 for name, amount in re.findall(r"(VmRSS|VmHWM):\s+(\d+) kB", status)}
        return Usage(sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"), memory["VmRSS"], memory["VmHWM"])

    @property
    def began(self) -> float:
        """When it was started, in seconds of Unix time."""
        return self._began

    async def passes(self) -> int:
        """How many passes over a task it has made since its start."""
        async with aiohttp.ClientSession(f"http://127.0.0.1:{self._port}") as session:
            answer = await self._get(session, "/metrics")
        return int(_values(answer[1]).get(PASSES, 0)) if answer else 0

    def stop(self) -> None:
        """Ask it to end; after 20 s it is not asked any more."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    async def _get(self, session: aiohttp.ClientSession, path: str) -> tuple[int, str] | None:
        self.usage()
        try:
            async with session.get(path) as response:
                return response.status, await response.text()
        except aiohttp.ClientConnectionError:
            return None


def _image_memory() -> dict[str, str]:
    """How the image has memory managed."""
    return dict(re.findall(r"\b(MALLOC_\w+)=(\w+)", (REPOSITORY / "Dockerfile").read_text()))


def _all_passed(metrics: str, passes: int) -> bool:
    values = _values(metrics)
    return values.get(PASSES, 0) >= passes and values.get("scheduledtask_queue_depth", 1) == 0


def _values(metrics: str) -> dict[str, float]:
    found = re.findall(r"^(scheduledtask_\w+) ([\d.e+-]+)$", metrics, re.MULTILINE)
    return {name: float(value) for name, value in found}
