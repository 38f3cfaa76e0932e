"""`cancel`: ends a run, or has one that waits to start not start."""

from scheduledtask.cli.cluster import Place, connect
from scheduledtask.cli.commands import Given, check_now, give
from scheduledtask.cli.facts import EntryFacts, TaskFacts
from scheduledtask.cli.output import Output
from scheduledtask.cli.printing import print_json
from scheduledtask.domain.commands import CANCEL
from scheduledtask.domain.outcome import CANCELLED

ENDING = "ending"


async def cancel(place: Place, name: str, run: str, reason: str | None, output: Output) -> None:
    """Have the operator end a run; returns once it has begun to. Pods that run are given time to end."""
    async with connect(place) as cluster:

        async def find_end(task: TaskFacts) -> EntryFacts | str | None:
            entry = next((entry for entry in task.status.history if entry.run == run), None)
            if entry:
                # A run that ended by itself just then is refused with an Event, which tells it better.
                return entry if entry.outcome == CANCELLED else None
            job = await cluster.job(run)
            return ENDING if job and job.value().given_up else None

        command = Given(name, f"{CANCEL}{run}", reason or "", run)
        await check_now(cluster, command)
        found = await give(cluster, command, find_end, wait=False)
        entry = found if isinstance(found, EntryFacts) else None
        if output is Output.JSON:
            print_json(
                {
                    "namespace": cluster.namespace,
                    "name": name,
                    "run": run,
                    "outcome": entry.outcome if entry else None,
                    "reason": entry.reason if entry else None,
                    "message": entry.message if entry else reason,
                }
            )
        else:
            print(f"{cluster.namespace}/{name}: run {run} " + ("is cancelled." if entry else "is being ended."))
