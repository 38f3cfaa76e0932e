"""The daily round: what is fetched, what counts as a change, what is recorded, answered and logged."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from scheduledtask_sdk.failures import InvalidInput, NotFound, Unavailable
from source_monitor.models import Check, FetchRun
from tests.jobs.source_monitor.conftest import Monitor, events
from tests.upstreams.watched_pages import DEMO_PAGES, Fault, Page, PageServer

TERMS = Page.html("<h1>Refunds</h1><p>Refunds are granted within 14 days.</p>")
NEW_TERMS = Page.html("<h1>Refunds</h1><p>Refunds are granted within 30 days.</p>")
FIELDS = {
    "started_at", "completed_at", "sources_processed", "sources_succeeded", "sources_failed", "changes_detected",
    "alerts_sent", "errors",
}  # fmt: skip


def test_the_first_round_keeps_a_first_version_and_sees_no_change(monitor: Monitor, pages: PageServer) -> None:
    pages.pages["/terms"] = TERMS
    monitor.add(f"{pages.url}/terms")

    before = datetime.now(UTC).replace(microsecond=0)
    success = monitor.success()

    result = dict(success.result)
    assert set(result) == FIELDS
    assert (
        before
        <= datetime.fromisoformat(str(result["started_at"]))
        <= datetime.fromisoformat(str(result["completed_at"]))
    )
    assert {name: result[name] for name in FIELDS if not name.endswith("_at")} == {
        "sources_processed": 1, "sources_succeeded": 1, "sources_failed": 0,
        "changes_detected": 0, "alerts_sent": 0, "errors": [],
    }  # fmt: skip
    assert success.message.startswith(
        "Daily fetch job completed: 1 sources processed, 1 succeeded, 0 failed, 0 changes"
    )
    assert monitor.texts() == ["# Refunds\nRefunds are granted within 14 days."]


def test_a_change_is_recorded_with_a_readable_account(monitor: Monitor, pages: PageServer) -> None:
    pages.pages["/terms"] = TERMS
    monitor.add(f"{pages.url}/terms")
    monitor.fetch()
    pages.pages["/terms"] = NEW_TERMS

    assert monitor.fetch()["changes_detected"] == 1

    assert monitor.accounts() == ["  # Refunds\n~ Refunds are granted within [-14-]{+30+} days."]
    assert len(monitor.texts()) == 2
    assert monitor.fetch()["changes_detected"] == 0


def test_a_page_that_shows_the_time_and_adverts_does_not_change(monitor: Monitor, pages: PageServer) -> None:
    pages.pages["/terms"] = DEMO_PAGES["/terms"]
    pages.pages["/news.xml"] = DEMO_PAGES["/news.xml"]
    monitor.add(f"{pages.url}/terms")
    monitor.add(f"{pages.url}/news.xml", "feed")
    bodies = set()
    for _ in range(3):
        assert monitor.fetch()["changes_detected"] == 0
        bodies.add(len(pages.asked()))
    assert (bodies, len(monitor.texts())) == ({2, 4, 6}, 1)


def test_feeds_and_pdf_files_change_by_entries_and_sentences(monitor: Monitor, pages: PageServer) -> None:
    pages.pages["/news.xml"] = Page.rss(("Hours", "9 to 16"), ("Prices", "See the list."))
    pages.pages["/notice.pdf"] = Page.pdf("Prices stay.", "Until May.")
    monitor.add(f"{pages.url}/news.xml", "feed")
    monitor.add(f"{pages.url}/notice.pdf", "pdf")
    assert monitor.fetch()["errors"] == []
    pages.pages["/news.xml"] = Page.rss(("Fees", "Fees rise."), ("Hours", "9 to 16"))
    pages.pages["/notice.pdf"] = Page.pdf("Prices rise.", "Until May.")

    assert monitor.fetch()["changes_detected"] == 2

    accounts = sorted(monitor.accounts())
    assert accounts[0] == "+ Fees: Fees rise."
    assert "Prices [-stay.-]{+rise.+}" in accounts[1]


def test_what_the_server_says_is_unchanged_is_not_sent_again(on_sqlite: Monitor, pages: PageServer) -> None:
    pages.pages["/terms"] = TERMS
    on_sqlite.add(f"{pages.url}/terms")
    on_sqlite.fetch()
    on_sqlite.fetch()

    first, second = pages.asked()
    assert "if-none-match" not in first.headers
    assert second.headers["if-none-match"] == TERMS.etag
    assert second.headers["if-modified-since"] == "Mon, 05 Oct 2026 10:00:00 GMT"
    assert first.headers["user-agent"].startswith("source-monitor/")
    pages.pages["/terms"] = NEW_TERMS
    assert on_sqlite.fetch()["changes_detected"] == 1


def test_sources_that_are_not_due_or_not_active_are_skipped_with_the_reason(
    on_sqlite: Monitor, pages: PageServer, capsys: pytest.CaptureFixture[str]
) -> None:
    pages.pages["/terms"] = TERMS
    on_sqlite.add(f"{pages.url}/terms?daily")
    on_sqlite.add(f"{pages.url}/terms?weekly", check_frequency="weekly")
    on_sqlite.add(f"{pages.url}/terms?inactive", active=False)
    for name in ("daily", "weekly"):
        pages.pages[f"/terms?{name}"] = TERMS
    assert on_sqlite.fetch(force=False)["sources_processed"] == 2
    on_sqlite.age(timedelta(days=1))
    capsys.readouterr()

    assert on_sqlite.fetch(force=False)["sources_processed"] == 1

    lines = events(capsys.readouterr().err)
    assert any(re.fullmatch(r"Skipped source 2: not due: weekly, last read .* UTC", line) for line in lines)
    assert "Skipped source 3: not active" in lines
    on_sqlite.age(timedelta(days=6))
    assert on_sqlite.fetch(force=False)["sources_processed"] == 2
    assert on_sqlite.fetch(source=2)["sources_processed"] == 1


def test_a_weekly_source_that_failed_is_tried_again_the_next_time(on_sqlite: Monitor, pages: PageServer) -> None:
    on_sqlite.add(f"{pages.url}/terms", check_frequency="weekly")
    with pytest.raises(NotFound):
        on_sqlite.fetch(force=False)
    pages.pages["/terms"] = TERMS
    assert on_sqlite.fetch(force=False)["sources_succeeded"] == 1


def test_the_log_tells_the_round_in_the_words_that_people_look_for(
    on_sqlite: Monitor, pages: PageServer, capsys: pytest.CaptureFixture[str]
) -> None:
    pages.pages["/terms"] = TERMS
    on_sqlite.add(f"{pages.url}/terms", name="Terms of Example")
    on_sqlite.add(f"{pages.url}/gone", name="Gone")
    on_sqlite.fetch()
    pages.pages["/terms"] = NEW_TERMS
    capsys.readouterr()

    result = on_sqlite.fetch()

    lines = events(capsys.readouterr().err)
    assert lines[0] == f"Starting daily fetch job at {result['started_at']}"
    for line in (
        "Processing source 1: Terms of Example",
        "Change detected for source 1",
        "Source 1 processed: success",
        "Processing source 2: Gone",
        "Source 2 processed: failure",
    ):
        assert lines.count(line) == 1
    assert lines[-1] == (
        "Daily fetch job completed: 2 sources processed, 1 succeeded, 1 failed, 1 changes detected, 0 alerts sent"
    )
    assert result["errors"] == ["source 2 (Gone): answered 404"]


def test_the_job_fails_when_all_sources_do_and_asks_for_another_attempt_when_all_may_pass(
    monitor: Monitor, pages: PageServer
) -> None:
    for name in ("a", "b"):
        pages.pages[f"/{name}"] = TERMS
        monitor.add(f"{pages.url}/{name}")
    pages.fault = Fault("status", status=503)

    with pytest.raises(Unavailable, match="all 2 sources failed; the first: answered 503") as failed:
        monitor.fetch("run-1")
    assert failed.value.context["sources_failed"] == 2
    assert set(failed.value.context) == FIELDS

    pages.fault = Fault("status", status=404, path="/a")
    result = monitor.fetch("run-1", attempt=2)
    assert (result["sources_processed"], result["sources_failed"], result["errors"]) == (
        2,
        1,
        ["source 1 (a): answered 404"],
    )


def test_where_not_all_failures_may_pass_another_attempt_is_not_asked_for(
    on_sqlite: Monitor, pages: PageServer
) -> None:
    on_sqlite.add(f"{pages.url}/gone")
    on_sqlite.add(f"{pages.url}/broken")
    pages.fault = Fault("status", status=500, path="/broken")
    with pytest.raises(NotFound, match="all 2 sources failed"):
        on_sqlite.fetch()
    pages.fault = Fault("garbage", path="/broken")
    with pytest.raises(InvalidInput, match="all 2 sources failed"):
        on_sqlite.fetch()


def test_another_attempt_does_what_is_left_and_answers_for_the_whole_run(monitor: Monitor, pages: PageServer) -> None:
    for name in ("a", "b"):
        pages.pages[f"/{name}"] = TERMS
        monitor.add(f"{pages.url}/{name}")
    pages.fault = Fault("status", status=500, path="/b")
    first = monitor.fetch("run-1")
    asked = len(pages.asked("/a"))
    pages.fault = None

    second = monitor.fetch("run-1", attempt=2)

    assert (first["sources_succeeded"], first["sources_failed"]) == (1, 1)
    assert (second["sources_processed"], second["sources_succeeded"], second["errors"]) == (2, 2, [])
    assert second["started_at"] == first["started_at"]
    assert len(pages.asked("/a")) == asked
    assert len(monitor.all(FetchRun)) == 1


def test_a_name_that_is_taken_again_is_another_run(on_sqlite: Monitor, pages: PageServer) -> None:
    pages.pages["/terms"] = TERMS
    on_sqlite.add(f"{pages.url}/terms")
    on_sqlite.fetch("now")
    pages.pages["/terms"] = NEW_TERMS
    assert on_sqlite.fetch("now")["changes_detected"] == 1
    result = on_sqlite.fetch("now")
    assert (result["sources_processed"], result["changes_detected"]) == (1, 0)


def test_without_sources_a_round_succeeds(monitor: Monitor) -> None:
    assert monitor.fetch()["sources_processed"] == 0
    with pytest.raises(InvalidInput, match="there is no source 7"):
        monitor.fetch(source=7)


def test_new_rules_of_reading_are_no_change_of_the_source(on_sqlite: Monitor, pages: PageServer) -> None:
    pages.pages["/terms"] = TERMS
    on_sqlite.add(f"{pages.url}/terms")
    on_sqlite.fetch()
    on_sqlite.add(f"{pages.url}/terms", reading={"drop": ["//h1"]})

    assert on_sqlite.fetch()["changes_detected"] == 0

    assert on_sqlite.texts()[-1] == "Refunds are granted within 14 days."
    assert "if-none-match" not in pages.asked()[-1].headers
    pages.pages["/terms"] = NEW_TERMS
    assert on_sqlite.fetch()["changes_detected"] == 1


def test_lines_that_a_source_ignores_are_no_change(on_sqlite: Monitor, pages: PageServer) -> None:
    pages.pages["/terms"] = Page.html("<p>Rules<p>Queue length: 4")
    on_sqlite.add(f"{pages.url}/terms", reading={"ignore": ["^Queue length"]})
    on_sqlite.fetch()
    pages.pages["/terms"] = Page.html("<p>Rules<p>Queue length: 5")
    assert on_sqlite.fetch()["changes_detected"] == 0


def test_a_page_that_lost_its_text_is_a_failure_and_its_last_version_stays(
    on_sqlite: Monitor, pages: PageServer
) -> None:
    pages.pages["/terms"] = TERMS
    pages.pages["/other"] = TERMS
    on_sqlite.add(f"{pages.url}/terms")
    on_sqlite.add(f"{pages.url}/other")
    on_sqlite.fetch()
    pages.pages["/terms"] = Page.html("<div id=app></div><script>render()</script>")

    result = on_sqlite.fetch()

    assert "it has no text; a page that is made by its scripts" in result["errors"][0]
    assert (on_sqlite.source(1).version, on_sqlite.source(1).consecutive_failures) == (1, 1)
    pages.pages["/terms"] = NEW_TERMS
    assert on_sqlite.fetch()["changes_detected"] == 1
    assert (on_sqlite.source(1).consecutive_failures, on_sqlite.source(1).last_error) == (0, "")


def test_so_many_versions_are_kept_and_every_change(monitor: Monitor, pages: PageServer) -> None:
    monitor.add(f"{pages.url}/terms")
    for days in range(6):
        pages.pages["/terms"] = Page.html(f"<p>Refunds within {days} days.</p><p>{'Long prose. ' * 200}")
        monitor.fetch(versions_kept=3)
    assert [text.split("\n")[0] for text in monitor.texts()] == [f"Refunds within {days} days." for days in (3, 4, 5)]
    assert len(monitor.accounts()) == 5


def test_thirty_errors_leave_a_result_that_a_termination_message_has_room_for(
    on_sqlite: Monitor, pages: PageServer
) -> None:
    pages.pages["/terms"] = TERMS
    on_sqlite.add(f"{pages.url}/terms")
    for number in range(30):
        on_sqlite.add(f"{pages.url}/{number}", name="Nicht mehr da – " + "ü" * 150)
    from scheduledtask_sdk.termination import fitted

    success = on_sqlite.success()
    message = fitted({"message": success.message, "result": {**success.result, "duration_seconds": 1.5}})
    assert b'"sources_failed":30' in message
    assert b"more, named in the log" in message
    assert all(name.encode() in message for name in FIELDS)


def test_what_came_of_old_runs_is_forgotten_and_changes_are_not(on_sqlite: Monitor, pages: PageServer) -> None:
    pages.pages["/terms"] = TERMS
    on_sqlite.add(f"{pages.url}/terms")
    on_sqlite.fetch("run-1")
    pages.pages["/terms"] = NEW_TERMS
    on_sqlite.fetch("run-2")
    on_sqlite.age(timedelta(days=100))
    on_sqlite.fetch("run-3")
    assert [row.run for row in on_sqlite.all(Check)] == ["run-3"]
    assert len(on_sqlite.accounts()) == 1
