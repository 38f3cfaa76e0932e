"""Times as people write and read them on a command line."""

from datetime import UTC, datetime

from scheduledtask.cli.errors import CommandError

_FIRST_YEAR, _LAST_YEAR = 1000, 9000
"""Python's calendar is 1 to 9999, and slots around a moment are to be told in every time zone."""


def read_moment(text: str) -> datetime:
    """A UTC time from RFC 3339, in which an offset or Z is needed. Raises CommandError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f'time "{text}": write RFC 3339, such as 2026-12-01T00:00:00Z') from None
    if moment.tzinfo is None:
        raise CommandError(f'time "{text}": which time zone? End it with Z or an offset, as in 2026-12-01T00:00:00Z')
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise CommandError(f'time "{text}": write a year from {_FIRST_YEAR} to {_LAST_YEAR}')
    return moment.astimezone(UTC)


def write_moment(moment: datetime) -> str:
    """RFC 3339 in UTC, in whole seconds."""
    # strftime is four times slower, and does not pad years below 1000 on every platform.
    return f"{moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()}Z"


def distance(moment: datetime, now: datetime) -> str:
    """How far away: `in 3m20s`, `2h5m ago`; two units at most."""
    seconds = round((moment - now).total_seconds())
    return f"in {_rough(seconds)}" if seconds > 0 else f"{_rough(-seconds)} ago"


def _rough(seconds: int) -> str:
    units = [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)]
    largest = next((place for place, (_, length) in enumerate(units) if seconds >= length), len(units) - 1)
    parts: list[str] = []
    for unit, length in units[largest : largest + 2]:
        amount, seconds = divmod(seconds, length)
        if amount or not parts:
            parts.append(f"{amount}{unit}")
    return "".join(parts)
