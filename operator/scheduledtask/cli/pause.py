"""`pause` and `resume`: when slots are passed over."""

from datetime import UTC, datetime
from typing import Any

from scheduledtask.api.duration import parse_duration
from scheduledtask.cli.cluster import Place, connect
from scheduledtask.cli.errors import CommandError
from scheduledtask.cli.facts import TaskFacts
from scheduledtask.cli.moments import distance, read_moment, write_moment
from scheduledtask.cli.output import Output
from scheduledtask.cli.printing import print_json

RESUMED: dict[str, Any] = {"suspend": None, "pauseUntil": None, "pauseReason": None}
"""The fields taken away: the API's own defaults stand for them, as if they had never been set."""


def paused(until: str | None, reason: str | None, now: datetime) -> dict[str, Any]:
    """The fields of a spec that is paused until a time or for a duration, or suspended if neither is given.

    Raises CommandError. An earlier reason does not outlive its pause.
    """
    if until is None:
        return {"suspend": True, "pauseUntil": None, "pauseReason": reason}
    end = _end_of(until, now)
    if end <= now:
        raise CommandError(f"--until {until} is over, {distance(end, now)}: name a time to come, or a duration like 2h")
    return {"suspend": None, "pauseUntil": write_moment(end), "pauseReason": reason}


def _end_of(until: str, now: datetime) -> datetime:
    if until[:1].isdigit() and until[-1:] in ("h", "m", "s"):
        try:
            return read_moment(write_moment(now + parse_duration(until)))
        except (ValueError, OverflowError) as error:
            raise CommandError(f"--until: {error}") from error
    try:
        return read_moment(until)
    except CommandError as error:
        raise CommandError(f"--until: {error}; or a duration such as 90m or 2h30m") from error


async def pause(place: Place, name: str, until: str | None, reason: str | None, output: Output) -> None:
    now = datetime.now(UTC)
    task = await _patched(place, name, paused(until, reason, now))
    end = task.spec.pause_until
    held = f"paused until {end}, {distance(read_moment(end), now)}" if end else "suspended until it is resumed"
    _tell(task, f"{held}; runs that are active go on", output)


async def resume(place: Place, name: str, output: Output) -> None:
    task = await _patched(place, name, RESUMED)
    _tell(task, "resumed; `kubectl scheduledtask why` tells what is next", output)


async def _patched(place: Place, name: str, fields: dict[str, Any]) -> TaskFacts:
    async with connect(place) as cluster:
        await cluster.task(name)
        return await cluster.patch_task(name, fields)


def _tell(task: TaskFacts, what: str, output: Output) -> None:
    meta, spec = task.metadata, task.spec
    if output is Output.JSON:
        print_json(
            {
                "namespace": meta.namespace,
                "name": meta.name,
                "suspend": spec.suspend,
                "pauseUntil": spec.pause_until,
                "pauseReason": spec.pause_reason,
            }
        )
    else:
        print(f"{meta.namespace}/{meta.name} {what}.")
