"""The election: one process of several holds the Lease and works, the others stand by with warm caches.

The rules are `domain.lease`; here they meet the API server and a clock. A leader that could not renew in time, or
finds another holder, never goes on: LeadershipLostError ends the process, and its pod's next one stands by.
"""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

import aiohttp
import msgspec
import structlog

from scheduledtask.domain.lease import RENEW_DEADLINE, RETRY_PERIOD, Candidate, Lease, Step
from scheduledtask.kube.api import ApiError

ATTEMPT_TIMEOUT = 5.0
"""Seconds for one request or two: a connection that is dead must leave time for another one."""
SHORTEST_PAUSE = 0.2
JITTER = 0.2
"""Those who wait look at times that drift apart."""

log = structlog.get_logger("scheduledtask")


class LeadershipLostError(Exception):
    """This process led and may not any more; the message says why."""


class Leases(Protocol):
    """One Lease; see `kube.leases`."""

    described: str

    async def read(self) -> Lease | None: ...
    async def write(self, lease: Lease) -> Lease: ...


def steady_clock() -> float:
    """Seconds that also pass while the machine sleeps, when the Lease runs out as well."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Leader:
    """One candidate. `won` is set when it has become the leader."""

    name = "lease"

    def __init__(self, leases: Leases, identity: str, clock: Callable[[], float] = steady_clock) -> None:
        self._leases = leases
        self._candidate = Candidate(identity)
        self._clock = clock
        self._last_sign = clock()
        self._known_holder: str | None = None
        self._look_first = True
        self.won = asyncio.Event()

    @property
    def identity(self) -> str:
        return self._candidate.identity

    @property
    def age(self) -> float:
        """Seconds since the API server last told how the Lease stands."""
        return self._clock() - self._last_sign

    @property
    def has_looked(self) -> bool:
        """Whether the Lease, or that there is none, was ever seen."""
        return self._candidate.seen_at is not None

    def leads(self) -> bool:
        """Whether this process may write, at this moment."""
        return self._candidate.leads(self._clock())

    async def run(self) -> None:
        """Await the Lease, then keep it, until cancelled. Raises LeadershipLostError."""
        while True:
            began = self._clock()
            await self.attempt()
            pause = RETRY_PERIOD if self.won.is_set() else RETRY_PERIOD * random.uniform(1, 1 + JITTER)
            await asyncio.sleep(max(pause - (self._clock() - began), SHORTEST_PAUSE))

    async def attempt(self) -> None:
        """One try to acquire the Lease or to renew it. A failure is logged. Raises LeadershipLostError."""
        self._check()
        until = self._candidate.valid_until
        limit = ATTEMPT_TIMEOUT if until is None else min(ATTEMPT_TIMEOUT, until - self._clock())
        try:
            async with asyncio.timeout(limit):
                await self._attempt()
        except (ApiError, aiohttp.ClientError, TimeoutError, msgspec.MsgspecError) as error:
            self._look_first = True
            if isinstance(error, ApiError) and error.code in (404, 409):
                log.debug("lease changed", lease=self._leases.described, error=str(error))
            else:
                log.warning("lease not reached", lease=self._leases.described, error=str(error) or repr(error))
        self._check()

    async def release(self) -> None:
        """Give the Lease up, so that another takes over at once. Only when nothing here writes any more."""
        if not self.leads():
            return
        self._candidate = replace(self._candidate, valid_until=None)
        try:
            async with asyncio.timeout(ATTEMPT_TIMEOUT):
                # Read again: a renewal that was cut off may have been written.
                self._candidate = self._candidate.saw(await self._leases.read(), self._clock())
                released = self._candidate.released(datetime.now(UTC))
                if released:
                    await self._leases.write(released)
        except (ApiError, aiohttp.ClientError, TimeoutError, msgspec.MsgspecError) as error:
            log.warning("lease not given up", lease=self._leases.described, error=str(error) or repr(error))
        else:
            log.info("lease given up", lease=self._leases.described, identity=self.identity)

    async def _attempt(self) -> None:
        began = self._clock()
        if self._look_first or not self.won.is_set():
            lease = await self._leases.read()
            self._saw(self._candidate.saw(lease, self._clock()))
        if self._candidate.step(self._clock()) is not Step.WRITE:
            return
        written = await self._leases.write(self._candidate.wanted(datetime.now(UTC)))
        self._saw(self._candidate.wrote(written, began, self._clock()))
        if not self.won.is_set():
            log.info(
                "leadership won",
                lease=self._leases.described,
                identity=self.identity,
                transitions=written.transitions,
            )
            self.won.set()

    def _saw(self, candidate: Candidate) -> None:
        self._candidate = candidate
        self._look_first = False
        self._last_sign = self._clock()
        holder = candidate.lease.holder if candidate.lease else ""
        if holder != self._known_holder and holder != self.identity:
            log.info("lease is held by another" if holder else "lease is free", holder=holder, identity=self.identity)
        self._known_holder = holder

    def _check(self) -> None:
        if self._candidate.step(self._clock()) is not Step.LOST:
            return
        if self._known_holder == self.identity:
            why = f"not renewed for {RENEW_DEADLINE:.0f} s: no answer in time, or this process stood still"
        else:
            why = f"it is held by {self._known_holder!r} now"
        raise LeadershipLostError(f"Lease {self._leases.described}: {why}")
