"""Killed anywhere and run again, a command leaves the database that it leaves undisturbed.

``MINER_KILLS`` (default 4) is the number of kills at random moments.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from tests.jobs.ticket_miner.miner import DIE_AT, Miner
from tests.upstreams.zendesk import ZendeskServer, made_up
from ticket_miner.models import Analysis, ExportPosition, Issue, IssueDay, IssueTicket, Ticket

KILLS = int(os.environ.get("MINER_KILLS", "4"))
ALL = ("sync", "--backfill-days", "90")


def contents(miner: Miner) -> dict[str, list[tuple[Any, ...]]]:
    """All tables, but for the moment at which the first sync began and for what was spent on repeated requests."""
    tables = {model.__tablename__: miner.rows(model) for model in (Ticket, Analysis, Issue, IssueTicket, IssueDay)}
    return tables | {"positions": miner.rows(ExportPosition, "account", "cursor")}


def twin_of(miner: Miner, folder: Path) -> Miner:
    """Another database about the same upstreams."""
    folder.mkdir()
    url = f"sqlite:///{folder / 'twin.sqlite'}"
    return replace(miner, folder=folder, settings=miner.settings | {"DATABASE_URL": url}, started=[])


def killed_between_statements(miner: Miner, *command: str, step: int, prepare: Callable[[], object]) -> None:
    """Kill the command before its first statement, one that is `step` later, and so on until it comes to its end."""
    for number in count(0, step):
        process = miner.start(*command, **{DIE_AT: str(number)})
        process.join(60)
        if process.exitcode == 0:
            return
        assert process.exitcode == -signal.SIGKILL, miner.ended(process).log
        prepare()


def test_a_sync_killed_between_any_two_statements(miner: Miner, zendesk: ZendeskServer, tmp_path: Path) -> None:
    zendesk.put(*made_up(45, seed=2))
    rng = random.Random(2)

    def upstream_goes_on() -> None:
        """So that each run has something to write, at another place of the export."""
        if len(zendesk.tickets) > 30:
            zendesk.delete(rng.choice(zendesk.tickets)["id"])
        for ticket in rng.sample(zendesk.tickets, 12):
            zendesk.change(ticket["id"], subject=f"changed {rng.random()}")

    killed_between_statements(miner, *ALL, step=5, prepare=upstream_goes_on)
    assert miner.run(*ALL).exit_code == 0
    twin = twin_of(miner, tmp_path / "twin")
    twin.run(*ALL)
    assert contents(miner) == contents(twin)
    twin.close()


def test_a_sync_killed_at_random_moments(miner: Miner, zendesk: ZendeskServer, tmp_path: Path) -> None:
    zendesk.put(*made_up(400, seed=3))
    rng = random.Random()
    for _ in range(KILLS):
        asked = len(zendesk.requests)
        process = miner.start(*ALL)
        while len(zendesk.requests) == asked and process.is_alive():
            time.sleep(0.005)
        process.join(rng.uniform(0, 0.2))
        process.kill()
        process.join()
        for ticket in rng.sample(zendesk.tickets, 150):
            zendesk.change(ticket["id"], description=f"changed {rng.random()}")
        zendesk.delete(rng.choice(zendesk.tickets)["id"])
    assert miner.run(*ALL).exit_code == 0
    twin = twin_of(miner, tmp_path / "twin")
    twin.run(*ALL)
    assert contents(miner) == contents(twin)
    twin.close()


def test_an_analysis_killed_between_statements_loses_no_group_and_repeats_none(
    light_miner: Miner, zendesk: ZendeskServer, tmp_path: Path
) -> None:
    zendesk.put(*made_up(35, seed=2))
    light_miner.run(*ALL)
    killed_between_statements(light_miner, "analyze", step=8, prepare=lambda: None)
    twin = twin_of(light_miner, tmp_path / "twin")
    for command in (ALL, ("analyze",)):
        twin.run(*command)
    assert contents(light_miner) == contents(twin)
    twin.close()


def test_a_clustering_killed_between_statements_is_there_as_a_whole_or_not_at_all(
    light_miner: Miner, zendesk: ZendeskServer, tmp_path: Path
) -> None:
    zendesk.put(*made_up(60, seed=2))
    light_miner.run(*ALL)
    light_miner.run("analyze")
    states = [contents(light_miner)]
    killed_between_statements(light_miner, "trends", step=4, prepare=lambda: states.append(contents(light_miner)))
    assert all(state in (states[0], contents(light_miner)) for state in states)
    assert light_miner.rows(Issue) != []
    twin = twin_of(light_miner, tmp_path / "twin")
    for command in (ALL, ("analyze",), ("trends",)):
        twin.run(*command)
    assert contents(light_miner) == contents(twin)
    twin.close()
