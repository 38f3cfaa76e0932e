"""What the operator knows of a task at one moment, and whom news concern."""

from datetime import UTC, datetime

import msgspec

from scheduledtask.api.status import AppliedCronJob
from scheduledtask.controller.store import Store
from scheduledtask.domain.values import Key, Refusal, Start
from scheduledtask.kube.wire import CronJobObject, JobObject, Metadata, PodObject, ScheduledTaskObject
from tests.unit.kube import wire_objects as wire

REPORT = Key("match-history", "report")
APPLIED = AppliedCronJob(uid="uid-of-report", generation=1, digest="abc")
REFUSAL = Refusal("abc", "no", datetime(2026, 11, 22, tzinfo=UTC), final=True)


class News:
    """A store, and the keys it has called for a pass."""

    def __init__(self) -> None:
        self.keys: list[Key] = []
        self.store = Store(self.keys.append)

    def heard(self) -> list[Key]:
        """The keys since this was last asked."""
        keys, self.keys[:] = list(self.keys), []
        return keys


def task(**more: object) -> ScheduledTaskObject:
    return msgspec.json.decode(wire.task(**more), type=ScheduledTaskObject)  # type: ignore[arg-type]


def job(**more: object) -> JobObject:
    return msgspec.json.decode(wire.job(**more), type=JobObject)  # type: ignore[arg-type]


def test_a_task_that_does_not_exist_has_no_snapshot() -> None:
    assert News().store.snapshot(REPORT) is None


def test_a_snapshot_holds_the_task_and_all_its_children() -> None:
    store = News().store
    store.tasks.put(task())
    store.cron_jobs.put(msgspec.json.decode(wire.cron_job(), type=CronJobObject))
    store.jobs.put(job())
    store.pods.put(msgspec.json.decode(wire.pod(), type=PodObject))
    taken = store.snapshot(REPORT)
    assert taken is not None
    snapshot, version = taken
    assert (version, snapshot.task.key, len(store), list(store)) == (5, REPORT, 1, [REPORT])
    assert snapshot.cron_job is not None
    assert ([found.name for found in snapshot.jobs], [pod.name for pod in snapshot.pods]) == (
        ["run-1"],
        ["run-1-0-abc"],
    )


def test_children_may_be_known_before_their_task() -> None:
    news = News()
    news.store.jobs.put(job())
    assert (news.heard(), news.store.snapshot(REPORT), len(news.store)) == ([REPORT], None, 0)
    news.store.tasks.put(task())
    taken = news.store.snapshot(REPORT)
    assert taken is not None
    assert len(taken[0].jobs) == 1


def test_news_of_a_child_concern_its_task_once() -> None:
    news = News()
    news.store.jobs.put(job())
    assert news.heard() == [REPORT]
    news.store.jobs.put(job())
    news.store.jobs.put(job(annotations={"cronjob-scheduled": "no"}, resourceVersion="4"))
    assert news.heard() == []
    news.store.jobs.remove(Metadata(name="run-1", namespace="match-history", resource_version="9"))
    assert news.heard() == [REPORT]


def test_the_answer_to_a_write_is_news_and_the_event_that_follows_is_none() -> None:
    news = News()
    news.store.tasks.put(task())
    news.heard()
    written = task(status={"successCount": 1}, resourceVersion="6")
    news.store.tasks.put(written)
    assert news.heard() == [REPORT]
    news.store.tasks.put(written)
    assert news.heard() == []


def test_an_event_from_before_our_write_does_not_undo_it() -> None:
    store = News().store
    store.tasks.put(task(status={"successCount": 1}, resourceVersion="6"))
    store.tasks.put(task(resourceVersion="5"))
    taken = store.snapshot(REPORT)
    assert taken is not None
    assert (taken[0].task.status.success_count, taken[1]) == (1, 6)


def test_a_list_takes_away_what_is_gone() -> None:
    news = News()
    news.store.jobs.put(job())
    news.heard()
    news.store.jobs.keep_only(set(), 10)
    assert news.heard() == [REPORT]


class TestMemory:
    def test_what_was_applied_is_known_from_the_status_after_a_start(self) -> None:
        store = News().store
        store.tasks.put(task(status={"cronJob": APPLIED.model_dump()}))
        taken = store.snapshot(REPORT)
        assert taken is not None
        assert (taken[0].applied, taken[0].refusal) == (APPLIED, None)

    def test_what_was_applied_since_counts_more(self) -> None:
        store = News().store
        older = {"uid": "uid-of-report", "generation": 1, "digest": "older"}
        store.tasks.put(task(status={"cronJob": older}))
        store.remember(REPORT, APPLIED, REFUSAL)
        taken = store.snapshot(REPORT)
        assert taken is not None
        assert (taken[0].applied, taken[0].refusal) == (APPLIED, REFUSAL)

    def test_what_was_seen_of_late_attempts_is_in_the_next_snapshot(self) -> None:
        store = News().store
        store.tasks.put(task())
        store.remember_starts(REPORT, {"uid-of-run-1": Start((), None)})
        store.remember(REPORT, APPLIED)
        taken = store.snapshot(REPORT)
        assert taken is not None
        assert (taken[0].starts, taken[0].applied) == ({"uid-of-run-1": Start((), None)}, APPLIED)

    def test_a_deleted_task_is_forgotten(self) -> None:
        store = News().store
        store.tasks.put(task())
        store.remember(REPORT, APPLIED, REFUSAL)
        store.tasks.remove(Metadata(name="report", namespace="match-history", resource_version="8"))
        assert store.snapshot(REPORT) is None
        store.tasks.put(task(resourceVersion="9", uid="another"))
        taken = store.snapshot(REPORT)
        assert taken is not None
        assert (taken[0].applied, taken[0].refusal) == (None, None)
