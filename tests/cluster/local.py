"""The size `control-plane` of the local provider: three ordinary processes on 127.0.0.1, no root needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import builds, controlplane, processes
from .builds import Say
from .controlplane import ControlPlane
from .paths import ClusterError
from .processes import Daemon
from .waiting import until

PORTS = ("etcd", "api")


@dataclass(frozen=True)
class _Step:
    """A daemon and how to tell that it does its work."""

    daemon: Daemon
    works: Callable[[], bool]


@dataclass(frozen=True)
class LocalControlPlane:
    """One control plane in `directory`, listening on `ports` (keys as in `PORTS`)."""

    directory: Path
    ports: Mapping[str, int]

    def up(self, say: Say) -> None:
        """Write the files and start the daemons, each as soon as the one that it needs works.

        Returns when the controllers have made the default service account: from then on everything answers.
        """
        steps = self._steps(builds.ensure(controlplane.BINARIES, say))
        controlplane.write_files(self._plane({}))
        for step in steps.values():
            self._start(step)

    def await_ready(self, say: Say) -> None:
        """Nothing to wait for: `up` returns only when everything works."""

    def is_running(self) -> bool:
        """Whether all three daemons live."""
        return set(self._steps({})) <= set(processes.running(self.directory).values())

    def restart(self, daemon: str) -> None:
        """Kill one daemon (SIGKILL, as a crash would) and start it again. Returns when it works."""
        steps = self._steps(builds.ensure(controlplane.BINARIES, print))
        if daemon not in steps:
            raise ClusterError(f"no daemon {daemon!r} here: there are {', '.join(steps)}")
        processes.kill(self.directory, daemon)
        self._start(steps[daemon])

    def _plane(self, binaries: Mapping[str, Path]) -> ControlPlane:
        api = self.ports["api"]
        return ControlPlane(self.directory, binaries, etcd_port=self.ports["etcd"], api_port=api, host_port=api)

    def _steps(self, binaries: Mapping[str, Path]) -> dict[str, _Step]:
        plane = self._plane({name: binaries.get(name, Path(name)) for name in controlplane.BINARIES})
        config = plane.admin_kubeconfig
        steps = (
            _Step(controlplane.etcd(plane), lambda: controlplane.etcd_is_healthy(plane)),
            _Step(controlplane.apiserver(plane), lambda: controlplane.api_answers(config)),
            _Step(
                controlplane.controller_manager(plane),
                lambda: controlplane.api_answers(config, controlplane.DEFAULT_ACCOUNT),
            ),
        )
        return {step.daemon.name: step for step in steps}

    def _start(self, step: _Step) -> None:
        name = step.daemon.name
        processes.start(self.directory, step.daemon)

        def works() -> bool:
            if step.works():
                return True
            if name not in processes.running(self.directory).values():
                raise ClusterError(f"{name} ended at once:\n{processes.log_tail(self.directory, name)}")
            return False

        until(f"{name} works", works, seconds=90)
