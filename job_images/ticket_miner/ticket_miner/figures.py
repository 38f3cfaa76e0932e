"""The figures of an issue: how many, how fast, since when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

SPAN = timedelta(days=7)
"""What growth compares: the tickets of this span with those of the one before it."""


@dataclass(frozen=True, slots=True)
class Figures:
    """See :class:`ticket_miner.models.Issue`."""

    tickets: int
    recent: int
    previous: int
    growth: float | None
    first_seen: datetime
    last_seen: datetime
    days: dict[date, int]


def figures_of(opened: Sequence[datetime], now: datetime) -> Figures:
    """From the times, in UTC, at which the tickets of an issue were opened; at least one."""
    recent = sum(now - SPAN < moment <= now for moment in opened)
    previous = sum(now - 2 * SPAN < moment <= now - SPAN for moment in opened)
    return Figures(
        tickets=len(opened),
        recent=recent,
        previous=previous,
        growth=growth_of(recent, previous),
        first_seen=min(opened),
        last_seen=max(opened),
        days=dict(sorted(Counter(moment.astimezone(UTC).date() for moment in opened).items())),
    )


def growth_of(recent: int, previous: int) -> float | None:
    """How much more, as a part of what was before: 0.5 is half as many again, -1 none any more."""
    return None if previous == 0 else round((recent - previous) / previous, 4)
