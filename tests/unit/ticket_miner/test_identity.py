"""Issues keep their numbers: whatever a clustering calls its clusters, and while tickets come and go."""

from __future__ import annotations

from random import Random

import hypothesis.strategies as st
import pytest
from hypothesis import given

from ticket_miner.identity import LEAST_LIKENESS, Group, identify, likeness_of

Partition = list[frozenset[int]]


@st.composite
def partitions(draw: st.DrawFn) -> Partition:
    """Disjoint sets of tickets, each of some size."""
    labels = draw(st.lists(st.integers(0, 7), min_size=1, max_size=80))
    return [members for label in range(8) if (members := frozenset(i for i, own in enumerate(labels) if own == label))]


def groups(partition: Partition, word: str = "w") -> list[Group]:
    return [Group(members, {f"{word}{number}": 1.0}) for number, members in enumerate(partition)]


def known(partition: Partition) -> dict[int, Group]:
    return {100 + number: group for number, group in enumerate(groups(partition, "k"))}


@given(partitions(), st.randoms())
def test_the_same_clusters_are_the_same_issues_in_whatever_order(partition: Partition, random: Random) -> None:
    order = list(range(len(partition)))
    random.shuffle(order)
    shuffled = [partition[number] for number in order]
    assert identify(groups(shuffled), known(partition)) == [100 + number for number in order]


@given(partitions(), partitions())
def test_no_issue_is_given_to_two_clusters(before: Partition, after: Partition) -> None:
    ids = [number for number in identify(groups(after), known(before)) if number is not None]
    assert len(ids) == len(set(ids))


@given(partitions(), st.sets(st.integers(0, 80)), st.integers(0, 7), st.integers(0, 200))
def test_an_issue_stays_while_tickets_are_added_and_fewer_than_half_of_its_own_go(
    partition: Partition, gone: set[int], grown: int, new: int
) -> None:
    kept = [
        frozenset(sorted(members - gone)) if len(members - gone) * 2 > len(members) else members
        for members in partition
    ]
    grown %= len(kept)
    kept[grown] |= frozenset(range(1000, 1000 + new))
    assert identify(groups(kept), known(partition)) == [100 + number for number in range(len(kept))]


@given(partitions(), st.sets(st.integers(2000, 2100), min_size=1))
def test_a_cluster_of_new_tickets_is_a_new_issue(partition: Partition, tickets: set[int]) -> None:
    after = [*groups(partition), Group(frozenset(tickets), {"quite": 1.0, "different": 1.0})]
    assert identify(after, known(partition))[-1] is None


def test_after_a_split_the_larger_part_is_the_issue() -> None:
    small, large = frozenset(range(4)), frozenset(range(4, 10))
    assert identify(groups([small, large]), known([small | large])) == [None, 100]


def test_after_a_merge_the_issue_with_more_tickets_lives_on() -> None:
    small, large = frozenset(range(4)), frozenset(range(4, 10))
    assert identify(groups([small | large]), known([small, large])) == [101]


def test_a_few_tickets_that_changed_sides_prove_nothing() -> None:
    assert identify(groups([frozenset(range(90, 190))]), known([frozenset(range(100))])) == [None]


def test_a_sleeping_issue_wakes_by_its_words() -> None:
    asleep = {7: Group(frozenset({1, 2, 3}), {"login": 0.8, "fails": 0.5})}
    same, other = {"login": 0.7, "fails": 0.6, "again": 0.1}, {"invoice": 0.8, "fails": 0.5}
    assert identify([Group(frozenset({50, 51}), same)], asleep) == [7]
    assert identify([Group(frozenset({50, 51}), other)], asleep) == [None]


def test_words_do_not_take_an_issue_away_whose_tickets_are_in_sight() -> None:
    words = {"login": 0.8, "fails": 0.5}
    before = {7: Group(frozenset({1, 2, 3}), words)}
    clusters = [Group(frozenset({50, 51}), words), Group(frozenset({1, 2, 3}), {"something": 1.0})]
    assert identify(clusters, before) == [None, 7]


@pytest.mark.parametrize(
    ("one", "other", "likeness"),
    [
        ({"a": 1.0}, {"a": 3.0}, 1.0),
        ({"a": 1.0}, {"b": 1.0}, 0.0),
        ({"a": 1.0, "b": 1.0}, {"a": 1.0}, LEAST_LIKENESS + 0.0071),
        ({}, {"a": 1.0}, 0.0),
    ],
)
def test_likeness_is_the_cosine(one: dict[str, float], other: dict[str, float], likeness: float) -> None:
    assert likeness_of(one, other) == pytest.approx(likeness, abs=1e-4)
