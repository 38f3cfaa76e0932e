"""`retry`: a failed run once more, with the parameters it had."""

import sys

from scheduledtask.api.status import Outcome
from scheduledtask.cli.cluster import Place, connect
from scheduledtask.cli.commands import Given, check_now
from scheduledtask.cli.errors import CommandError
from scheduledtask.cli.facts import TaskFacts
from scheduledtask.cli.output import Output
from scheduledtask.cli.run import start
from scheduledtask.domain.commands import RETRY, retry_name


async def retry(place: Place, name: str, run: str | None, wait: bool, output: Output) -> int:
    """Start a failed run again, the latest if none is named; returns the exit code, as `run` does."""
    async with connect(place) as cluster:
        failed = run or latest_failed(await cluster.task(name))
        command = Given(name, f"{RETRY}{failed}", "", retry_name(failed))
        await check_now(cluster, command)
        if run is None:
            print(f"run {command.run} repeats {failed}", file=sys.stderr)
        return await start(cluster, command, wait, output)


def latest_failed(task: TaskFacts) -> str:
    """The latest run that failed and has not been repeated. Raises CommandError where the history has none."""
    status = task.status
    known = {run.run for run in status.active} | {entry.run for entry in status.history}
    for entry in status.history:
        if entry.run and entry.outcome == Outcome.FAILED and retry_name(entry.run) not in known:
            return entry.run
    name, namespace = task.metadata.name, task.metadata.namespace
    raise CommandError(
        f"{name} has no failed run in its history that was not repeated yet: name a cancelled one to repeat it, or "
        f"start a new one. `kubectl scheduledtask why {name} -n {namespace}` shows them all."
    )
