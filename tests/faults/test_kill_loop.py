"""The operator is killed every few seconds for minutes, and nothing is lost or counted twice."""

import os
import random

import pytest

from tests.faults.kill_loop import POLICIES, Chance, account_errors, jobs_of, message_errors, work
from tests.faults.lab import Ground, lab

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]


async def test_the_account_is_that_of_the_jobs_after_minutes_of_kills(
    ground: Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    minutes = float(os.environ.get("FAULTS_LOOP_MINUTES", "10"))
    seed = int(os.environ.get("FAULTS_SEED", random.randrange(10**6)))
    async with lab(ground, Chance(seed).fate) as here:
        kills = await work(here, minutes, seed)

        tasks = {name: here.mirror.get("scheduledtasks", name) for name in POLICIES}
        jobs = {name: jobs_of(here, name) for name in POLICIES}
        received = here.received
        with capsys.disabled():
            runs, messages = sum(map(len, jobs.values())), {request.id for request in received}
            print(
                f"\n{minutes:g} minutes, seed {seed}: {kills} kills, {here.operator.starts} starts, {runs} runs, "
                f"{len(messages)} messages delivered {len(received)} times"
            )
        errors = [error for name in POLICIES for error in account_errors(tasks[name], jobs[name])]
        errors += message_errors(received, [job for of_task in jobs.values() for job in of_task])
        assert not errors, "\n".join(errors)
        assert here.operator.ends == ()
