"""The part of a kubelet, for one namespace: pods are ended as a table says, whenever they appear.

The table goes by run and attempt, so what happens does not depend on when it happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import aiohttp

from tests.faults.admin import Admin, ApiError
from tests.faults.mirror import Body, Mirror, path_of
from tests.integration.pod_hands import ended_status, image_error

FAILURE_COUNT = "batch.kubernetes.io/job-index-failure-count"
STUCK_ATTEMPTS = "scheduledtask.dev/stuck-attempts"
JOB_NAME = "batch.kubernetes.io/job-name"


@dataclass(frozen=True)
class Ends:
    """The attempt ends by itself, so many seconds after it was made."""

    exit_code: int
    message: str = ""
    after: float = 0


@dataclass(frozen=True)
class RunsOn:
    """The attempt runs until it is told to end, by its deadline or its deletion."""


@dataclass(frozen=True)
class Stuck:
    """The image of the attempt can't be pulled."""

    message: str


Fate: TypeAlias = Ends | RunsOn | Stuck
Fates: TypeAlias = Callable[[str, int], Fate | None]
"""By run and attempt, from 1. An attempt without one stays Pending."""


def by(table: Mapping[tuple[str, int], Fate]) -> Fates:
    """Fates by a table of runs and attempts."""
    return lambda run, attempt: table.get((run, attempt))


POLL = 0.5
"""Seconds after which they look although nothing has changed: some attempts end in time."""


class Hands:
    """They act on each change that the mirror sees."""

    def __init__(self, admin: Admin, mirror: Mirror, namespace: str, fates: Fates) -> None:
        self._admin = admin
        self._mirror = mirror
        self._namespace = namespace
        self._fates = fates
        self._attempts: dict[str, int] = {}
        """Of each pod, by its UID."""

    async def run(self) -> None:
        """Act until cancelled; an API server that is away for a while is borne."""
        while True:
            changed = self._mirror.changed
            for pod in tuple(self._mirror.objects["pods"].values()):
                status = self._due(pod)
                if status:
                    await self._write(pod, status)
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL):
                    await changed.wait()

    def _due(self, pod: Body) -> Body | None:
        """The status that a kubelet would write now, or None."""
        metadata, phase = pod["metadata"], pod["status"]["phase"]
        run = metadata["labels"].get(JOB_NAME, "")
        match self._fates(run, self._attempt(pod, run)), phase:
            case Stuck(message), "Pending" if "containerStatuses" not in pod["status"]:
                return image_error("ErrImagePull", message)
            case Ends(exit_code, message, after), "Pending" if _age(pod) >= after:
                return ended_status(pod, exit_code, message)
            case RunsOn(), "Pending" if "deletionTimestamp" not in metadata:
                return {"phase": "Running"}
            case RunsOn(), "Running" if "deletionTimestamp" in metadata:
                return ended_status(pod, 143, "SIGTERM")
            case RunsOn(), "Running" if pod["spec"].get("activeDeadlineSeconds") == 1:
                return ended_status(pod, 143, "SIGTERM") | {"reason": "DeadlineExceeded"}
        return None

    def _attempt(self, pod: Body, run: str) -> int:
        """The one for which a pod was made. A stuck one is noted on the Job while its pod is still on its way out."""
        made_for = 1 + _count(pod, FAILURE_COUNT) + self._stuck(run)
        return self._attempts.setdefault(pod["metadata"]["uid"], made_for)

    def _stuck(self, run: str) -> int:
        """How many attempts of a run did not start. Kubernetes counts no failure for them: only the Job has a note."""
        job = self._mirror.objects["jobs"].get(run)
        return _count(job, STUCK_ATTEMPTS) if job else 0

    async def _write(self, pod: Body, status: dict[str, Any]) -> None:
        name = pod["metadata"]["name"]
        try:
            item = await self._admin.merge(path_of("pods", self._namespace, name) + "/status", {"status": status})
        except (ApiError, aiohttp.ClientError):
            # It is gone, or the API server is away; what the mirror sees next tells.
            return
        self._mirror.put("pods", item)


def _count(item: Body, annotation: str) -> int:
    return int(item["metadata"].get("annotations", {}).get(annotation, 0))


def _age(pod: Body) -> float:
    created = datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
    return (datetime.now(UTC) - created).total_seconds()
