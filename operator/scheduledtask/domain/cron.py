"""Cron expressions, read as Kubernetes reads them: robfig/cron v3.0.1, `ParseStandard` (parser.go).

Five fields (minute, hour, day of month, month, day of week), `@hourly`-like words and `@every 1h30m`. What that
library takes is taken and what it refuses is refused, oddities included; a reference test compares the two.
What Kubernetes or this operator refuse beyond that is in `schedule.py`.
"""

import re
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple
from zoneinfo import ZoneInfo

from scheduledtask.domain.cron_schedule import CronSchedule, EverySchedule

Schedule = CronSchedule | EverySchedule

# What Go's strings.Fields splits at: unicode.IsSpace. (Python's str.split also takes U+001C to U+001F.)
SPACES = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_SPACES = re.compile(f"[{SPACES}]+")

_WORDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

_LARGEST = 2**63 - 1
_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,  # U+00B5, micro sign
    "μs": 10**3,  # U+03BC, Greek mu
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_QUANTITY = re.compile(r"(?P<whole>[0-9]*)(?:\.(?P<fraction>[0-9]*))?(?P<unit>[^.0-9]*)")


class ScheduleError(ValueError):
    """A schedule or time zone that can't be used. The message names the field, its value and how to mend it."""


class Values(NamedTuple):
    """What a field matches: bit n is set where the value n does. star: it holds an unstepped `*` or `?`."""

    bits: int
    star: bool


@dataclass(frozen=True, slots=True)
class Field:
    """One of the five fields: what it is called and which values it takes."""

    title: str
    lowest: int
    highest: int
    allowed: str
    names: dict[str, int] = field(default_factory=dict)

    def error(self, value: str, mend: str) -> ScheduleError:
        return ScheduleError(f'{self.title} "{value}": {mend}')

    def parse(self, text: str) -> Values:
        """Read a list of values, ranges and steps. Empty items of it count for nothing. Raises ScheduleError."""
        bits, star = 0, False
        for item in text.split(","):
            if item:
                values = self._item(item)
                bits, star = bits | values.bits, star or values.star
        return Values(bits, star)

    def _item(self, item: str) -> Values:
        fail = partial(self.error, item)
        span, *steps = item.split("/")
        first, *last = span.split("-")
        star = first in ("*", "?")
        if star:
            # The library looks no further than the star: "*-x" is "*".
            low, high = self.lowest, self.highest
        elif len(last) > 1:
            raise fail("a range is two values joined by one hyphen, like 1-5")
        else:
            low = self._value(first, item)
            high = self._value(last[0], item) if last else self.highest if steps else low
        if len(steps) > 1:
            raise fail("one step at most, like */5 or 10-30/5")
        step = _whole_number(steps[0]) if steps else 1
        if step is None or step < 1:
            raise fail("the step after the slash is a whole number from 1, like */5")
        if low < self.lowest or max(low, high) > self.highest:
            raise fail(f"{self.allowed} is allowed")
        if low > high:
            raise fail(f"the range runs backwards; write {last[0]}-{first}, or two ranges with a comma between")
        return Values(sum(1 << value for value in range(low, high + 1, step)), star and step == 1)

    def _value(self, text: str, item: str) -> int:
        # Go lowers rune by rune, which makes İ (U+0130) an i; Python makes it two characters.
        named = self.names.get(text.replace("İ", "i").lower())
        if named is not None:
            return named
        number = _whole_number(text)
        if number is None:
            raise self.error(
                item, f"{self.allowed} is allowed, and *, lists (a,b), ranges (a-b) and steps (*/n) of them"
            )
        return number


FIELDS = (
    Field("minute", 0, 59, "0–59"),
    Field("hour", 0, 23, "0–23"),
    Field("day of month", 1, 31, "1–31"),
    Field("month", 1, 12, "1–12 or JAN–DEC", {name: number for number, name in enumerate(_MONTHS, 1)}),
    Field("day of week", 0, 6, "0–6 (Sunday is 0) or SUN–SAT", {name: number for number, name in enumerate(_WEEKDAYS)}),
)


def split_fields(expression: str) -> list[str]:
    """The parts of an expression, split at white space as Go sees it."""
    return [part for part in _SPACES.split(expression) if part]


def parse(expression: str) -> Schedule:
    """The schedule that `expression` means to robfig/cron. ScheduleError where that library refuses it."""
    if expression.startswith(("TZ=", "CRON_TZ=")):
        prefix, space, expression = expression.partition(" ")
        if not space:
            raise ScheduleError(f'schedule "{prefix}": the five fields are missing after the time zone')
        zone = _location(prefix.partition("=")[2])
        return _parse_bare(expression.strip(SPACES), zone)
    return _parse_bare(expression, None)


def _parse_bare(expression: str, zone: ZoneInfo | None) -> Schedule:
    if expression.startswith("@every "):
        return EverySchedule(max(1, duration_nanoseconds(expression.removeprefix("@every ")) // 10**9))
    if expression.startswith("@"):
        if expression not in _WORDS:
            words = ", ".join((*_WORDS, "@every <duration>"))
            raise ScheduleError(f'schedule "{expression}": the words that Kubernetes knows are {words}')
        expression = _WORDS[expression]
    parts = split_fields(expression)
    if len(parts) != len(FIELDS):
        raise ScheduleError(
            f'schedule "{expression}": five fields are needed (minute, hour, day of month, month, day of week), '
            f"and {len(parts)} were given"
        )
    minutes, hours, days_of_month, months, days_of_week = (
        one.parse(part) for one, part in zip(FIELDS, parts, strict=True)
    )
    return CronSchedule(
        minutes=minutes.bits,
        hours=hours.bits,
        days_of_month=days_of_month.bits,
        months=months.bits,
        days_of_week=days_of_week.bits,
        days_must_agree=days_of_month.star or days_of_week.star,
        zone=zone,
    )


def duration_nanoseconds(text: str) -> int:
    """Nanoseconds of a Go duration such as `1h30m` or `1.5h` (`time.ParseDuration`). ScheduleError if it is none."""
    fail = ScheduleError(f'duration "{text}": write numbers with units, like 90m, 1h30m or 1.5h')
    negative = text.startswith("-")
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0
    total, position = 0, 0
    while position < len(rest) or not rest:
        match = _QUANTITY.match(rest, position)
        if match is None or not (match["whole"] or match["fraction"]) or match["unit"] not in _NANOSECONDS:
            raise fail
        unit = _NANOSECONDS[match["unit"]]
        amount = _bounded(match["whole"] or "0", 2**63)
        if amount is None or amount > 2**63 // unit:
            raise fail
        amount = amount * unit + _fraction(match["fraction"] or "", unit)
        # Go adds 64 bit wide: twice 2^63 is 0.
        total = (total + amount) % 2**64
        if amount > 2**63 or total > 2**63:
            raise fail
        position = match.end()
    if not negative and total > _LARGEST:
        raise fail
    return -total if negative else total


def _fraction(digits: str, unit: int) -> int:
    """`.digits` of a unit in whole nanoseconds, with as many digits as fit 63 bits, in Go's float64 arithmetic."""
    value, scale = 0, 1.0
    for digit in digits:
        longer = value * 10 + int(digit)
        if value > _LARGEST // 10 or longer > 2**63:
            break
        value, scale = longer, scale * 10
    return int(float(value) * (unit / scale))


def _whole_number(text: str) -> int | None:
    """Go's `strconv.Atoi` for numbers from 0 on: an optional sign, ASCII digits, 64 bits. None otherwise."""
    match = re.fullmatch(r"([+-]?)([0-9]+)", text)
    number = _bounded(match[2], _LARGEST) if match else None
    return None if match is None or (match[1] == "-" and number) else number


def _bounded(digits: str, largest: int) -> int | None:
    """The number, or None above `largest`. Never reads more digits than it needs: Python refuses thousands of them."""
    digits = digits.lstrip("0") or "0"
    number = int(digits[:20])
    return number if len(digits) < 20 and number <= largest else None


def _location(name: str) -> ZoneInfo | None:
    """The zone of a `TZ=` prefix (Go's `time.LoadLocation`); None for "Local", the zone of the moment asked about."""
    if name == "Local":
        return None
    # Go joins the name to a directory and opens it, so doubled slashes and single dots do no harm.
    parts = name.split("/")
    plain = "/".join(part for part in parts if part not in ("", ".")) or "UTC"
    try:
        if name.startswith(("/", "\\")) or ".." in name or (name and parts[-1] in ("", ".")):
            raise ValueError(name)
        return ZoneInfo(plain)
    except (KeyError, OSError, ValueError):
        raise ScheduleError(f'time zone "{name}": not in the time zone database') from None
