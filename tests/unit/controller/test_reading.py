"""Stored JSON to models: counts are never dropped, and mistakes are told by field, value and mend."""

import json
from typing import Any

import msgspec
import pytest
from pydantic import ValidationError

from scheduledtask.controller.reading import read_task
from scheduledtask.domain.values import Task
from scheduledtask.kube.wire import ScheduledTaskObject
from tests.unit.kube import wire_objects as wire

TEMPLATE = {"spec": {"containers": [{"name": "job", "image": "job:1"}]}}


def read(body: bytes) -> Task:
    item = msgspec.json.decode(body, type=ScheduledTaskObject)
    return read_task(item.task, item.value())


def told(**spec: Any) -> str:
    """What is said of this spec; fails if it can be read."""
    task = read(wire.task(spec={"schedule": "0 * * * *", "template": TEMPLATE, **spec}))
    assert task.spec is None
    assert task.invalid is not None
    return task.invalid


def test_a_task_is_read_with_its_counts() -> None:
    task = read(wire.task(status={"successCount": 7, "countedJobs": ["a"]}))
    assert task.spec is not None
    assert (task.invalid, task.status.success_count, task.status.counted_jobs) == (None, 7, ("a",))


def test_an_unreadable_status_is_no_empty_one() -> None:
    with pytest.raises(ValidationError):
        read(wire.task(status={"successCount": "many"}))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"retry": {"maxAttempts": 0}}, ["spec.retry.maxAttempts", "greater than or equal to 1", "(it is 0)"]),
        ({"timeouts": {"run": "2d"}}, ["spec.timeouts.run", '"2d" is no duration', "1h30m"]),
        ({"pauseUntil": "tomorrow"}, ["spec.pauseUntil", '(it is "tomorrow")']),
        ({"concurrency": {"policy": "Never"}}, ["spec.concurrency.policy", "'Forbid'", '(it is "Never")']),
        ({"parameters": [{"name": "Days"}]}, ["spec.parameters[0].name", '(it is "Days")']),
        ({"template": None}, ["spec.template", "(it is null)"]),
    ],
)
def test_a_mistake_is_told_by_field_value_and_mend(spec: dict[str, Any], words: list[str]) -> None:
    for word in words:
        assert word in told(**spec)


def test_of_many_mistakes_three_are_told_and_the_rest_counted() -> None:
    parameters = [{"name": f"Wrong-{number}"} for number in range(10)]
    message = told(parameters=parameters)
    assert message.count("spec.parameters[") == 3
    assert message.endswith("; and 7 more")


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("x" * 1_000_000, id="a megabyte"),
        pytest.param("ü\u0000\u2028" * 1000, id="odd characters"),
        pytest.param({"a": [1, {"b": None}]}, id="an object"),
        pytest.param(10**40, id="a huge number"),
        pytest.param(1e300, id="a huge float"),
        pytest.param([[[[[[[[[[1]]]]]]]]]], id="lists in lists"),
    ],
)
def test_a_message_stays_short_and_can_be_written_whatever_stands_there(value: Any) -> None:
    message = told(timeZone=value) if not isinstance(value, str) else told(pauseUntil=value)
    assert len(message) < 1000
    json.dumps(message).encode()


def test_a_spec_nested_beyond_what_can_be_read_is_told() -> None:
    deep: Any = "end"
    for _ in range(500):
        deep = [deep]
    assert len(told(template={"spec": deep})) < 1000
