"""What is known of one kind of object: the newest version stays, and what is gone stays gone."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduledtask.controller.shelf import TOMBSTONES, Entry, Shelf
from scheduledtask.domain.values import Key

TASK, OTHER = Key("ns", "task"), Key("ns", "other")
A, B = Key("ns", "a"), Key("ns", "b")


def entry(version: int, value: str = "", key: Key = A, task: Key = TASK) -> Entry[str]:
    return Entry(key, task, version, value or f"v{version}")


def shelf(*entries: Entry[str]) -> Shelf[str]:
    made: Shelf[str] = Shelf()
    for one in entries:
        made.put(one)
    return made


def values(made: Shelf[str], task: Key = TASK) -> list[str]:
    return [one.value for one in made.of(task)]


class TestPut:
    def test_a_newer_version_replaces_an_older_one(self) -> None:
        made = shelf(entry(1), entry(2))
        assert (values(made), len(made)) == (["v2"], 1)

    def test_an_older_or_equal_version_changes_nothing(self) -> None:
        made = shelf(entry(5))
        assert made.put(entry(4)) == made.put(entry(5, "other")) == set()
        assert values(made) == ["v5"]

    def test_a_change_concerns_its_task(self) -> None:
        assert shelf().put(entry(1)) == {TASK}

    def test_a_new_version_of_the_same_value_concerns_nobody_but_counts_as_seen(self) -> None:
        made = shelf(entry(1, "same"))
        assert made.put(entry(3, "same")) == set()
        assert made.put(entry(2, "late")) == set()
        assert made.of(TASK)[0].version == 3

    def test_an_object_that_goes_over_to_another_task_concerns_both(self) -> None:
        made = shelf(entry(1))
        assert made.put(entry(2, task=OTHER)) == {TASK, OTHER}
        assert (values(made), values(made, OTHER)) == ([], ["v2"])
        assert list(made.tasks()) == [OTHER]


class TestRemove:
    def test_what_is_removed_is_gone_and_concerns_its_task(self) -> None:
        made = shelf(entry(1), entry(1, key=B))
        assert made.remove(A, 2) == {TASK}
        assert (len(made), len(made.of(TASK))) == (1, 1)

    def test_a_late_answer_does_not_bring_it_back(self) -> None:
        made = shelf(entry(1))
        made.remove(A, 5)
        assert made.put(entry(4)) == set()
        assert len(made) == 0

    def test_a_new_object_of_the_name_does(self) -> None:
        made = shelf(entry(1))
        made.remove(A, 5)
        assert made.put(entry(6)) == {TASK}

    def test_a_late_deletion_does_not_take_a_new_object_of_the_name(self) -> None:
        made = shelf(entry(9))
        assert made.remove(A, 5) == set()
        assert values(made) == ["v9"]

    def test_a_late_deletion_does_not_hide_a_later_one(self) -> None:
        made = shelf()
        made.remove(A, 10)
        made.remove(A, 6)
        assert made.put(entry(7)) == set()

    def test_removing_what_is_not_known_concerns_nobody(self) -> None:
        assert shelf().remove(A, 5) == set()

    def test_deletions_without_end_do_not_fill_the_memory(self) -> None:
        made = shelf()
        for number in range(TOMBSTONES + 10):
            made.remove(Key("ns", f"job-{number}"), number)
        assert len(made._removed) == TOMBSTONES


class TestForget:
    def test_what_we_deleted_ourselves_is_gone_at_once_and_stays_so(self) -> None:
        made = shelf(entry(7, "ended"))
        made.forget(A)
        assert values(made) == []
        assert made.put(entry(7, "ended")) == set()

    def test_forgetting_what_is_not_known_does_nothing(self) -> None:
        shelf().forget(A)


def relist(made: Shelf[str], version: int, *entries: Entry[str]) -> set[Key]:
    """Put all that a list holds, as it is read; then what it did not hold is gone. Returns whom that concerns."""
    concerned: set[Key] = set()
    for one in entries:
        concerned |= made.put(one)
    return concerned | made.keep_only({one.key for one in entries}, version)


class TestList:
    def test_what_is_not_in_the_list_is_gone(self) -> None:
        made = shelf(entry(1), entry(2, key=B, task=OTHER))
        assert relist(made, 10, entry(1)) == {OTHER}
        assert (values(made), values(made, OTHER)) == (["v1"], [])

    def test_what_is_newer_than_the_list_stays(self) -> None:
        made = shelf(entry(11))
        assert relist(made, 10) == set()
        assert values(made) == ["v11"]

    def test_what_the_list_knows_better_is_taken_from_it(self) -> None:
        made = shelf(entry(1))
        assert relist(made, 10, entry(3), entry(4, key=B)) == {TASK}
        assert values(made) == ["v3", "v4"]

    def test_a_late_event_from_before_the_list_does_not_bring_back_what_it_did_not_hold(self) -> None:
        made = shelf()
        relist(made, 10)
        assert made.put(entry(9)) == set()
        assert made.put(entry(11)) == {TASK}


def at_server(version: int) -> Entry[str] | None:
    """What the API server has at a version: at odd ones the object was put, at even ones deleted."""
    return entry(version) if version % 2 else None


DELIVERIES = st.lists(st.tuples(st.sampled_from(["event", "list"]), st.integers(1, 9)), max_size=12)


@given(st.integers(1, 9), DELIVERIES)
@settings(deadline=None)
def test_in_whatever_order_news_arrives_the_latest_is_what_stays(latest: int, deliveries: Any) -> None:
    """Watch events, lists and answers to writes, late or repeated: once the latest is heard, it is what is known."""
    made = shelf()
    for kind, version in [*((kind, min(version, latest)) for kind, version in deliveries), ("event", latest)]:
        now = at_server(version)
        if kind == "list":
            relist(made, version, *([now] if now else []))
        elif now:
            made.put(now)
        else:
            made.remove(A, version)
    now = at_server(latest)
    assert values(made) == ([now.value] if now else [])
    for version in range(1, latest):
        old = at_server(version)
        if old:
            made.put(old)
    assert values(made) == ([now.value] if now else []), "repeated news change nothing"
