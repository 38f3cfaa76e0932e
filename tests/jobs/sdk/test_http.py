"""One request against a real HTTP server: what each answer means, and how long is waited."""

from __future__ import annotations

import json
import signal
import socket
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from scheduledtask_sdk import http
from scheduledtask_sdk.failures import (
    Failure,
    InvalidInput,
    MissingInput,
    NotFound,
    PermissionDenied,
    RateLimited,
    Timeout,
    Unavailable,
)
from tests.jobs.sdk.answers import Answer, AnswerServer
from tests.jobs.sdk.conftest import Trial

JSON = {"Content-Type": "application/json"}


def ask(server: AnswerServer, **options: object) -> str:
    with http.client(server.url, timeout=0.5) as client:
        settings: dict[str, object] = {"longest_wait": 3, "answer_limit": 1, "size_limit": 1000}
        return http.send(client, "GET", "/tickets?key=hidden", **(settings | options)).text  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "failure", "words"),
    [
        (Answer(400, JSON, b'{"error": "bad cursor"}'), InvalidInput, "answered 400: bad cursor"),
        (Answer(401, JSON, b'{"error": {"message": "who?"}}'), PermissionDenied, "answered 401: who?"),
        (Answer(403, JSON, b'{"status": {"message": "Forbidden", "status_code": 403}}'), PermissionDenied, "Forbidden"),
        (Answer(404), NotFound, "answered 404"),
        (Answer(408), Timeout, "answered 408"),
        (Answer(418, JSON, b'{"errorMessages": [], "errors": {"jql": "no field x"}}'), InvalidInput, "no field x"),
        (Answer(425), Unavailable, "answered 425"),
        (Answer(429), RateLimited, "answered 429"),
        (Answer(429, {"Retry-After": "3600"}), RateLimited, "answered 429"),
        (Answer(500, {"Content-Type": "text/plain"}, b"out of luck"), Unavailable, "answered 500: out of luck"),
        (Answer(502, {"Content-Type": "text/html"}, b"<html>"), Unavailable, "answered 502"),
        (Answer(503), Unavailable, "answered 503"),
        (Answer(504), Timeout, "answered 504"),
        (Answer(302, {"Location": "http://127.0.0.1:1/"}), InvalidInput, "answered 302"),
        (Answer(silence=5), Timeout, "did not answer in time"),
        (Answer(body=b"x" * 30, drip=0.1), Timeout, "did not answer in full within 1 s"),
        (Answer(promised=4000), Unavailable, "closed connection"),
        (Answer(body=b"x" * 2000), InvalidInput, "answered more than 1000 bytes"),
        (Answer(headers={"Content-Encoding": "gzip"}, body=b"not gzip"), InvalidInput, "can't be unpacked"),
    ],
)
def test_what_an_answer_means(server: AnswerServer, answer: Answer, failure: type[Failure], words: str) -> None:
    server.tell(answer)
    with pytest.raises(failure) as caught:
        ask(server)
    assert type(caught.value) is failure
    assert words in caught.value.message
    assert caught.value.message.startswith(f"GET {server.url}/tickets"), "method and address"
    assert "hidden" not in caught.value.message + json.dumps(caught.value.context)
    assert server.requests == ["GET /tickets?key=hidden"], "the next attempt asks again, not this one"


def test_a_good_answer_is_given_whole(server: AnswerServer) -> None:
    assert ask(server) == "fine"


def test_a_status_may_mean_something_else_here(server: AnswerServer) -> None:
    server.tell(Answer(404))
    with pytest.raises(MissingInput):
        ask(server)
    with pytest.raises(Unavailable):
        ask(server, statuses={404: Unavailable})
    assert ask(server, accept=(404,)) == "fine"


def test_a_server_that_is_not_there_may_come_back() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with http.client(url) as client, pytest.raises(Unavailable, match="refused"):
        http.send(client, "POST", "/x", json={})


def soon() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("retry_after", [lambda: "1", soon], ids=["seconds", "date"])
def test_a_short_retry_after_is_waited_for(server: AnswerServer, status: int, retry_after: object) -> None:
    assert callable(retry_after)
    server.tell(Answer(status, {"Retry-After": retry_after()}), Answer())
    started = time.monotonic()
    assert ask(server) == "fine"
    assert time.monotonic() - started >= 0.5
    assert len(server.requests) == 2


def test_waits_are_bounded_all_together(server: AnswerServer) -> None:
    server.tell(Answer(429, {"Retry-After": "0"}))
    started = time.monotonic()
    with pytest.raises(RateLimited):
        ask(server, longest_wait=1.2)
    assert time.monotonic() - started < 5
    assert len(server.requests) == 3


NOW = datetime(2025, 10, 20, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
        ("Mon, 20 Oct 2025 12:01:30 -0000", 90.0),
        ("soon", None),
        ("-1", None),
        ("²", None),
        ("", None),
    ],
)
def test_retry_after_is_a_number_of_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert http.retry_after({"retry-after": value}, NOW) == seconds


def test_a_job_tells_a_refused_key_with_the_mend_and_without_the_key(trial: Trial, server: AnswerServer) -> None:
    said = b'{"message": "Bearer tok-12345 with query-secret was refused."}'
    server.tell(Answer(403, JSON, said))
    ended = trial.run("fetch", TRIAL_ADDRESS=server.url, TRIAL_TOKEN="tok-12345")
    assert ended.exit_code == 77
    refused = "answered 403: Bearer [redacted] with [redacted] was refused. Is TRIAL_TOKEN right?"
    assert ended.error["message"] == f"GET {server.url}/ {refused}"
    assert "tok-12345" not in ended.log
    assert "query-secret" not in ended.log


def test_what_a_status_means_can_be_said_for_all_of_a_job(trial: Trial, server: AnswerServer) -> None:
    server.tell(Answer(404))
    ended = trial.run("fetch", TRIAL_ADDRESS=server.url)
    assert (ended.exit_code, ended.error["class"]) == (75, "Unavailable")


def test_what_can_not_be_sent_is_a_matter_of_configuration(trial: Trial, server: AnswerServer) -> None:
    assert trial.run("fetch", TRIAL_ADDRESS="ftp://127.0.0.1").exit_code == 78
    assert trial.run("fetch", TRIAL_ADDRESS=server.url, TRIAL_TOKEN="two\nlines").exit_code == 78


def test_sigterm_ends_a_wait_for_a_server(trial: Trial, server: AnswerServer) -> None:
    server.tell(Answer(429, {"Retry-After": "50"}))
    process = trial.start("fetch", "--longest-wait=100", TRIAL_ADDRESS=server.url)
    assert process.stderr is not None
    assert any("waiting as asked" in line for line in process.stderr)
    process.send_signal(signal.SIGTERM)
    ended = trial.ended(process)
    assert (ended.exit_code, ended.error["class"]) == (75, "Interrupted")
