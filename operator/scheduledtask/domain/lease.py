"""Who may write: the rules of the Lease, which are those of client-go's leader election.

A Lease is one record. It can only be written over the version that was read, so of two that write at the same time one
fails. The holder renews it every few seconds. Anybody else takes it over when it has not changed for its duration,
counted by the observer's own clock from when he saw it as it is: the times in the record are for people, and nobody's
clock is compared with another's.

The holder may write until RENEW_DEADLINE after the *start* of its last successful renewal. The record was written
later than that start and seen later still, and nobody takes over within its duration after that. So at most one may
write at any time, however long anyone stands still in between; the five seconds of difference are for clocks that run
unevenly.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum

LEASE_DURATION = 15
"""Seconds without a change after which others may take the Lease."""
RENEW_DEADLINE = 10.0
"""Seconds after the start of the last successful renewal for which the holder may write."""
RETRY_PERIOD = 2.0
"""Seconds between two renewals, or two looks."""
RELEASED_DURATION = 1
"""The duration in a Lease that was given up, in seconds, as client-go writes it."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The record. `holder` is empty where it was given up; `transitions` counts the changes of the holder."""

    holder: str
    duration: int
    acquire_time: datetime | None
    renew_time: datetime | None
    transitions: int
    version: str = field(default="", compare=False)
    """The resource version; not compared, for a label on the object is no sign of life of its holder."""


class Step(Enum):
    """What a candidate does next."""

    WAIT = "Wait"
    WRITE = "Write"
    """Write `wanted` over the version that is known: to acquire the Lease, or to renew it."""
    LOST = "Lost"
    """It led and may not any more: for good."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What one process knows. All its times are seconds by its own clock, which never goes back."""

    identity: str
    lease: Lease | None = None
    """As it was last seen or written; without a version when it has been deleted since. None if there never was one."""
    seen_at: float | None = None
    """When it was first seen as it is; None before the first look."""
    valid_until: float | None = None
    """It may write until then; None if it never led."""

    def saw(self, lease: Lease | None, now: float) -> "Candidate":
        """It has read the Lease, or that there is none; the answer came at `now`.

        Who deletes a Lease does not stop its holder: to those who knew it, it stands as it was until it runs out.
        """
        if lease is None and self.lease is not None:
            lease = replace(self.lease, version="")
        unchanged = self.seen_at is not None and lease == self.lease
        return replace(self, lease=lease, seen_at=self.seen_at if unchanged else now)

    def wrote(self, lease: Lease, began: float, now: float) -> "Candidate":
        """It has written the Lease, with a request that began at `began` and was answered at `now`."""
        return replace(self, lease=lease, seen_at=now, valid_until=began + RENEW_DEADLINE)

    def leads(self, now: float) -> bool:
        """Whether it may write."""
        held = self.lease is not None and self.lease.holder == self.identity
        return held and self.valid_until is not None and now < self.valid_until

    def step(self, now: float) -> Step:
        """What to do, by what was last seen."""
        known = self.lease
        if self.valid_until is not None:
            return Step.WRITE if self.leads(now) else Step.LOST
        if self.seen_at is None:
            return Step.WAIT
        # Its own name in it is from an earlier life: a pod's container is started anew when the old one has ended.
        if known is None or known.holder in ("", self.identity):
            return Step.WRITE
        return Step.WRITE if now - self.seen_at > (known.duration or LEASE_DURATION) else Step.WAIT

    def wanted(self, now: datetime) -> Lease:
        """What WRITE writes. `now` is a UTC time, for people."""
        known = self.lease
        if known and known.holder == self.identity:
            return replace(known, duration=LEASE_DURATION, renew_time=now)
        return Lease(
            holder=self.identity,
            duration=LEASE_DURATION,
            acquire_time=now,
            renew_time=now,
            transitions=known.transitions + 1 if known else 0,
            version=known.version if known else "",
        )

    def released(self, now: datetime) -> Lease | None:
        """What it writes to give up what it holds; None where it holds nothing."""
        if self.lease is None or self.lease.holder != self.identity:
            return None
        return replace(self.lease, holder="", duration=RELEASED_DURATION, acquire_time=now, renew_time=now)
