"""Durations as Kubernetes users write them: `90s`, `15m`, `2h`, `1h30m`."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from scheduledtask.api.markers import Rule, raw, rule, rules

PATTERN = r"^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$"
_PARTS = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?", re.ASCII)


def parse_duration(text: str) -> timedelta:
    """Read hours, minutes and seconds, in this order, each at most once.

    Raises ValueError for anything else: a sign, a fraction, a unit such as `d`, a bare number.
    """
    match = _PARTS.fullmatch(text)
    if not text or match is None:
        raise ValueError(f'"{text}" is no duration: write hours, minutes and seconds like 1h30m, 15m or 90s')
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def format_duration(duration: timedelta) -> str:
    """Write a duration of 0 or more, rounded down to whole seconds, in the form that `parse_duration` reads."""
    total = int(duration.total_seconds())
    hours, minutes, seconds = total // 3600, total // 60 % 60, total % 60
    parts = [(hours, "h"), (minutes, "m"), (seconds, "s")]
    return "".join(f"{amount}{unit}" for amount, unit in parts if amount) or "0s"


def _read(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str) else value


def is_duration(value: str) -> str:
    """The CEL expression that tells whether the CEL expression `value` is a well-formed duration."""
    return f"({value} != '' && {value}.matches({raw(PATTERN)}))"


def _schema(*more: Rule) -> dict[str, Any]:
    form = rule(is_duration("self"), '"{self}" is no duration: write hours, minutes and seconds like 1h30m, 15m or 90s')
    return {"type": "string", "maxLength": 21, **rules(form, *more)}


def _at_least(least: str) -> Rule:
    return rule(
        f"!{is_duration('self')} || duration(self) >= duration('{least}')",
        f"{{self}} is too short: write {least} or more",
    )


Duration = Annotated[
    timedelta,
    BeforeValidator(_read),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(_schema()),
]
PositiveDuration = Annotated[Duration, Field(ge=timedelta(seconds=1)), WithJsonSchema(_schema(_at_least("1s")))]
StartingDeadline = Annotated[Duration, Field(ge=timedelta(seconds=10)), WithJsonSchema(_schema(_at_least("10s")))]
