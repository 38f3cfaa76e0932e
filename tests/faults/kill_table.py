"""The operator is killed once at every call of the scenario, before it is forwarded and after it is done.

A call is known by what it asks for and by how many alike came before it: the order of calls differs from run to run.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from tests.faults.calls import Call
from tests.faults.end_state import differences, of_tasks
from tests.faults.faults import Kill, Moment, at
from tests.faults.lab import Ground
from tests.faults.scenario import STRANDS, Strand, lost, report, task_of
from tests.faults.trial import Trial, run_trial, sites

COMPANIONS = (report, lost)
NATIVE_BACKOFF = 5.0
"""Seconds: half of what the Job controller waits after a first failure, for the operator has to act in time too."""
REPEATS = 3


@dataclass(frozen=True)
class Site:
    """One kill."""

    call: Call
    occurrence: int
    moment: Moment

    def __str__(self) -> str:
        again = f" #{self.occurrence + 1}" if self.occurrence else ""
        return f"{self.moment.value} {self.call}{again}"


@dataclass(frozen=True)
class Row:
    """What came of one kill. `came`: the call came in this run, so that the operator was killed. `repeats`: how often
    it was done before and told nothing."""

    site: Site
    came: bool
    trouble: tuple[str, ...]
    seconds: float
    absence: float
    calls: int
    log: str
    repeats: int

    @property
    def is_telling(self) -> bool:
        """Whether the end has to be the same. Not where the operator was away for longer than the Job controller waits
        before it retries by itself, because the machine had no time for it."""
        return self.absence < NATIVE_BACKOFF


class KillTable:
    """`undisturbed` is the run without faults, with which the others are compared.

    whole: all of the scenario is played for each kill. Else only the strand whose call it is, beside another one, which
    takes a fraction of the processor time.
    """

    def __init__(self, ground: Ground, undisturbed: Trial, *, whole: bool) -> None:
        self._ground = ground
        self._whole = whole
        self.undisturbed = undisturbed
        self.seconds = 0.0

    @classmethod
    async def measure(cls, ground: Ground, *, whole: bool = True) -> KillTable:
        """Run the scenario twice without faults. Raises RuntimeError where that alone does not go well, or differs."""
        first, second = await asyncio.gather(run_trial(ground), run_trial(ground))
        for trial in (first, second):
            if trial.trouble:
                raise RuntimeError(f"the scenario fails without faults: {trial.trouble}\n{trial.log[-6000:]}")
        differing = differences(first.end, second.end)
        if differing:
            raise RuntimeError("two runs without faults end differently:\n" + "\n".join(differing))
        return cls(ground, first, whole=whole)

    def kills(self) -> list[Site]:
        """Every kill that there is."""
        return [
            Site(call, occurrence, moment) for call, occurrence in sites(self.undisturbed.calls) for moment in Moment
        ]

    async def run(self, kills: Sequence[Site], at_once: int, until: float = math.inf) -> list[Row]:
        """Do these kills, so many side by side. Those that tell nothing are repeated when the others are done.

        until: when to begin no more of them, by `time.monotonic`.
        """
        began = time.monotonic()
        rows = {row.site: row for row in await self._pass(kills, at_once, until)}
        for repeats in range(1, REPEATS + 1):
            again = [row.site for row in rows.values() if row.trouble and not row.is_telling]
            rows |= {row.site: row for row in await self._pass(again, 2, repeats=repeats)}
        self.seconds = time.monotonic() - began
        return list(rows.values())

    async def _pass(self, kills: Sequence[Site], at_once: int, until: float = math.inf, repeats: int = 0) -> list[Row]:
        rest = iter(kills)
        rows: list[Row] = []

        async def work() -> None:
            for site in takewhile(lambda _: time.monotonic() < until, rest):
                rows.append(await self._kill(site, repeats))
                print(f"{_line(rows[-1])}  [{len(rows)} of {len(kills)}]", *rows[-1].trouble, sep="\n  ", flush=True)

        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(work())
        return rows

    async def _kill(self, site: Site, repeats: int) -> Row:
        fault = at(site.call, site.occurrence, Kill(site.moment))
        strands = STRANDS if self._whole else strands_of(site.call)
        expected = of_tasks(self.undisturbed.end, [task_of(strand) for strand in strands])
        trial = await run_trial(self._ground, (fault,), expected, strands)
        return Row(
            site, trial.starts > 1, trial.trouble, trial.seconds, trial.absence, len(trial.calls), trial.log, repeats
        )


def strands_of(call: Call) -> tuple[Strand, ...]:
    """The strand of a call and one other; two that are none's own, such as a list."""
    own = [strand for strand in STRANDS if call.name.startswith(task_of(strand))]
    others = [strand for strand in COMPANIONS if strand not in own]
    return tuple((own + others)[:2])


def _line(row: Row) -> str:
    result = "FAILED" if row.trouble else "passed" if row.came else "passed (the call did not come)"
    again = f" (repeat {row.repeats})" if row.repeats else ""
    return f"{result:<7} {row.seconds:5.1f} s {row.calls:4} calls  away {row.absence:4.1f} s  killed {row.site}{again}"


def print_table(table: KillTable, rows: Iterable[Row]) -> None:
    """The failures in full, and one line for each kind of call."""
    rows = list(rows)
    for row in rows:
        if row.trouble:
            print(f"\n{_line(row)}", *row.trouble, row.log[-4000:], sep="\n")
    kinds = sorted({(row.site.call.verb, row.site.call.resource) for row in rows})
    print(f"\n{'call':<36} {'kills':>6} {'passed':>7} {'came':>5}")
    for kind in kinds:
        of_kind = [row for row in rows if (row.site.call.verb, row.site.call.resource) == kind]
        passed, came = sum(not row.trouble for row in of_kind), sum(row.came for row in of_kind)
        print(f"{' '.join(kind):<36} {len(of_kind):>6} {passed:>7} {came:>5}")
    passed = sum(not row.trouble for row in rows)
    print(
        f"\n{len(table.undisturbed.calls)} calls without faults; killed {len(rows)} times: {passed} of {len(rows)} "
        f"ended the same, {sum(row.came for row in rows)} at the very call, "
        f"{sum(row.repeats > 0 for row in rows)} counted when repeated; {table.seconds:.0f} s"
    )
