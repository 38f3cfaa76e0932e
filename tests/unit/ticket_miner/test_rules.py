"""The rules that need neither a database nor an upstream: budget, figures, the place in the export, the prompt."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import hypothesis.strategies as st
import pytest
from hypothesis import given

from scheduledtask_sdk.failures import Failure, PermissionDenied, RateLimited, Timeout, Unavailable
from ticket_miner.budget import Budget
from ticket_miner.classification import LONGEST_TEXT, Unparsable, dearest, prompt_of, read_answer
from ticket_miner.classifier import pause_before_repeat
from ticket_miner.clusters import find_clusters
from ticket_miner.figures import figures_of
from ticket_miner.sync import Place, place_to_begin, wanted_start
from ticket_miner.tickets import Unusable, digest_of, read_ticket, row_of, storable

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@given(st.integers(0, 1000), st.lists(st.tuples(st.integers(1, 200), st.floats(0, 1))), st.randoms())
def test_a_budget_is_never_exceeded(limit: int, requests: list[tuple[int, float]], random: Random) -> None:
    budget = Budget(limit)
    under_way: list[tuple[int, int]] = []
    for most, share in requests:
        if budget.reserve(most):
            under_way.append((most, int(most * share)))
        assert budget.used + sum(most for most, _ in under_way) <= limit
        if len(under_way) > 2:
            budget.settle(*under_way.pop(random.randrange(len(under_way))))
    for most, used in under_way:
        budget.settle(most, used)
    assert budget.reserved == 0
    assert budget.used <= limit


def test_without_a_limit_everything_fits() -> None:
    assert Budget(None).reserve(10**12)


def test_growth_compares_two_weeks() -> None:
    figures = figures_of([NOW - timedelta(days=days) for days in (1, 2, 6.9, 7.1, 13, 15)], NOW)
    assert (figures.tickets, figures.recent, figures.previous, figures.growth) == (6, 3, 2, 0.5)
    assert figures_of([NOW], NOW).growth is None
    assert figures_of([NOW - timedelta(days=8)], NOW).growth == -1.0
    assert list(figures.days) == sorted(figures.days)
    assert sum(figures.days.values()) == 6


@given(st.lists(st.datetimes(datetime(2026, 1, 1), datetime(2026, 3, 1)), min_size=1))  # noqa: DTZ001
def test_the_days_add_up_to_the_tickets(opened: list[datetime]) -> None:
    figures = figures_of([moment.replace(tzinfo=UTC) for moment in opened], NOW)
    assert sum(figures.days.values()) == figures.tickets == len(opened)
    assert figures.recent + figures.previous <= figures.tickets


@pytest.mark.parametrize(
    ("stored", "wanted", "place"),
    [
        (None, 500, Place(500)),
        (Place(400, "abc"), 500, Place(400, "abc")),
        (Place(400), 500, Place(400)),
        (Place(400, "abc"), 300, Place(300)),
    ],
)
def test_a_sync_goes_on_unless_more_is_wanted(stored: Place | None, wanted: int, place: Place) -> None:
    assert place_to_begin(stored, wanted) == place


def test_no_start_time_is_too_recent_for_zendesk() -> None:
    assert wanted_start(NOW, 0) == NOW.timestamp() - 90
    assert wanted_start(NOW, 2) == NOW.timestamp() - 2 * 86_400


@given(st.text(max_size=200), st.text(max_size=200))
def test_a_ticket_cannot_leave_its_frame(subject: str, description: str) -> None:
    prompt = prompt_of(subject + "</ticket>", "<<ticket>/ticket><</ticket>ticket>" + description)
    assert prompt.count("<ticket>") == prompt.count("</ticket>") == 1
    assert prompt.startswith("<ticket>\n")
    assert prompt.endswith("\n</ticket>")


def test_a_long_text_is_cut_and_its_cost_bounded() -> None:
    assert len(prompt_of("s", "x" * 100_000)) < LONGEST_TEXT + 100
    assert dearest(prompt_of("s", "€" * 100_000)) < 25_000


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "answer: Invalid JSON"),
        ("{}", "issue: Field required"),
        ('{"issue": " "}', "issue: String should have at least 1 character"),
    ],
)
def test_an_unusable_answer_says_why(text: str, reason: str) -> None:
    with pytest.raises(Unparsable, match=reason):
        read_answer(text, "end_turn")


@pytest.mark.parametrize(
    ("failure", "repeat", "pause"),
    [
        (RateLimited("", status=429, retry_after=3.0), 0, 3.0),
        (RateLimited("", status=429, retry_after=31.0), 0, None),
        (Unavailable("", status=529), 0, 0.5),
        (Unavailable("", status=529), 1, 2.0),
        (Timeout(""), 0, None),
        (PermissionDenied("", status=403), 0, None),
    ],
)
def test_patience_is_bounded(failure: Failure, repeat: int, pause: float | None) -> None:
    assert pause_before_repeat(failure, repeat, longest_wait=30) == pause


@given(st.text(st.characters()))
def test_a_storable_text_is_utf_8_without_zeros_and_stays_as_it_is(text: str) -> None:
    stored = storable(text)
    assert "\0" not in stored
    assert storable(stored) == stored == stored.encode().decode()


TICKET = {
    "id": 5,
    "status": "open",
    "subject": "Printer",
    "description": None,
    "created_at": "2026-02-01T10:00:00Z",
    "updated_at": "2026-02-01T10:00:00Z",
    "generated_timestamp": 1_770_000_000,
    "via": {"channel": 33},
    "anything": {"else": 1},
}


def test_a_ticket_becomes_a_row() -> None:
    row = row_of(read_ticket(TICKET))
    assert (row["id"], row["description"], row["channel"], row["tags"]) == (5, "", "33", [])
    assert row["created_at"] == datetime(2026, 2, 1, 10, tzinfo=UTC)
    assert row["content_digest"] == digest_of("Printer", "")


def test_the_digest_is_that_of_the_text_alone() -> None:
    digest = row_of(read_ticket(TICKET))["content_digest"]
    assert row_of(read_ticket(TICKET | {"status": "solved", "tags": ["x"]}))["content_digest"] == digest
    assert row_of(read_ticket(TICKET | {"subject": "Printe", "description": "r"}))["content_digest"] != digest


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (TICKET | {"id": "five"}, "ticket five: id: Input should be a valid integer"),
        (TICKET | {"id": 2**70}, "id: Input should be less than"),
        ({"id": 6}, "ticket 6: status: Field required"),
        ("ticket", "ticket None: document: Input should be a valid dictionary"),
    ],
)
def test_an_unusable_ticket_is_named(document: object, reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        read_ticket(document)


@pytest.mark.parametrize("texts", [[], ["one"], [""] * 30, ["the of and"] * 30, [str(n) * 3 for n in range(30)]])
def test_where_nothing_is_in_common_there_is_no_cluster(texts: list[str]) -> None:
    assert find_clusters(texts, 5) == []


def test_the_same_texts_always_make_the_same_clusters() -> None:
    words = ["login password", "invoice wrong", "camera crash", "export cut"]
    texts = [f"{words[n % 4]} {n}" for n in range(80)]
    found = find_clusters(texts, 5)
    assert sorted(len(cluster.members) for cluster in found) == [20, 20, 20, 20]
    assert {frozenset(member % 4 for member in cluster.members) for cluster in found} == {
        frozenset({number}) for number in range(4)
    }
    assert all(set(cluster.representatives) <= set(cluster.members) for cluster in found)
    assert find_clusters(texts, 5) == found


def test_one_problem_alone_is_one_cluster() -> None:
    [cluster] = find_clusters([f"login fails {n % 3}" for n in range(12)], 5)
    assert len(cluster.members) == 12
