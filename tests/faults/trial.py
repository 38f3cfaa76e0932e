"""One run of the scenario in a lab of its own, from the start to an end that stays."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass

from tests.faults.calls import Call
from tests.faults.end_state import EndState, differences, end_state, overlaps
from tests.faults.faults import Fault
from tests.faults.lab import Ground, Lab, lab
from tests.faults.scenario import STRANDS, Strand, fates, play

QUIET = 1.0
"""Seconds without a call of the operator's and without a change, after which an end is an end."""
PATIENCE = 45.0
"""Seconds that the end state may take to become what it should be."""


@dataclass(frozen=True)
class Trial:
    """What came of one run. `trouble` is empty where all went well."""

    calls: tuple[Call, ...]
    end: EndState
    trouble: tuple[str, ...]
    starts: int
    seconds: float
    absence: float
    """Seconds for which the operator was away after it was killed."""
    log: str


async def run_trial(
    ground: Ground,
    faults: tuple[Fault, ...] = (),
    expected: EndState | None = None,
    strands: tuple[Strand, ...] = STRANDS,
) -> Trial:
    """Play the scenario under faults, and compare how it ends with what is expected."""
    began = time.monotonic()
    async with lab(ground, fates) as here:
        here.proxy.faults = faults
        trouble: list[str] = []
        try:
            await play(here, strands)
        except* AssertionError as group:
            trouble += [str(error) for error in group.exceptions]
        found = await settled(here, expected)
        trouble += overlaps(here.mirror.open_at_once, here.mirror.objects["scheduledtasks"])
        if expected is not None:
            trouble += differences(expected, found)
        if here.operator.ends:
            trouble.append(f"the operator ended by itself: {here.operator.ends}")
        return Trial(
            calls=tuple(here.proxy.calls),
            end=found,
            trouble=tuple(trouble),
            starts=here.operator.starts,
            seconds=time.monotonic() - began,
            absence=here.proxy.absence,
            log=here.log.read_text(),
        )


async def settled(here: Lab, expected: EndState | None) -> EndState:
    """The end state once it stays as expected, or just stays; after `PATIENCE` as it is then."""
    deadline = time.monotonic() + PATIENCE
    while True:
        before = (len(here.proxy.calls), here.mirror.changes)
        await asyncio.sleep(QUIET if expected is not None else 3 * QUIET)
        found = await read_end(here)
        quiet = before == (len(here.proxy.calls), here.mirror.changes)
        if (quiet and expected in (None, found)) or time.monotonic() > deadline:
            return found


async def read_end(here: Lab) -> EndState:
    """The end state as it is now."""
    events = await here.admin.send("GET", f"/apis/events.k8s.io/v1/namespaces/{here.namespace}/events")
    return end_state(here.mirror.objects, events["items"], here.received)


def sites(calls: tuple[Call, ...]) -> list[tuple[Call, int]]:
    """Each call and how many alike came before it."""
    seen: Counter[Call] = Counter()
    found = []
    for call in calls:
        found.append((call, seen[call]))
        seen[call] += 1
    return found
