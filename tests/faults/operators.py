"""Operators that start within milliseconds: processes forked from one that has imported everything.

What runs is the command `scheduledtask-operator` itself. A start from nothing takes a second of processor time, most of
it for imports, and the kill table needs hundreds of starts.
"""

from __future__ import annotations

import asyncio
import ctypes
import multiprocessing
import os
import signal
import sys
from multiprocessing.context import ForkServerProcess
from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.faults.operators", "scheduledtask.controller.operator", "scheduledtask.__main__"])

POLL = 0.05
PR_SET_PDEATHSIG = 1


class ForkedOperator:
    """One operator. `start` and `kill` may be called again and again; the log goes on in the same file."""

    def __init__(self, kubeconfig: Path, log: Path, *options: str) -> None:
        self._kubeconfig = kubeconfig
        self._log = log
        self._options = options
        self._process: ForkServerProcess | None = None
        self.starts = 0
        self.ends: tuple[int, ...] = ()
        """The exit codes with which it ended by itself."""

    def start(self) -> None:
        """Start it; returns at once."""
        self._process = _FORKS.Process(
            target=_run, args=(str(self._kubeconfig), str(self._log), self._options), daemon=True
        )
        self._process.start()
        self.starts += 1

    def kill(self) -> None:
        """SIGKILL; returns when the process is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.join(10)
            self._process = None

    async def supervise(self, pause: float) -> None:
        """Start it again, as a Deployment would, whenever it has ended by itself or was killed; until cancelled."""
        while True:
            await asyncio.sleep(POLL)
            if self._process is not None and self._process.exitcode is not None:
                self.ends += (self._process.exitcode,)
                self._process = None
            if self._process is None:
                await asyncio.sleep(pause)
                self.start()


def _run(kubeconfig: str, log: str, options: tuple[str, ...]) -> None:
    # With the test they end too, however it ends: their parent is the process that they are forked from.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    with Path(log).open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ["KUBECONFIG"] = kubeconfig
    sys.argv = ["scheduledtask-operator", "--listen-port=0", "--log-format=json", *options]
    from kubernetes.aio.config import kube_config

    from scheduledtask.__main__ import main

    # It reads the environment when it is imported, which was before the fork.
    kube_config.KUBE_CONFIG_DEFAULT_LOCATION = kubeconfig

    sys.exit(main())
