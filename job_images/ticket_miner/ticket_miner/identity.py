"""Which cluster is which issue: the same issue keeps its id from run to run.

A clustering knows nothing of the one before, and numbers its clusters as it likes. A cluster is the known issue
with which it shares most tickets. Where none of an issue's tickets is left in sight, its words tell: an issue that
sleeps for months and returns is the old one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

LEAST_SHARE = 0.25
"""Of the smaller side's tickets, how many must be common: a few that changed sides prove nothing."""

LEAST_LIKENESS = 0.7
"""Cosine between words from which on a cluster is taken for a sleeping issue."""


@dataclass(frozen=True, slots=True)
class Group:
    """The tickets of a cluster or of an issue, and the weights of its words."""

    tickets: frozenset[int]
    terms: Mapping[str, float]


def identify(clusters: Sequence[Group], known: Mapping[int, Group]) -> list[int | None]:
    """For each cluster the id of its issue, none where it is a new one. No id is given twice.

    After a split the largest part keeps the id, after a merge the one with most common tickets lives on. The order
    of the clusters does not matter.
    """
    given: dict[int, int] = {}
    taken: set[int] = set()

    def give(candidates: list[tuple[float, int, int, int]]) -> None:
        for _, identity, _, number in sorted(candidates):
            if number not in given and identity not in taken:
                given[number] = identity
                taken.add(identity)

    give(_by_tickets(clusters, known))
    visible = frozenset().union(*(cluster.tickets for cluster in clusters))
    asleep = {identity: group for identity, group in known.items() if identity not in taken}
    give(
        [
            (-likeness, identity, min(cluster.tickets), number)
            for number, cluster in enumerate(clusters)
            if number not in given
            for identity, group in asleep.items()
            if group.tickets.isdisjoint(visible)
            and (likeness := likeness_of(cluster.terms, group.terms)) >= LEAST_LIKENESS
        ]
    )
    return [given.get(number) for number in range(len(clusters))]


def _by_tickets(clusters: Sequence[Group], known: Mapping[int, Group]) -> list[tuple[float, int, int, int]]:
    issue_of = {ticket: identity for identity, group in known.items() for ticket in group.tickets}
    candidates = []
    for number, cluster in enumerate(clusters):
        common = Counter(issue_of[ticket] for ticket in cluster.tickets if ticket in issue_of)
        for identity, count in common.items():
            if count >= LEAST_SHARE * min(len(cluster.tickets), len(known[identity].tickets)):
                candidates.append((float(-count), identity, min(cluster.tickets), number))
    return candidates


def likeness_of(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """The cosine between two sets of weighted words: 0 nothing in common, 1 the same."""
    common = sum(weight * other[word] for word, weight in one.items() if word in other)
    lengths = sqrt(sum(w * w for w in one.values())) * sqrt(sum(w * w for w in other.values()))
    return common / lengths if lengths else 0.0
