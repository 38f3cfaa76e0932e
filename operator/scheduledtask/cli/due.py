"""`next`: when a schedule is due. No cluster is needed."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from scheduledtask.cli.errors import CommandError
from scheduledtask.cli.moments import distance, read_moment, write_moment
from scheduledtask.cli.output import Output
from scheduledtask.domain.cron import Schedule, ScheduleError, split_fields
from scheduledtask.domain.schedule import resolve, upcoming, validate, zone

_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Due:
    """The slots of a schedule after a moment, in UTC; fewer than asked for where there are no more."""

    resolved: str
    zone: ZoneInfo
    slots: tuple[datetime, ...]


def due(expression: str, time_zone: str, after: datetime, count: int, task: str | None = None) -> Due:
    """The first `count` slots after a moment. `@every` counts from that moment on.

    task: `namespace/name`, which H depends on. Raises CommandError.
    """
    try:
        resolved, schedule = _read(expression, task)
        place = zone(time_zone)
    except ScheduleError as error:
        raise CommandError(str(error)) from error
    return Due(resolved, place, upcoming(schedule, place, after, count))


def answers(lines: Iterable[str], count: int, task: str | None = None) -> Iterator[str]:
    """To each line `EXPR<TAB>ZONE<TAB>FROM` one line: UTC times with single spaces, or `ERR` and the reason."""
    for line in lines:
        try:
            yield _answer(line.rstrip("\r\n"), count, task)
        except CommandError as error:
            # A reason quotes what was given, which may hold characters that end a line elsewhere.
            yield "ERR " + " ".join(str(error).split())


def _answer(line: str, count: int, task: str | None) -> str:
    parts = line.split("\t")
    if len(parts) != 3:
        raise CommandError(f"{len(parts)} fields instead of 3: write EXPR, ZONE and FROM with tabs between them")
    expression, time_zone, after = parts
    slots = due(expression, time_zone, read_moment(after), count, task).slots
    return " ".join(map(write_moment, slots))


@lru_cache(maxsize=_KEPT)
def _read(expression: str, task: str | None) -> tuple[str, Schedule]:
    namespace, _, name = (task or "").partition("/")
    if task is not None and not (namespace and name):
        raise CommandError(f'task "{task}": write namespace/name, such as --name match-history/refresh-patch-meta')
    if task is None and _has_h(expression):
        raise CommandError(f'schedule "{expression}": H is a value of each task: add --name NAMESPACE/NAME')
    resolved = resolve(expression, namespace, name)
    return resolved, validate(resolved)


def _has_h(expression: str) -> bool:
    parts = split_fields(expression)
    return len(parts) == 5 and any(item.startswith("H") for part in parts for item in part.split(","))


def show(expression: str, time_zone: str, after: str | None, count: int, task: str | None, output: Output) -> None:
    """Print the slots of one schedule. Raises CommandError."""
    from scheduledtask.cli.printing import print_json, print_table

    now = datetime.now(UTC)
    start = read_moment(after) if after else now
    found = due(expression, time_zone, start, count, task)
    local = [slot.astimezone(found.zone).isoformat() for slot in found.slots]
    if output is Output.JSON:
        print_json(
            {
                "expression": expression,
                "resolved": found.resolved,
                "timeZone": time_zone,
                "from": write_moment(start),
                "times": [write_moment(slot) for slot in found.slots],
                "localTimes": local,
            }
        )
    elif not found.slots:
        print(f'"{found.resolved}" is never due after {write_moment(start)}.')
    else:
        print(f'"{found.resolved}", {time_zone}')
        rows = [
            (write_moment(slot), there, distance(slot, now)) for slot, there in zip(found.slots, local, strict=True)
        ]
        print_table(("UTC", "LOCAL", "WHEN"), rows)


def print_answers(lines: Iterable[str], count: int, task: str | None) -> None:
    """Print the answer to each line as soon as it is read: whoever sent it may wait before sending the next."""
    for answer in answers(lines, count, task):
        sys.stdout.write(answer + "\n")
        sys.stdout.flush()
