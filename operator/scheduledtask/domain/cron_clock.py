"""Local time in one zone, counted as Go counts it.

The slots of a CronJob are what robfig/cron computes with Go's `time` package. Go and Python agree on which offset
holds at an instant, but not on which instant a local time means when that local time was skipped or happened twice.
Everything here works on unix seconds and naive local datetimes; `datetime.fold` plays no part.
"""

from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a local clock reading, its zone is the Clock's
_SECOND = timedelta(seconds=1)

_WINDOW_BITS = 25  # windows of 2^25 seconds: some 388 days
_SAMPLE_SECONDS = 2 * 86_400


class Clock:
    """Reads and sets local clocks in `zone`.

    After `local(unix)`, `start` and `end` tell the stretch around `unix` in which the offset is surely the same:
    start <= unix < end. The stretch may be cut short (at most 388 days long), never too long.
    """

    __slots__ = ("_offset", "_zone", "end", "start")

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._offset = self.start = self.end = 0

    def offset(self, unix: int) -> int:
        """Seconds by which local clocks are ahead of UTC at `unix`."""
        if not self.start <= unix < self.end:
            stretches = _stretches(self._zone, unix >> _WINDOW_BITS)
            self.start, self.end, self._offset = next(stretch for stretch in stretches if unix < stretch[1])
        return self._offset

    def local(self, unix: int) -> datetime:
        """The local time (naive) at `unix`."""
        return _EPOCH + timedelta(seconds=unix + self.offset(unix))

    def instant(self, local: datetime) -> int:
        """The unix second that Go's `time.Date` finds for a local time.

        Go takes the offset in force at "`local`, were it UTC", and uses it to find a first guess; the offset in force
        at that guess is the answer's. (Go's source keeps the first offset where the guess lies in the same stretch,
        which comes to the same.) So a skipped local time moves by the length of the gap, west of Greenwich backwards
        and east of it mostly forwards, and a repeated one is taken as the first or the second likewise.
        """
        as_utc = (local - _EPOCH) // _SECOND
        return as_utc - self.offset(as_utc - self.offset(as_utc))


@lru_cache(maxsize=4096)
def _stretches(zone: ZoneInfo, window: int) -> tuple[tuple[int, int, int], ...]:
    """The (start, end, offset) stretches of one window, in order and without gaps.

    zoneinfo does not tell its transitions, so they are found by sampling and bisecting. Samples are two days apart:
    no zone of the tz database has two changes of offset within six days (a test reads every zone to be sure).
    """
    start, stop = window << _WINDOW_BITS, (window + 1) << _WINDOW_BITS
    stretches = []
    known, offset = start, _utc_offset(zone, start)
    for sample in (*range(start + _SAMPLE_SECONDS, stop, _SAMPLE_SECONDS), stop - 1):
        sampled = _utc_offset(zone, sample)
        if sampled != offset:
            change = _first_second(zone, sampled, known, sample)
            stretches.append((start, change, offset))
            start, offset = change, sampled
        known = sample
    return (*stretches, (start, stop, offset))


def _first_second(zone: ZoneInfo, offset: int, before: int, after: int) -> int:
    """The second in (before, after] from which `offset` holds."""
    while after - before > 1:
        middle = (before + after) // 2
        if _utc_offset(zone, middle) == offset:
            after = middle
        else:
            before = middle
    return after


def _utc_offset(zone: ZoneInfo, unix: int) -> int:
    delta = datetime.fromtimestamp(unix, zone).utcoffset()
    return delta.days * 86_400 + delta.seconds if delta is not None else 0
