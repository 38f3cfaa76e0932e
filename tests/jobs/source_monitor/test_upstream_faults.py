"""Servers that misbehave: each concerns its own sources, and its error says what happened and whether it may pass."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from scheduledtask_sdk.failures import PermissionDenied
from source_monitor.models import Check
from tests.jobs.source_monitor.conftest import Monitor
from tests.upstreams.watched_pages import Fault, Page, PageServer

TERMS = Page.html("<p>Refunds within 14 days.")


@pytest.fixture
def good() -> Iterator[PageServer]:
    """A server without faults."""
    with PageServer(pages={"/good": Page.html("<p>All is well.")}) as server:
        yield server


@pytest.fixture
def watching(monitor: Monitor, pages: PageServer) -> Monitor:
    """With a source on the server that a test puts faults into."""
    pages.pages["/terms"] = TERMS
    monitor.add(f"{pages.url}/terms")
    return monitor


def failed(monitor: Monitor, good: PageServer, **options: Any) -> Check:
    """A round in which the first source fails and another one, on a server without faults, does not."""
    monitor.add(f"{good.url}/good")
    result = monitor.fetch(**options)
    assert (result["sources_succeeded"], result["sources_failed"]) == (1, 1)
    [check] = [row for row in monitor.all(Check) if row.error]
    assert isinstance(check, Check)
    return check


@pytest.mark.parametrize(
    ("fault", "error", "retryable"),
    [
        (Fault("status", status=500), "answered 500", True),
        (Fault("status", status=503), "answered 503", True),
        (Fault("status", status=408), "answered 408", True),
        (Fault("status", status=429), "answered 429", True),
        (Fault("status", status=429, retry_after="3600"), "3600 s of quiet|answered 429", True),
        (Fault("status", status=401), "answered 401", False),
        (Fault("status", status=403), "answered 403", False),
        (Fault("status", status=404), "answered 404", False),
        (Fault("status", status=410), "answered 410", False),
        (Fault("status", status=204), "answered 204", False),
        (Fault("status", status=304), "304 to a request without conditions", False),
        (Fault("status", status=302), "answered 302", False),
        (Fault("slow"), "no whole answer within 0.4 s", True),
        (Fault("drip", seconds=0.2), "no whole answer within 0.4 s", True),
        (Fault("garbage"), "it is no page but text/html|binary", False),
        (Fault("truncated"), "broke off", True),
        (Fault("broken_gzip"), "compressed content is broken", False),
        (Fault("half_gzip"), "compressed content broke off", True),
        (Fault("bomb"), "longer than 10 MiB", False),
        (Fault("loop"), "redirects more than 5 times", False),
        (Fault("reset"), "no connection|broke off", True),
    ],
    ids=lambda value: f"{value.kind}-{value.status}" if isinstance(value, Fault) else None,
)
def test_a_fault_fails_its_source_alone(
    watching: Monitor, pages: PageServer, good: PageServer, fault: Fault, error: str, retryable: bool
) -> None:
    pages.fault = fault
    check = failed(watching, good, timeout=0.4 if fault.kind in ("slow", "drip") else 5.0)
    assert any(part in check.error for part in error.split("|")), check.error
    assert check.retryable is retryable
    assert len(pages.asked()) >= 2 if retryable and "3600" not in error else len(pages.asked()) >= 1


def test_a_server_that_is_gone_fails_its_source_alone(monitor: Monitor, good: PageServer) -> None:
    with PageServer() as closed:
        url = closed.url
    monitor.add(f"{url}/terms")
    check = failed(monitor, good)
    assert "no connection: " in check.error
    assert check.retryable


def test_a_bomb_is_not_unpacked_beyond_the_limit(watching: Monitor, pages: PageServer, good: PageServer) -> None:
    import tracemalloc

    pages.fault = Fault("bomb", megabytes=60)
    tracemalloc.start()
    try:
        failed(watching, good, size_limit=1)
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()


def test_a_fault_that_passes_is_got_over_within_the_round(watching: Monitor, pages: PageServer) -> None:
    pages.fault = Fault("status", status=500, times=1)
    assert watching.fetch()["sources_succeeded"] == 1
    assert len(pages.asked()) == 2


def test_retry_after_is_waited_out(watching: Monitor, pages: PageServer) -> None:
    pages.fault = Fault("status", status=429, retry_after="1", times=1)
    assert watching.fetch()["sources_succeeded"] == 1
    first, second = pages.asked()
    assert second.began - first.began >= 1


def test_a_host_that_asks_for_a_long_quiet_is_asked_nothing_more(
    watching: Monitor, pages: PageServer, good: PageServer
) -> None:
    pages.pages["/other"] = TERMS
    pages.fault = Fault("status", status=429, retry_after="3600", path="/terms")
    watching.add(f"{good.url}/good")
    other = watching.add(f"{pages.url}/other")
    result = watching.fetch()
    assert result["sources_failed"] == 2
    assert pages.asked("/other") == []
    assert "s of quiet" in next(row.error for row in watching.all(Check) if row.source_id == other)


@pytest.mark.parametrize(("limit", "size"), [(0.002, 3000), (0.002, 100_000)])
def test_a_document_beyond_the_limit_fails_before_it_is_read(
    watching: Monitor, pages: PageServer, good: PageServer, limit: float, size: int
) -> None:
    pages.pages["/terms"] = Page.html(f"<p>{'x' * size}")
    assert "longer than 0.002 MiB" in failed(watching, good, size_limit=limit).error


@pytest.mark.parametrize(
    ("page", "kind", "error"),
    [
        (Page.pdf("text"), "html", "it is a PDF file; set the source's kind to pdf"),
        (Page(b"\x89PNG", "image/png"), "html", "it is no page but image/png"),
        (TERMS, "pdf", "not a PDF file"),
        (Page(Page.pdf("text").body[:300], "application/pdf"), "pdf", "broken PDF|no text"),
        (TERMS, "feed", "no RSS or Atom feed"),
        (Page.pdf(), "pdf", "scanned pages are pictures"),
    ],
)
def test_a_document_of_another_kind_is_told(
    monitor: Monitor, pages: PageServer, good: PageServer, page: Page, kind: str, error: str
) -> None:
    pages.pages["/x"] = page
    monitor.add(f"{pages.url}/x", kind)
    check = failed(monitor, good)
    assert any(part in check.error for part in error.split("|")), check.error


def test_a_redirect_is_followed_and_robots_minded_at_each_step(
    watching: Monitor, pages: PageServer, good: PageServer
) -> None:
    pages.pages["/terms"] = Page(redirect="/moved")
    pages.pages["/moved"] = TERMS
    assert watching.fetch()["sources_succeeded"] == 1
    pages.robots = "User-agent: *\nDisallow: /moved"
    check = failed(watching, good)
    assert "robots.txt does not allow source-monitor to read /moved" in check.error


@pytest.mark.parametrize(
    "target", ["ftp://example.com/", "http://[", "file:///etc/passwd", "http://user:pw@example.com/", "javascript:x"]
)
def test_a_redirect_to_what_is_no_page_is_refused(
    watching: Monitor, pages: PageServer, good: PageServer, target: str
) -> None:
    pages.pages["/terms"] = Page(redirect=target)
    assert "which is no address to read" in failed(watching, good).error


def test_neither_a_source_nor_a_redirect_leads_to_internal_addresses(
    watching: Monitor, pages: PageServer, good: PageServer
) -> None:
    pages.pages["/terms"] = Page(redirect=f"http://127.0.0.2:{pages.port}/terms")
    check = failed(watching, good)
    assert "127.0.0.2 is 127.0.0.2, an internal address" in check.error
    assert (check.failure, check.retryable) == ("PermissionDenied", False)


def test_a_name_is_judged_by_the_address_that_it_resolves_to(on_sqlite: Monitor, pages: PageServer) -> None:
    on_sqlite.add(f"http://localhost:{pages.port}/terms")
    with pytest.raises(PermissionDenied, match="an internal address; ALLOWED_INTERNAL_NETWORKS can allow it"):
        on_sqlite.fetch(internal_networks="")
    assert pages.requests == []


def test_robots_txt_is_obeyed_asked_for_once_and_may_be_missing(
    watching: Monitor, pages: PageServer, good: PageServer
) -> None:
    pages.pages["/private/rules"] = TERMS
    pages.pages["/other"] = TERMS
    pages.robots = "User-agent: *\nDisallow: /\n\nUser-agent: source-monitor\nDisallow: /private\n"
    watching.add(f"{pages.url}/other")
    watching.add(f"{pages.url}/private/rules")
    result = watching.fetch()
    assert result["sources_succeeded"] == 2
    assert result["errors"] == ["source 3 (rules): its robots.txt does not allow source-monitor to read /private/rules"]
    assert len(pages.asked("/robots.txt")) == 1
    assert pages.asked("/private/rules") == []


@pytest.mark.parametrize(
    ("fault", "allowed"),
    [
        (Fault("status", status=403, path="/robots.txt"), True),
        (Fault("garbage", path="/robots.txt"), True),
        (Fault("loop", path="/robots.txt"), True),
        (Fault("status", status=500, path="/robots.txt"), False),
        (Fault("slow", path="/robots.txt"), False),
    ],
    ids=lambda value: f"{value.kind}-{value.status}" if isinstance(value, Fault) else None,
)
def test_a_robots_txt_that_is_refused_allows_all_and_one_that_fails_allows_nothing_for_now(
    watching: Monitor, pages: PageServer, good: PageServer, fault: Fault, allowed: bool
) -> None:
    pages.fault = fault
    if allowed:
        assert watching.fetch()["sources_succeeded"] == 1
    else:
        check = failed(watching, good, timeout=0.4)
        assert "robots.txt can't be read now" in check.error
        assert check.retryable
        assert pages.asked() == []


def test_a_host_is_asked_one_thing_at_a_time_with_a_pause_and_hosts_side_by_side(on_sqlite: Monitor) -> None:
    with PageServer() as one, PageServer() as other:
        for server in (one, other):
            server.fault = Fault("slow", seconds=0.2)
            for number in range(3):
                server.pages[f"/{number}"] = TERMS
                on_sqlite.add(f"{server.url}/{number}")
        began = time.monotonic()
        assert on_sqlite.fetch(host_pause=0.2)["sources_succeeded"] == 6
        took = time.monotonic() - began
    for server in (one, other):
        assert server.most_at_a_time == 1
        starts = [request.began for request in server.requests]
        assert all(later - earlier >= 0.2 for earlier, later in pairwise(starts))
    first, last = one.asked()[0].began, one.asked()[-1].began
    assert first < other.asked()[-1].began < last + 0.5, "the two hosts are asked at the same time"
    assert took >= 3 * 0.4


def test_a_crawl_delay_is_kept(watching: Monitor, pages: PageServer) -> None:
    pages.robots = "User-agent: *\nCrawl-delay: 0.5\n"
    pages.pages["/other"] = TERMS
    watching.add(f"{pages.url}/other")
    assert watching.fetch()["sources_succeeded"] == 2
    first, second = pages.asked()
    assert second.began - first.began >= 0.5
