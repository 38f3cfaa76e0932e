"""Schedules as tasks state them: `H`, the rules that Kubernetes adds, time zones, and the slots between two moments."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from hashlib import sha256
from itertools import islice
from unicodedata import normalize
from zoneinfo import ZoneInfo, available_timezones

from scheduledtask.domain.cron import FIELDS, Field, Schedule, ScheduleError, parse, split_fields
from scheduledtask.domain.cron_schedule import EverySchedule, from_unix, unix_seconds

_H = re.compile(r"H(?:\((?P<low>[0-9]{1,4})-(?P<high>[0-9]{1,4})\))?(?:/(?P<step>[0-9]{1,4}))?")
_LAST_DAY_OF_EVERY_MONTH = 28
# Kubernetes: validateTimeZone in pkg/apis/batch/validation/validation.go.
_ZONE_PART = re.compile(r"[A-Za-z._0-9+][A-Za-z._0-9+-]{0,13}")


def resolve(expression: str, namespace: str, name: str) -> str:
    """The expression with each `H` replaced by numbers that stay the same for this task and spread over tasks.

    `H` is one value of its field, `H(0-29)` one of that range, `H/15` every 15th from a value below 15 (`7-59/15`),
    `H(0-29)/10` every 10th of that range; each may stand in any field, also in a list. For days of the month, H stays
    within 1–28, days that every month has. The value comes from a SHA-256 of field, namespace and name, so the
    fields of one task are independent of each other.

    Without an H the expression comes back as it is but for white space: single spaces between the fields and none
    around, so that a line break at the end of a YAML block is harmless. Words like @hourly stay and fire on the full
    hour for every task; "H * * * *" is the hourly schedule that spreads. Whether the other fields make sense is
    for `validate` to say. Raises ScheduleError for an H that is none of the above.
    """
    parts = split_fields(expression)
    if len(parts) == len(FIELDS):
        parts = [
            ",".join(_resolve_item(field, item, f"{field.title}:{namespace}/{name}") for item in part.split(","))
            for field, part in zip(FIELDS, parts, strict=True)
        ]
    return " ".join(parts)


def _resolve_item(field: Field, item: str, seed: str) -> str:
    if not item.startswith("H"):
        return item
    match = _H.fullmatch(item)
    if match is None:
        raise field.error(item, "write H, H/15, H(0-29) or H(0-29)/10")
    highest = min(field.highest, _LAST_DAY_OF_EVERY_MONTH) if field.title == "day of month" else field.highest
    low = int(match["low"] or field.lowest)
    high = int(match["high"] or highest)
    if not field.lowest <= low <= high <= highest:
        raise field.error(item, f"the range of H lies within {field.lowest}-{highest}, lower end first")
    hashed = int.from_bytes(sha256(seed.encode()).digest()[:8])
    if match["step"] is None:
        return str(low + hashed % (high - low + 1))
    step = int(match["step"])
    if not 1 <= step <= high - low + 1:
        raise field.error(item, f"the step of {low}-{high} is 1 to {high - low + 1}")
    return f"{low + hashed % step}-{high}/{step}"


@lru_cache(maxsize=1024)
def validate(expression: str, starting_deadline: timedelta | None = None) -> Schedule:
    """The schedule of a resolved expression. Raises ScheduleError where Kubernetes would refuse or never run it.

    `@every` takes a minute or more, also one and a half: Jobs are named after the minute of their slot, so two slots
    need different minutes, and slots 60 seconds apart or more always have them. Fractions of a second are dropped, as
    robfig/cron does.

    starting_deadline: startingDeadlineSeconds of the CronJob, if it has one. With `@every` it must not be shorter than
    the delay: Kubernetes then begins to count at "now less the deadline" each time it looks, and never gets to a slot
    (mostRecentScheduleTime in pkg/controller/cronjob/utils.go).
    """
    if "TZ" in expression:
        raise ScheduleError(f'schedule "{expression}": TZ and CRON_TZ are not allowed here; use spec.timeZone')
    schedule = parse(expression)
    if isinstance(schedule, EverySchedule):
        if schedule.delay < 60:
            raise ScheduleError(f'schedule "{expression}": slots are a minute apart at least; write @every 1m or more')
        if starting_deadline is not None and starting_deadline < timedelta(seconds=schedule.delay):
            raise ScheduleError(
                f'schedule "{expression}": Kubernetes never starts it with a starting deadline below '
                f"{schedule.delay} seconds; raise spec.startingDeadline, or use the five fields"
            )
    return schedule


def zone(name: str) -> ZoneInfo:
    """The time zone of that name in the time zone database, by the rules of CronJob's spec.timeZone.

    Names are case-sensitive; "Local" and the empty name are refused. Raises ScheduleError with the closest names.
    """
    if not name or name.lower() == "local":
        raise ScheduleError(f'time zone "{name}": name a zone of the time zone database, like Etc/UTC or Europe/Berlin')
    try:
        if any(part in (".", "..") or not _ZONE_PART.fullmatch(part) for part in name.split("/")):
            raise ValueError(name)
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        close = " or ".join(_closest_zones(name))
        mend = f"did you mean {close}?" if close else "name one like Etc/UTC or Europe/Berlin"
        raise ScheduleError(f'time zone "{name}": not in the time zone database; {mend}') from None


def _closest_zones(name: str) -> list[str]:
    names = _zones_by_plain_name()
    plain = _plain(name)
    if plain in names:
        return [names[plain]]
    same_city = [zone for key, zone in names.items() if key.endswith("/" + plain)]
    return same_city[:3] or [names[key] for key in get_close_matches(plain, names, n=2, cutoff=0.8)]


@lru_cache(maxsize=1)
def _zones_by_plain_name() -> dict[str, str]:
    return {_plain(name): name for name in sorted(available_timezones())}


def _plain(name: str) -> str:
    """Lower case without accents and blanks: what two spellings of one zone have in common."""
    letters = normalize("NFKD", name.strip().replace(" ", "_")).encode("ascii", "ignore")
    return letters.decode().lower()


def slots_after(
    schedule: Schedule, zone: ZoneInfo, after: datetime, anchor: datetime | None = None
) -> Iterator[datetime]:
    """The slots after `after`, one by one, as Kubernetes comes to them; all moments are aware, slots are in UTC.

    anchor: for `@every`, where the count begins: the CronJob's last schedule time, or else its creation
    (mostRecentScheduleTime in pkg/controller/cronjob/utils.go). Slots are anchor + k·delay, k from 1. Without an
    anchor it is `after`. Other schedules take no notice of it. (An outage longer than the CronJob's starting deadline
    shifts the count: the controller then begins anew at "now less the deadline", and the last schedule time with it.)
    """
    if isinstance(schedule, EverySchedule):
        start = unix_seconds(anchor or after)
        passed = max(0, (unix_seconds(after) - start) // schedule.delay)
        after = from_unix(start + passed * schedule.delay)
    while (slot := schedule.next_after(after, zone)) is not None:
        yield slot
        after = slot


def upcoming(
    schedule: Schedule, zone: ZoneInfo, after: datetime, count: int, anchor: datetime | None = None
) -> tuple[datetime, ...]:
    """The first `count` of `slots_after`; fewer where the schedule has no more."""
    return tuple(islice(slots_after(schedule, zone, after, anchor), count))


def latest_slot(
    schedule: Schedule, zone: ZoneInfo, after: datetime, until: datetime, anchor: datetime | None = None
) -> datetime | None:
    """The last of `slots_after` that is not after `until`, or None.

    Exact, unlike Kubernetes' own estimate, which overshoots for irregular schedules; and quick also where millions of
    slots lie in between.
    """
    if isinstance(schedule, EverySchedule):
        start = unix_seconds(anchor or after)
        passed = (unix_seconds(until) - start) // schedule.delay
        slot = from_unix(start + passed * schedule.delay)
        return slot if passed > 0 and slot > after else None
    latest = None
    while (following := schedule.next_after(latest or after, zone)) is not None and following <= until:
        latest = schedule.leap(following, until, zone)
    return latest


def slot_name_minutes(slot: datetime) -> int:
    """The number that ends the name of a slot's Job: unix minutes, rounded down."""
    return unix_seconds(slot) // 60
