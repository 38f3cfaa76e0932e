"""Schedules as values, and when they are due: exactly when robfig/cron v3.0.1 (spec.go, constantdelay.go) says.

Kubernetes computes slots with that library, so its habits around clock changes are the truth here, odd ones included:
in zones that skip midnight, for one, it can miss a day or fire on the wrong one. A reference test compares the two.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from scheduledtask.domain.cron_clock import Clock

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_SEARCHED_YEARS = 5
_LAST_YEAR = 9990  # datetime ends with 9999, and the search looks some years ahead
_WEEKS = sum(1 << 7 * week for week in range(6))


def unix_seconds(moment: datetime) -> int:
    """Whole unix seconds of an aware moment, rounded down."""
    return (moment - _EPOCH) // _SECOND


def from_unix(seconds: int) -> datetime:
    """The aware UTC moment of a unix second."""
    return _EPOCH + timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True)
class EverySchedule:
    """`@every`: due `delay` whole seconds (at least 1) after the moment that is asked about, whatever the zone."""

    delay: int

    def next_after(self, moment: datetime, zone: ZoneInfo) -> datetime | None:
        """`delay` after `moment`, fractions of a second dropped. Aware in, aware UTC out."""
        return from_unix(unix_seconds(moment) + self.delay)


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """Five fields as bit sets: bit n is set where the value n matches.

    days_must_agree: a day needs both its day of month and its day of week to match (one of the two fields began with an
    unstepped `*` or `?`); otherwise one of them is enough.
    zone: of a `TZ=` prefix; it goes before the zone that `next_after` is given.
    """

    minutes: int
    hours: int
    days_of_month: int
    months: int
    days_of_week: int
    days_must_agree: bool
    zone: ZoneInfo | None = None

    def next_after(self, moment: datetime, zone: ZoneInfo) -> datetime | None:
        """The first slot after `moment` (aware) in `zone`, as aware UTC.

        None: no slot in this and the next five calendar years, where robfig/cron gives up and Kubernetes never fires.
        So too where robfig/cron does not get on: where it would search for ever (see `_Walk.find_day`) or answer with
        a slot that is not after `moment` (St John's, until 2011, set clocks back at a minute past midnight; Kubernetes
        takes it for an error and starts nothing). And after the year 9990.
        """
        if not (self.minutes and self.hours and self.months) or moment.year > _LAST_YEAR:
            return None
        start = unix_seconds(moment)
        slot = _Walk(self, self.zone or zone, start + 1).run()
        return from_unix(slot) if slot is not None and slot > start else None

    def leap(self, slot: datetime, until: datetime, zone: ZoneInfo) -> datetime:
        """A slot between `slot` and `until` such that `next_after`, called again and again from `slot`, comes to it.

        It is the last one where clocks did not change in between; otherwise it may be an earlier one, or `slot` itself.
        Costs some microseconds, however many slots are leapt over.
        """
        # Far from a change of clocks robfig's walk from one slot to the next meets every matching minute, so the last
        # of them can be taken at once. The walk sets local clocks (Clock.instant) up to the slot it finds, which needs
        # the offset at "local as if UTC" too: hence the margin of one offset before the end of the stretch.
        clock = Clock(self.zone or zone)
        start = unix_seconds(slot)
        local = clock.local(start)
        offset = clock.offset(start)
        limit = min(unix_seconds(until), clock.end - 1 - max(0, offset))
        if limit <= start or not self._matches(local):
            return slot
        return from_unix(start + (self._last_match(clock.local(limit)) - local) // _SECOND)

    def matching_days(self, local: datetime) -> int:
        """Bit n is set where the date n days after `local` matches; good up to the end of its month."""
        by_month = self.days_of_month >> local.day
        by_week = self.days_of_week * _WEEKS >> local.isoweekday() % 7
        return by_month & by_week if self.days_must_agree else by_month | by_week

    def _matches(self, local: datetime) -> bool:
        return bool(
            self.months >> local.month
            & self.matching_days(local)
            & self.hours >> local.hour
            & self.minutes >> local.minute
            & (local.second == 0)
        )

    def _last_match(self, latest: datetime) -> datetime:
        """The last matching local minute up to `latest`. The caller knows that there is one."""
        day, hour, minute = latest, latest.hour, latest.minute
        while True:
            if self.months >> day.month & self.matching_days(day) & 1:
                if self.hours >> hour & 1 and (last_minute := _highest(self.minutes, minute)) >= 0:
                    return day.replace(hour=hour, minute=last_minute, second=0)
                if (last_hour := _highest(self.hours, hour - 1)) >= 0:
                    return day.replace(hour=last_hour, minute=_highest(self.minutes, 59), second=0)
            day, hour, minute = day - timedelta(days=1), 23, 59


class _Walk:
    """robfig/cron's `SpecSchedule.Next`, step for step.

    Each `find_…` moves on to the next time at which its field matches, and says False when it ran over into the
    next larger unit, so that the search has to begin again with the month. Steps that lie in one stretch of
    constant offset are taken together; that changes no result.
    """

    __slots__ = ("clock", "last_year", "local", "now", "schedule", "trimmed")

    def __init__(self, schedule: CronSchedule, zone: ZoneInfo, first: int) -> None:
        self.schedule = schedule
        self.clock = Clock(zone)
        self.trimmed = False  # smaller units were set to their beginning
        self.go(first)
        self.last_year = min(self.local.year + _SEARCHED_YEARS, _LAST_YEAR)

    def go(self, unix: int) -> None:
        self.now = unix
        self.local = self.clock.local(unix)

    def set_clock(self, local: datetime) -> None:
        self.go(self.clock.instant(local))

    def run(self) -> int | None:
        while self.local.year <= self.last_year:
            if self.find_month() and self.find_day() and self.find_hour() and self.find_minute() and self.find_second():
                return self.now
        return None

    def find_month(self) -> bool:
        while not self.schedule.months >> self.local.month & 1:
            if not self.trimmed:
                self.trimmed = True
                self.set_clock(self.local.replace(day=1, hour=0, minute=0, second=0))
            # A day that the next month lacks runs over into the month after it, as in Go's AddDate.
            days = self.local.day - 1
            month = self.local.replace(day=1)
            self.set_clock(month + timedelta(days=days + monthrange(month.year, month.month)[1]))
            if self.local.month == 1:
                return False
        return True

    def find_day(self) -> bool:
        while not (days := self.schedule.matching_days(self.local)) & 1:
            if not self.trimmed:
                self.trimmed = True
                self.set_clock(self.local.replace(hour=0, minute=0, second=0))
                days = self.schedule.matching_days(self.local)
            before = self.now
            self.set_clock(self.local + timedelta(days=self.days_at_once(days)))
            if self.local.hour > 12:
                self.go(self.now + (24 - self.local.hour) * 3600)
            elif self.local.hour > 0:
                self.go(self.now - self.local.hour * 3600)
            if self.now <= before:
                # Pacific/Apia had no 30 December 2011: a day after the 29th Go finds the 29th, and robfig/cron hangs.
                self.last_year = 0
                return False
            if self.local.day == 1:
                return False
        return True

    def days_at_once(self, days: int) -> int:
        left = monthrange(self.local.year, self.local.month)[1] + 1 - self.local.day
        steps = _steps(days, left)
        clear = self.now + steps * 86_400 + max(0, self.clock.offset(self.now)) < self.clock.end
        return steps if clear and self.local.hour == 0 else 1

    def find_hour(self) -> bool:
        while not self.schedule.hours >> self.local.hour & 1:
            if not self.trimmed:
                self.trimmed = True
                self.set_clock(self.local.replace(minute=0, second=0))
            self.advance(_steps(self.schedule.hours >> self.local.hour, 24 - self.local.hour), 3600)
            if self.local.hour == 0:
                return False
        return True

    def find_minute(self) -> bool:
        while not self.schedule.minutes >> self.local.minute & 1:
            if not self.trimmed:
                self.trimmed = True
                self.go(self.now - self.now % 60)
            self.advance(_steps(self.schedule.minutes >> self.local.minute, 60 - self.local.minute), 60)
            if self.local.minute == 0:
                return False
        return True

    def find_second(self) -> bool:
        if self.local.second == 0:
            return True
        self.trimmed = True
        while self.local.second != 0:
            self.advance(60 - self.local.second, 1)
        return False

    def advance(self, steps: int, seconds: int) -> None:
        """Go on by `steps` times `seconds`, or by one step where clocks change before that."""
        there = self.now + steps * seconds
        self.go(there if there < self.clock.end else self.now + seconds)


def _steps(bits: int, most: int) -> int:
    """How far on the next set bit is, the one in place (bit 0) not counted; at most `most`."""
    bits = (bits | 1 << most) & ~1
    return (bits & -bits).bit_length() - 1


def _highest(bits: int, limit: int) -> int:
    """The highest bit up to `limit` that is set; -1 where there is none."""
    return (bits & ((1 << limit + 1) - 1)).bit_length() - 1
