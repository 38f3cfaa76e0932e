"""A share of the kill table that changes from day to day; `python -m tests.faults` does all of it."""

import os
import random
import time
from datetime import UTC, datetime

import pytest

from tests.faults.kill_table import KillTable
from tests.faults.lab import Ground

pytestmark = pytest.mark.asyncio(loop_scope="session")

AT_ONCE = 4
SECONDS = 15.0
"""No kill is begun after that."""


async def test_the_end_is_the_same_wherever_the_operator_is_killed(
    ground: Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("FAULTS_SEED", datetime.now(UTC).toordinal()))
    table = await KillTable.measure(ground, whole=False)
    kills = table.kills()
    random.Random(seed).shuffle(kills)

    rows = await table.run(kills, AT_ONCE, until=time.monotonic() + SECONDS)

    with capsys.disabled():
        print(f"\n{len(rows)} of {len(kills)} kills, FAULTS_SEED={seed}, {table.seconds:.0f} s")
    assert {str(row.site): row.trouble for row in rows if row.trouble} == {}
