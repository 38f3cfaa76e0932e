"""The pure parts of the fault proxy: what a request is, which fault meets it, what is done to the lines of a watch."""

import json

import pytest

from tests.faults.calls import Call, read_call
from tests.faults.end_state import differences, end_state, overlaps
from tests.faults.faults import Disturb, EndWatch, Fault, HeldLines, Kill, Moment, Refuse, Weather, at
from tests.receiver import Received

JOBS = "/apis/batch/v1/namespaces/lab/jobs"
TASK = "/apis/scheduledtask.dev/v1alpha1/namespaces/lab/scheduledtasks/hello"


@pytest.mark.parametrize(
    ("method", "path", "query", "call"),
    [
        ("GET", JOBS, {"limit": "500"}, Call("list", "jobs")),
        ("GET", JOBS, {"watch": "true"}, Call("watch", "jobs")),
        ("GET", f"{JOBS}/hello-x", {}, Call("get", "jobs", "hello-x")),
        ("DELETE", f"{JOBS}/hello-x", {}, Call("delete", "jobs", "hello-x")),
        ("PUT", f"{TASK}/status", {}, Call("update", "scheduledtasks/status", "hello")),
        ("PATCH", TASK, {}, Call("patch", "scheduledtasks", "hello")),
        ("GET", "/api/v1/pods", {"watch": "true"}, Call("watch", "pods")),
        ("PATCH", "/api/v1/namespaces/lab/pods/hello-x-0-ab1cd", {}, Call("patch", "pods", "hello-x")),
        (
            "GET",
            "/api/v1/namespaces/lab/pods",
            {"labelSelector": "batch.kubernetes.io/job-name=hello-x"},
            Call("list", "pods", "hello-x"),
        ),
        (
            "GET",
            JOBS,
            {"labelSelector": "scheduledtask.dev/task in (one,other)", "limit": "500"},
            Call("list", "jobs", "one,other"),
        ),
        ("GET", JOBS, {"labelSelector": "scheduledtask.dev/task"}, Call("list", "jobs")),
        ("GET", "/version", {}, Call("get", "/version")),
    ],
)
def test_a_request_is_read_as_what_it_asks_for(method: str, path: str, query: dict[str, str], call: Call) -> None:
    assert read_call(method, path, query) == call


def test_what_is_created_is_known_by_the_name_in_the_body() -> None:
    event = b'{"metadata": {"name": "hello.0123456789abcdef"}}'

    assert read_call("POST", JOBS, {}, b'{"metadata": {"name": "hello-x"}}') == Call("create", "jobs", "hello-x")
    assert read_call("POST", "/apis/events.k8s.io/v1/namespaces/lab/events", {}, event).name == "hello"


def test_a_fault_strikes_the_very_call_and_once() -> None:
    patch = Call("patch", "jobs", "a")
    weather = Weather((at(patch, 1, Kill(Moment.AFTER)),))

    struck = [weather.strike(call) for call in (patch, Call("patch", "jobs", "b"), patch, patch)]

    assert struck == [None, None, Kill(Moment.AFTER), None]


def test_equal_faults_count_their_calls_apart() -> None:
    call = Call("create", "jobs")
    weather = Weather((Fault(Refuse(500), times=1), Fault(Refuse(500), times=1)))

    assert [weather.strike(call) for _ in range(3)] == [Refuse(500), Refuse(500), None]


def test_faults_of_watches_do_not_befall_calls() -> None:
    weather = Weather((Fault(EndWatch(410), verbs=("watch",), times=1),))
    watch = Call("watch", "jobs")

    assert weather.strike(watch) is None
    assert [weather.strike_watch(watch) for _ in range(2)] == [EndWatch(410), None]


def line(kind: str, name: str, version: int) -> bytes:
    return json.dumps({"type": kind, "object": {"metadata": {"name": name, "resourceVersion": str(version)}}}).encode()


def test_held_lines_come_in_their_order_when_it_is_over() -> None:
    held = HeldLines()
    first, second = line("ADDED", "a", 1), line("MODIFIED", "a", 2)

    assert [held.take(first, Disturb.HOLD), held.take(second, Disturb.HOLD)] == [[], []]
    assert held.release(coalesce=False) == [first, second]
    assert held.release(coalesce=False) == []


def test_of_coalesced_lines_the_last_of_each_object_comes() -> None:
    held = HeldLines()
    lines = [line("ADDED", "a", 1), line("ADDED", "b", 2), line("MODIFIED", "a", 3)]
    for each in lines:
        held.take(each, Disturb.COALESCE)

    assert held.release(coalesce=True) == lines[1:]


def test_of_dropped_lines_only_bookmarks_come() -> None:
    held = HeldLines()
    bookmark = line("BOOKMARK", "", 9)

    assert held.take(line("DELETED", "a", 8), Disturb.DROP) == []
    assert held.take(bookmark, Disturb.DROP) == [bookmark]


def test_differences_name_what_is_missing_and_what_is_too_much() -> None:
    assert differences(("a", "b", "b"), ("b", "c")) == ["+ c", "- a", "- b"]


def message(identity: str, body: bytes) -> Received:
    return Received("/lab", {"webhook-id": identity}, body)


def test_a_message_that_comes_twice_is_one_fact_but_another_body_or_id_is_told() -> None:
    body = json.dumps({"type": "scheduledtask.failure", "data": {"task": "a", "counters": {}}}).encode()
    nothing: dict[str, dict[str, dict[str, object]]] = {"scheduledtasks": {}, "cronjobs": {}, "jobs": {}, "pods": {}}

    once = end_state(nothing, [], [message("1", body)])

    assert end_state(nothing, [], [message("1", body)] * 2) == once
    assert len(once) == 1
    assert differences(once, end_state(nothing, [], [message("1", body), message("1", body + b" ")])) == [
        "+ webhook 1: 2 bodies"
    ]
    assert differences(once, end_state(nothing, [], [message("1", body), message("2", body)])) != []


def test_only_runs_of_one_group_overlap() -> None:
    def task(**concurrency: str) -> dict[str, object]:
        return {"spec": {"concurrency": concurrency}}

    tasks = {"a": task(group="miner"), "b": task(group="miner"), "c": task(group="other"), "d": task()}
    moments = [frozenset({("a", "a-x"), ("c", "c-x"), ("d", "d-x"), ("d", "d-y")}), frozenset({("b", "b-x")})]

    assert overlaps(moments, tasks) == []
    assert overlaps([*moments, frozenset({("a", "a-x"), ("b", "b-x")})], tasks) == [
        "group miner: ['a-x', 'b-x'] at once"
    ]
