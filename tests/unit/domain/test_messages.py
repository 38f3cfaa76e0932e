"""The outbox: each event once, under an id of its own, until it is settled; and nothing without a webhook."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduledtask.api.spec import Webhook
from scheduledtask.api.status import WebhookMessage
from scheduledtask.domain.delivery import body_of
from scheduledtask.domain.messages import OUTBOX_LIMIT
from scheduledtask.domain.values import Job
from tests.unit.builders import NOON, a_job, a_pod, a_spec, a_task, at, exited, failed, succeeded
from tests.unit.world import World, stored

URL = "https://hooks.example/x"


def telling(*events: str, **alerts: Any) -> World:
    """A task on demand that tells these events, in place since 11:30; one failed run makes it unhealthy."""
    told = {"consecutiveFailures": 1, "webhook": {"url": URL, "events": list(events)}, **alerts}
    world = World(a_task(schedule=None, alerts=told))
    world.settle(at("11:30"))
    return world


def run(world: World, name: str, end: datetime, *, well: bool) -> Job:
    job = a_job(name)
    job = succeeded(job, end) if well else failed(job, end)
    world.jobs += (job,)
    world.pods += (a_pod(job, exited(0 if well else 3, '{"result": {"token": 1}}' if well else "no")),)
    world.settle(end)
    return job


def waiting(world: World) -> list[WebhookMessage]:
    return list(world.status().webhook_messages)


def types(world: World) -> list[str]:
    return [message.type.removeprefix("scheduledtask.") for message in waiting(world)]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (["Failure"], ["failure", "failure"]),
        (["Recovery"], ["recovery"]),
        (["Failure", "Recovery"], ["failure", "recovery", "failure"]),
        (["Completion"], ["completion"] * 4),
    ],
)
def test_each_turn_of_the_health_and_each_run_is_told_once_if_asked_for(events: list[str], expected: list[str]) -> None:
    world = telling(*events)
    for minute, well in ((1, False), (2, False), (3, True), (4, False)):
        run(world, f"run-{minute}", at(f"12:{minute:02}"), well=well)
    assert types(world) == expected
    assert len({message.id for message in waiting(world)}) == len(expected)


def test_what_is_told_names_the_task_the_run_and_why_and_not_its_result() -> None:
    world = telling("Failure", "Completion")
    run(world, "good", at("12:01"), well=True)
    run(world, "bad", at("12:02"), well=False)
    good, bad, failure = waiting(world)
    assert (good.timestamp, good.data["run"]["run"], good.data["run"]["outcome"]) == (at("12:01"), "good", "Succeeded")
    assert "token" not in str(good.data)
    assert {key: bad.data["run"][key] for key in ("outcome", "reason", "message", "exitCode", "attempts")} == {
        "outcome": "Failed",
        "reason": "NonZeroExit",
        "message": "no",
        "exitCode": 3,
        "attempts": 1,
    }
    assert failure.data["run"] == bad.data["run"]
    assert (failure.data["namespace"], failure.data["task"]) == ("match-history", "report")
    assert failure.data["healthy"] == {
        "status": "False",
        "reason": "ConsecutiveFailures",
        "message": "The last run failed: see lastError.",
        "since": "2026-11-22T12:02:00Z",
    }
    assert failure.data["counters"]["consecutiveFailures"] == 1


def test_a_task_without_a_webhook_keeps_no_messages() -> None:
    world = World(a_task(schedule=None, alerts={"consecutiveFailures": 1}))
    world.settle(at("11:30"))
    run(world, "bad", at("12:01"), well=False)
    assert waiting(world) == []
    assert world.status_writes == 2


def test_slots_without_a_run_are_told_as_health_only_and_not_as_completions() -> None:
    webhook = {"url": URL, "events": ["Failure", "Completion"]}
    task = a_task(catchUp="None", alerts={"missedSlots": 2, "webhook": webhook})
    world = World(replace(task, creation_time=at("11:30")))
    world.settle(at("11:30"))
    world.settle(at("14:30"))
    [failure] = waiting(world)
    assert failure.data["healthy"]["reason"] == "MissedSlots"
    assert failure.data["counters"]["missed"] == failure.data["counters"]["consecutiveMissed"] == 3
    assert "run" not in failure.data


def test_the_operators_webhook_hears_of_tasks_that_name_none() -> None:
    world = World(a_task(schedule=None, alerts={"consecutiveFailures": 1}), default_webhook=Webhook(url=URL))
    world.settle(at("11:30"))
    run(world, "bad", at("12:01"), well=False)
    assert types(world) == ["failure"]


def test_what_is_settled_leaves_in_one_write_and_does_not_come_back() -> None:
    world = telling("Failure", "Completion")
    run(world, "bad", at("12:01"), well=False)
    assert world.status_writes == 2, "the messages are written together with the count"
    world.settled_messages = frozenset(message.id for message in waiting(world))
    world.settle(at("12:02"))
    assert (waiting(world), world.status_writes) == ([], 3)
    world.settled_messages = frozenset()
    world.settle(at("12:03"))
    assert (waiting(world), world.status_writes) == ([], 3)


def test_messages_wait_for_a_spec_that_cannot_be_read_and_go_with_the_webhook() -> None:
    world = telling("Failure")
    run(world, "bad", at("12:01"), well=False)
    readable = world.task
    world.edit(replace(readable, spec=None, invalid="spec.schedule: no"))
    world.settle(at("12:02"))
    assert types(world) == ["failure"]
    world.edit(replace(readable, spec=a_spec(schedule=None), invalid=None))
    world.settle(at("12:03"))
    assert types(world) == []


def test_of_too_many_the_oldest_completions_go_first_and_that_is_told_in_an_event() -> None:
    world = telling("Failure", "Completion", consecutiveFailures=1)
    run(world, "first", at("12:00"), well=False)
    world.jobs += tuple(failed(a_job(f"run-{number:03}"), at("12:01")) for number in range(OUTBOX_LIMIT + 3))
    world.settle(at("12:02"))
    assert len(waiting(world)) == OUTBOX_LIMIT
    assert types(world)[0] == "failure"
    [event] = [event for event in world.events.values() if event.reason == "WebhookMessagesDropped"]
    assert event.note.startswith("5 of the messages")


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("run"), st.booleans()),
            st.tuples(st.just("deliver"), st.integers(0, 3)),
            st.tuples(st.just("crash"), st.booleans()),
        ),
        max_size=20,
    )
)
@settings(deadline=None, max_examples=80)
def test_each_event_is_delivered_at_least_once_and_always_with_the_same_bytes(steps: list[tuple[str, Any]]) -> None:
    """A crash forgets what this process settled; if it happens before the status write, the plan is made again."""
    world = telling("Failure", "Recovery", "Completion")
    delivered: dict[str, bytes] = {}

    def deliver(message: WebhookMessage) -> None:
        assert delivered.setdefault(message.id, body_of(message)) == body_of(message)
        world.settled_messages |= {message.id}

    outcomes: list[bool] = []
    for number, (act, how) in enumerate(steps, start=1):
        now = NOON.replace(minute=number)
        if act == "run":
            job = a_job(f"run-{number}")
            world.jobs += (succeeded(job, now) if how else failed(job, now),)
            outcomes.append(how)
        elif act == "deliver":
            for message in [entry for entry in waiting(world) if entry.id not in world.settled_messages][:how]:
                deliver(message)
            continue
        else:
            world.plan(now)
            world.settled_messages = frozenset()
            continue
        world.settle(now)
    world.settle(at("13:00"))
    for message in waiting(world):
        deliver(message)
    world.settle(at("13:00"))

    turns = sum(1 for before, after in zip([True, *outcomes], outcomes, strict=False) if before != after)
    assert len(delivered) == len(outcomes) + turns
    assert waiting(world) == []


def test_a_message_comes_back_from_the_api_server_as_it_was() -> None:
    world = telling("Completion")
    run(world, "bad", at("12:01"), well=False)
    assert stored(world.status()).webhook_messages == world.status().webhook_messages
