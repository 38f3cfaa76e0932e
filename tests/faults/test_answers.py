"""Calls that fail, whose answers are lost or come late: the end is the same as without."""

import asyncio

import pytest

from tests.faults.faults import Delay, Effect, Fault, LoseReply, Refuse, at
from tests.faults.kill_table import KillTable
from tests.faults.lab import Ground
from tests.faults.trial import Trial, run_trial, sites

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]


def each_once(trial: Trial, effect: Effect, *verbs: str) -> tuple[Fault, ...]:
    """The effect at the first of each kind of call with one of these verbs; the second goes well."""
    return tuple(
        at(call, 0, effect) for call, occurrence in sites(trial.calls) if occurrence == 0 and call.verb in verbs
    )


WRITES = ("create", "update", "patch", "delete")


async def test_every_kind_of_call_may_fail_once(ground: Ground) -> None:
    undisturbed = (await KillTable.measure(ground)).undisturbed
    weathers = {
        "lost reply": each_once(undisturbed, LoseReply(), *WRITES, "get", "list"),
        "500": each_once(undisturbed, Refuse(500), *WRITES, "get", "list", "watch"),
        "503": each_once(undisturbed, Refuse(503), *WRITES, "get", "list", "watch"),
        "429": each_once(undisturbed, Refuse(429, retry_after=1), *WRITES, "get", "list", "watch"),
        # Only where a conflict is possible: the writes that name a resource version.
        "409": each_once(undisturbed, Refuse(409), "update"),
        "slow": (Fault(Delay(0.5)),),
    }
    trials = await asyncio.gather(*(run_trial(ground, faults, undisturbed.end) for faults in weathers.values()))
    trouble = {name: trial.trouble for name, trial in zip(weathers, trials, strict=True) if trial.trouble}
    assert trouble == {}
