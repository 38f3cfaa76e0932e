"""Schedules, zones and moments to compare on: random, but leaning towards where time is difficult."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from zoneinfo import ZoneInfo, available_timezones

ODD_ZONES = (
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/Monrovia",
    "America/Asuncion",
    "America/Caracas",
    "America/Havana",
    "America/New_York",
    "America/Nuuk",
    "America/Santiago",
    "America/Sao_Paulo",
    "America/Scoresbysund",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Amman",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Asia/Pyongyang",
    "Asia/Tehran",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Europe/Dublin",
    "Europe/London",
    "Europe/Moscow",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Norfolk",
    "UTC",
)
# These zones left out a day in the year before the one named. A schedule with days that passes over such a day is an
# endless loop in robfig/cron; a test of its own shows that.
FIRST_YEAR_AFTER_A_SKIPPED_DAY = {
    "Kwajalein": 1994,
    "Pacific/Kwajalein": 1994,
    "Pacific/Enderbury": 1996,
    "Pacific/Kanton": 1996,
    "Pacific/Kiritimati": 1996,
    "Pacific/Apia": 2012,
    "Pacific/Fakaofo": 2012,
}
MONTHS = ("jan", "FEB", "Mar", "apr", "may", "JUN", "jul", "aug", "SEP", "oct", "nov", "Dec")
WEEKDAYS = ("sun", "MON", "Tue", "wed", "thu", "FRI", "sat")
WORDS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
MOMENT = datetime(2026, 3, 28, 22, 30, tzinfo=UTC)
ALPHABET = "0123456789**??//--,,  \t\n@HTZ=+._#LWjanMONsuhmsµμİK\x0b\x1c\x85\xa0\u2003\u200b٣"


@dataclass(frozen=True)
class Case:
    """One question: the slots of `expression` in `zone` after `moment`."""

    expression: str
    zone: str
    moment: datetime

    def line(self, quote: str) -> str:
        return f"{quote}\t{self.zone}\t{self.moment.isoformat()}"


def random_case(random: Random) -> Case:
    zone = random.choice(ODD_ZONES if random.random() < 0.7 else all_zones())
    moment = random_moment(random, zone)
    return Case(random_schedule(random, moment.astimezone(ZoneInfo(zone))), zone, moment)


def random_schedule(random: Random, near: datetime) -> str:
    """A schedule that is often due soon after the local time `near`."""
    kind = random.random()
    if kind < 0.03:
        return random.choice(WORDS)
    if kind < 0.07:
        return f"@every {random_duration(random)}"
    hours = [(near.hour + offset) % 24 for offset in range(-1, 4)]
    fields = [
        random_field(random, 0, 59, often=(0, 0, 1, 29, 30, 31, 45, 59, near.minute), any_value=0.2),
        random_field(random, 0, 23, often=(0, 1, 2, 3, 22, 23, *hours, *hours), any_value=0.25),
        random_field(random, 1, 31, often=(1, 1, 13, 28, 29, 30, 31, near.day, near.day), any_value=0.5),
        random_field(random, 1, 12, often=(1, 2, 3, 12, near.month, near.month), any_value=0.6, names=MONTHS),
        random_field(random, 0, 6, often=(0, 0, 1, 6), any_value=0.6, names=WEEKDAYS),
    ]
    expression = random.choice((" ", " ", " ", "  ", "\t")).join(fields)
    if random.random() < 0.03:
        prefix = random.choice(("TZ=", "CRON_TZ="))
        return f"{prefix}{random.choice((*ODD_ZONES, 'Local', '', 'Nowhere/Else', './UTC'))} {expression}"
    return expression


def random_field(
    random: Random, low: int, high: int, often: tuple[int, ...], any_value: float, names: tuple[str, ...] = ()
) -> str:
    if random.random() < any_value:
        return random.choice(("*", "*", "*", "?", "*/1", f"*/{random.randint(2, high + 3)}"))

    def value() -> int:
        return random.choice(often) if random.random() < 0.6 else random.randint(low, high)

    def text(number: int) -> str:
        return names[number - low] if names and random.random() < 0.3 else str(number)

    def item() -> str:
        first, last = sorted((value(), value()))
        plain = text(first) if random.random() < 0.6 else f"{text(first)}-{text(last)}"
        return plain if random.random() < 0.8 else f"{plain}/{random.randint(1, high // 2)}"

    return ",".join(item() for _ in range(random.choice((1, 1, 1, 2, 3))))


def random_duration(random: Random) -> str:
    number = random.choice((str(random.randint(0, 400)), f"{random.random() * 90:.3f}", ".5", "1."))
    units = random.sample(("h", "m", "s", "ms", "us", "µs", "ns"), random.choice((1, 1, 2)))
    return random.choice(("", "", "", "-", "+")) + "".join(number + unit for unit in units)


def random_moment(random: Random, zone: str) -> datetime:
    """A second between 1971 and 2099: near a change of clocks, the end of a month, a leap day, or anywhere."""
    year = random.randint(max(1971, FIRST_YEAR_AFTER_A_SKIPPED_DAY.get(zone, 0)), random.choice((2030, 2040, 2099)))
    kind = random.random()
    changes = changes_of_offset(zone, year) if kind < 0.6 else ()
    if changes:
        near = random.choice(changes)
    elif kind < 0.7:
        near = datetime(year, random.randint(1, 12), 1, tzinfo=UTC)
    elif kind < 0.8:
        near = datetime(year - year % 4, 2, 29, tzinfo=UTC)
    else:
        return datetime(year, 1, 1, tzinfo=UTC) + timedelta(seconds=random.randrange(365 * 86_400))
    step = random.choice((1, 60, 900, 1800, 3600))
    reach = random.choice((2 * 3600, 86_400, 3 * 86_400)) // step
    fraction = random.choice((0, 0, 0, 500_000, 999_999))
    return near + timedelta(seconds=step * random.randint(-reach, reach), microseconds=fraction)


@cache
def all_zones() -> tuple[str, ...]:
    return tuple(sorted(available_timezones()))


@cache
def changes_of_offset(zone: str, year: int) -> tuple[datetime, ...]:
    """The minutes of a year at which local clocks are put forward or back."""
    info = ZoneInfo(zone)
    found = []
    day = datetime(year, 1, 1, tzinfo=UTC)
    while day.year == year:
        before, after = day, day + timedelta(days=3)
        if before.astimezone(info).utcoffset() != after.astimezone(info).utcoffset():
            while after - before > timedelta(minutes=1):
                middle = before + (after - before) // 2
                same = middle.astimezone(info).utcoffset() == before.astimezone(info).utcoffset()
                before, after = (middle, after) if same else (before, middle)
            found.append(after.replace(second=0, microsecond=0))
        day += timedelta(days=3)
    return tuple(found)


def malformed(random: Random) -> str:
    """A schedule with some characters dropped, doubled, swapped or put in: mostly wrong, sometimes still right."""
    text = list(random_schedule(random, MOMENT) if random.random() < 0.8 else f"@every {random_duration(random)}")
    for _ in range(random.choice((1, 1, 2, 4))):
        place = random.randrange(len(text) + 1)
        match random.randrange(4):
            case 0:
                text[place:place] = random.choice(ALPHABET)
            case 1:
                del text[place : place + 1]
            case 2:
                text[place : place + 1] = random.choice(ALPHABET)
            case _:
                text[place:place] = str(random.choice((0, 7, 24, 31, 32, 60, 99, 2**31, 2**63, 2**64)))
    return "".join(text)
