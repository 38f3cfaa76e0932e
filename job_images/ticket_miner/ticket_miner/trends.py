"""trends: group what tickets tell of into issues, and follow how these grow.

All of a clustering is written in one transaction, so a reader sees the old one or the new one, and a rerun after a
crash begins with what the last whole one left.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, delete, select, update

from scheduledtask_sdk import Run
from ticket_miner.clusters import Cluster, find_clusters
from ticket_miner.figures import Figures, figures_of
from ticket_miner.identity import Group, identify
from ticket_miner.models import Analysis, Issue, IssueDay, IssueTicket, Ticket
from ticket_miner.storage import reading, upsert

SEVERITIES = ("low", "medium", "high", "critical")


@dataclass(frozen=True, slots=True)
class Scope:
    """Which tickets count: those opened in the last `window` days, the newest `most` of them. `smallest`: tickets that
    make an issue."""

    window: int
    most: int
    smallest: int


@dataclass(frozen=True, slots=True)
class Told:
    """A ticket as the model understood it."""

    id: int
    created_at: datetime
    issue: str
    product_area: str
    severity: str


@dataclass(frozen=True, slots=True)
class Trends:
    """What a run found. `lone`: tickets that belong to no issue; `asleep`: known issues that were not found."""

    tickets: int
    issues: int
    new: int
    asleep: int
    lone: int


def update_trends(engine: Engine, scope: Scope, now: datetime, run: Run) -> Trends:
    """Cluster, know the issues again, and write them with their figures."""
    with reading(engine) as connection:
        told = _told(connection, scope, now)
        known = _known(connection)
        earliest = dict(connection.execute(select(Issue.id, Issue.first_seen)).tuples().all())
    clusters = find_clusters([f"{ticket.product_area}. {ticket.issue}" for ticket in told], scope.smallest)
    groups = [Group(frozenset(told[member].id for member in c.members), c.terms) for c in clusters]
    ids = _with_new_ids(identify(groups, known), known)
    issues: list[dict[str, Any]] = []
    days: list[dict[str, Any]] = []
    for identity, cluster in zip(ids, clusters, strict=True):
        members = [told[member] for member in cluster.members]
        figures = figures_of([ticket.created_at for ticket in members], now)
        issues.append(_issue_row(identity, cluster, told, figures, earliest.get(identity)))
        days += [{"issue_id": identity, "day": day, "tickets": count} for day, count in figures.days.items()]
    memberships = [
        {"ticket_id": ticket, "issue_id": identity}
        for identity, group in zip(ids, groups, strict=True)
        for ticket in sorted(group.tickets)
    ]
    with run.held(), engine.begin() as connection:
        asleep = connection.execute(
            update(Issue).where(Issue.id.not_in(ids)).values(active=False, tickets=0, recent=0, previous=0, growth=None)
        ).rowcount
        upsert(connection, Issue, issues)
        upsert(connection, IssueTicket, memberships)
        connection.execute(delete(IssueDay))
        upsert(connection, IssueDay, days)
    return Trends(
        tickets=len(told),
        issues=len(ids),
        new=sum(identity not in known for identity in ids),
        asleep=asleep,
        lone=len(told) - len(memberships),
    )


def said(trends: Trends) -> str:
    """What was found, in a line."""
    return (
        f"{trends.issues} issues (+{trends.new} new, {trends.asleep} asleep) in {trends.tickets} tickets,"
        f" {trends.lone} of which tell of nothing common"
    )


def _told(connection: Connection, scope: Scope, now: datetime) -> list[Told]:
    rows = connection.execute(
        select(Ticket.id, Ticket.created_at, Analysis.issue, Analysis.product_area, Analysis.severity)
        .join(Analysis, Analysis.ticket_id == Ticket.id)
        .where(Analysis.product_issue, Ticket.created_at > now - timedelta(days=scope.window), Ticket.created_at <= now)
        .order_by(Ticket.created_at.desc(), Ticket.id.desc())
        .limit(scope.most)
    ).tuples()
    # In the order of their ids: the clustering depends on the order, and new tickets come last.
    return sorted((Told(*row) for row in rows), key=lambda ticket: ticket.id)


def _known(connection: Connection) -> dict[int, Group]:
    tickets: defaultdict[int, set[int]] = defaultdict(set)
    for ticket, issue in connection.execute(select(IssueTicket.ticket_id, IssueTicket.issue_id)).tuples():
        tickets[issue].add(ticket)
    return {
        issue: Group(frozenset(tickets[issue]), terms)
        for issue, terms in connection.execute(select(Issue.id, Issue.terms)).tuples()
    }


def _with_new_ids(identified: Sequence[int | None], known: Mapping[int, Group]) -> list[int]:
    highest = max(known, default=0)
    ids = []
    for identity in identified:
        if identity is None:
            highest += 1
        ids.append(highest if identity is None else identity)
    return ids


def _issue_row(
    identity: int, cluster: Cluster, told: Sequence[Told], figures: Figures, earliest: datetime | None
) -> dict[str, Any]:
    members = [told[member] for member in cluster.members]
    nearest = [told[member] for member in cluster.representatives]
    areas = Counter(ticket.product_area for ticket in members)
    return {
        "id": identity,
        "title": nearest[0].issue,
        "product_area": min(areas, key=lambda area: (-areas[area], area)),
        "severity": max((ticket.severity for ticket in members), key=SEVERITIES.index),
        "active": True,
        "tickets": figures.tickets,
        "recent": figures.recent,
        "previous": figures.previous,
        "growth": figures.growth,
        "first_seen": figures.first_seen if earliest is None else min(earliest, figures.first_seen),
        "last_seen": figures.last_seen,
        "representatives": [ticket.id for ticket in nearest],
        "terms": cluster.terms,
    }
