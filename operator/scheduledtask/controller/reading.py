"""Stored JSON to models. What can't be read becomes words that tell the user what to mend."""

import msgspec
from pydantic import ValidationError

from scheduledtask.api.spec import ConcurrencyPolicy, ScheduledTaskSpec
from scheduledtask.api.status import ScheduledTaskStatus
from scheduledtask.domain.values import Key, Task
from scheduledtask.kube.wire import TaskRecord, Wire

PROBLEMS_TOLD = 3


def read_task(key: Key, record: TaskRecord) -> Task:
    """The task of a record. An unreadable spec is told in `invalid`; an unreadable status raises ValidationError,
    because to go on from an empty one would lose the counts."""
    spec, invalid = None, None
    try:
        spec = ScheduledTaskSpec.model_validate_json(record.spec)
    except ValidationError as error:
        invalid = describe(error)
    return Task(
        key=key,
        uid=record.uid,
        generation=record.generation,
        creation_time=record.creation_time,
        deleting=record.deleting,
        spec=spec,
        invalid=invalid,
        status=ScheduledTaskStatus.model_validate_json(record.status),
        annotations=record.commands,
    )


class ConcurrencyRead(Wire, frozen=True):
    policy: str = ""
    group: str | None = None


class SpecRead(Wire, frozen=True):
    concurrency: ConcurrencyRead = ConcurrencyRead()


def names_gate(record: TaskRecord) -> bool:
    """Whether runs of the task may have to wait for their turn: a hundredth of the cost of reading all of it."""
    try:
        concurrency = msgspec.json.decode(record.spec, type=SpecRead).concurrency
    except msgspec.MsgspecError:
        return False
    return bool(concurrency.group) or concurrency.policy == ConcurrencyPolicy.QUEUE


def describe(error: ValidationError) -> str:
    """Each problem with the path of its field and the value that stands there."""
    problems = error.errors(include_url=False)
    told = [
        f"spec{''.join(_step(step) for step in problem['loc'])}: {problem['msg']} (it is {_short(problem['input'])})"
        for problem in problems[:PROBLEMS_TOLD]
    ]
    more = len(problems) - len(told)
    return "; ".join(told) + (f"; and {more} more" if more else "")


def _step(step: str | int) -> str:
    return f"[{step}]" if isinstance(step, int) else f".{step}"


def _short(value: object) -> str:
    text = msgspec.json.encode(value, enc_hook=str).decode()
    return text if len(text) <= 80 else text[:79] + "…"
