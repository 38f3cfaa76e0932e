"""How often a source is checked: ``daily``, ``weekly``, or five cron fields, all in UTC.

The job's own schedule says when sources are looked at; this says which of them are due then. Days are counted by
the calendar, not by hours: a job that comes a minute earlier than yesterday must not leave a source out.
"""

from __future__ import annotations

from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

DAILY = "daily"
WEEKLY = "weekly"
_DAYS = {DAILY: 1, WEEKLY: 7}
_ANY_TIME = datetime(2024, 1, 1, tzinfo=UTC)


def parsed(text: str) -> str:
    """The frequency in its one spelling. Raises ValueError with the mend where it is none."""
    frequency = " ".join(text.split())
    if frequency.lower() in _DAYS:
        return frequency.lower()
    if len(frequency.split()) != 5:
        raise ValueError(f"{text!r} is not a frequency: write daily, weekly or five cron fields such as '0 6 * * 1'")
    try:
        next(CronSim(frequency, _ANY_TIME))
    except (CronSimError, StopIteration) as error:
        raise ValueError(f"{text!r} is not a frequency: {str(error) or 'no such day ever comes'}") from error
    return frequency


def not_due(frequency: str, last_success: datetime | None, now: datetime) -> str | None:
    """Why a source is not due, or None where it is. What has never been read is always due; so is, at the next
    occasion, what could not be read."""
    if last_success is None:
        return None
    if frequency in _DAYS:
        days = (now.astimezone(UTC).date() - last_success.astimezone(UTC).date()).days
        due = days >= _DAYS[frequency]
    else:
        due = next(CronSim(frequency, last_success.astimezone(UTC))) <= now
    return None if due else f"not due: {frequency}, last read {last_success.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
