"""refresh-patch-meta against a server that speaks Riot's wire format, with and without faults."""

from __future__ import annotations

import json
import signal
import socket
from datetime import datetime
from typing import Any

import pytest

from tests.unit.match_history.conftest import Ended, Job
from tests.upstreams.riot import Fault, RiotServer

PLATFORM, VERSIONS = "/lol/status/v4/platform-data", "/api/versions.json"
RETRIES_LEFT = {"TASK_FAILED_ATTEMPTS": "0", "TASK_MAX_ATTEMPTS": "3"}
LAST_ATTEMPT = {"TASK_FAILED_ATTEMPTS": "2", "TASK_MAX_ATTEMPTS": "3"}


def ask(job: Job, riot: RiotServer, **environment: str) -> Ended:
    settings = {
        "RIOT_API_KEY": riot.key,
        "RIOT_BASE_URL": riot.url,
        "DATA_DRAGON_BASE_URL": riot.url,
        "RIOT_TIMEOUT": "1",
    }
    ended = job.run("refresh-patch-meta", **(settings | environment))
    assert riot.key not in ended.log + json.dumps(ended.termination) + json.dumps(meta(job)), "the key got out"
    return ended


def meta(job: Job) -> dict[str, Any] | None:
    path = job.root / "config" / "meta.json"
    return json.loads(path.read_bytes()) if path.exists() else None


def test_patch_and_platform_are_written(job: Job, riot: RiotServer) -> None:
    ended = ask(job, riot)
    assert ended.exit_code == 0
    assert ended.message == "patch 15.21 (source riot_api); EU West: 1 maintenances, 1 incidents"
    written = meta(job)
    assert written is not None
    assert (written["patch"], written["source"]) == ("15.21", "riot_api")
    assert datetime.fromisoformat(written["last_updated"]).tzinfo is not None
    assert written["platform"]["incidents"][0]["title"] == "Ranked queues are closed"
    assert written["platform"]["maintenances"][0]["maintenance_status"] == "scheduled"


def test_a_key_with_a_line_end_around_it_works(job: Job, riot: RiotServer) -> None:
    assert ask(job, riot, RIOT_API_KEY=f"{riot.key}\n").exit_code == 0


def test_without_a_key_the_patch_is_had_all_the_same(job: Job, riot: RiotServer) -> None:
    ended = ask(job, riot, RIOT_API_KEY="")
    assert ended.exit_code == 0
    assert ended.message.endswith("no platform data: not asked: RIOT_API_KEY is not set")
    assert riot.requests == [VERSIONS]


passing = pytest.mark.parametrize(
    ("fault", "kind"),
    [
        pytest.param(Fault("slow", seconds=30), "Timeout", id="no answer in time"),
        pytest.param(Fault("status", status=429), "RateLimited", id="429 without Retry-After"),
        pytest.param(Fault("status", status=429, retry_after="3600"), "RateLimited", id="429 with a long Retry-After"),
        pytest.param(Fault("status", status=500), "Unavailable", id="500"),
        pytest.param(Fault("status", status=503), "Unavailable", id="503"),
        pytest.param(Fault("truncated"), "Unavailable", id="an answer that breaks off"),
    ],
)


@passing
def test_a_passing_fault_is_left_to_the_next_attempt(job: Job, riot: RiotServer, fault: Fault, kind: str) -> None:
    riot.fault = fault
    ended = ask(job, riot, **RETRIES_LEFT)
    assert ended.exit_code == 75
    assert (ended.error["class"], ended.error["retryable"]) == (kind, True)
    assert meta(job) is None


@passing
def test_on_the_last_attempt_a_passing_fault_ends_in_the_fallback(
    job: Job, riot: RiotServer, fault: Fault, kind: str
) -> None:
    riot.fault = fault
    ended = ask(job, riot, **LAST_ATTEMPT)
    assert ended.exit_code == 0
    assert ended.message.startswith("patch 15.20 (source fallback); fell back because http")
    written = meta(job)
    assert written is not None
    assert (written["patch"], written["source"], written["platform"]["id"]) == ("15.20", "fallback", "euw1")
    assert kind in ended.log


def test_by_hand_nobody_tries_again_so_the_fallback_is_written(job: Job, riot: RiotServer) -> None:
    riot.fault = Fault("status", status=503)
    assert ask(job, riot, PATCH_FALLBACK="16.1").exit_code == 0
    assert (meta(job) or {})["patch"] == "16.1"


def test_a_server_that_is_not_there_is_a_passing_fault(job: Job, riot: RiotServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    ended = ask(job, riot, RIOT_BASE_URL=url, DATA_DRAGON_BASE_URL=url, **RETRIES_LEFT)
    assert ended.exit_code == 75
    assert "Connection refused" in ended.error["message"]


@pytest.mark.parametrize(
    ("fault", "exit_code"),
    [
        pytest.param(Fault("status", status=401, path="/lol"), 77, id="401"),
        pytest.param(Fault("status", status=403, path="/lol"), 77, id="403"),
        pytest.param(Fault("echo", path="/lol"), 77, id="403 that repeats the key"),
        pytest.param(Fault("status", status=404, path="/lol"), 66, id="404"),
        pytest.param(Fault("status", status=302, path="/lol"), 65, id="a redirect"),
        pytest.param(Fault("garbage", path="/lol"), 65, id="garbage"),
    ],
)
def test_a_lasting_fault_writes_what_is_known_and_fails_at_once(
    job: Job, riot: RiotServer, fault: Fault, exit_code: int
) -> None:
    riot.fault = fault
    ended = ask(job, riot, **RETRIES_LEFT)
    assert ended.exit_code == exit_code
    assert ended.error["retryable"] is False
    assert ended.error["context"]["patch"] == "15.21"
    written = meta(job)
    assert written is not None
    assert (written["patch"], written["source"]) == ("15.21", "riot_api")
    assert PLATFORM in written["platform"]["missing"]


def test_a_wrong_key_is_told_with_the_mend(job: Job, riot: RiotServer) -> None:
    ended = ask(job, riot, RIOT_API_KEY="RGAPI-expired")
    assert ended.exit_code == 77
    assert "answered 403: Forbidden. Is RIOT_API_KEY right, and not expired?" in ended.error["message"]
    assert "RGAPI-expired" not in ended.log


def test_garbage_in_place_of_the_versions_writes_the_fallback_and_fails(job: Job, riot: RiotServer) -> None:
    riot.fault = Fault("garbage", path="/api")
    ended = ask(job, riot)
    assert ended.exit_code == 65
    written = meta(job)
    assert written is not None
    assert (written["patch"], written["source"], written["platform"]["name"]) == ("15.20", "fallback", "EU West")


def test_a_short_retry_after_is_waited_for(job: Job, riot: RiotServer) -> None:
    riot.fault = Fault("status", status=429, retry_after="1", times=1)
    ended = ask(job, riot, **RETRIES_LEFT)
    assert ended.exit_code == 0
    assert riot.requests == [PLATFORM, PLATFORM, VERSIONS]
    assert ended.result["duration_seconds"] >= 1


def test_while_attempts_are_left_the_last_file_stays(job: Job, riot: RiotServer) -> None:
    ask(job, riot)
    before = meta(job)
    riot.fault = Fault("status", status=500)
    ask(job, riot, **RETRIES_LEFT)
    assert meta(job) == before


def test_sigterm_ends_a_wait(job: Job, riot: RiotServer) -> None:
    riot.fault = Fault("status", status=429, retry_after="50")
    process = job.start(
        "refresh-patch-meta",
        RIOT_API_KEY=riot.key,
        RIOT_BASE_URL=riot.url,
        DATA_DRAGON_BASE_URL=riot.url,
        RIOT_LONGEST_WAIT="60",
    )
    assert process.stderr is not None
    assert any("waiting" in line for line in process.stderr)
    process.send_signal(signal.SIGTERM)
    ended = job.ended(process)
    assert (ended.exit_code, ended.error["class"]) == (75, "Interrupted")
    assert meta(job) is None
