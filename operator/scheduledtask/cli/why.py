"""`why`: reads a task with its Jobs, and shows the explanation."""

from datetime import UTC, datetime

from scheduledtask.cli.cluster import Place, connect
from scheduledtask.cli.explanation import Active, Ended, Explanation, explain
from scheduledtask.cli.moments import distance, write_moment
from scheduledtask.cli.output import Output
from scheduledtask.cli.printing import console, print_json, print_table

_LOOKED_INTO = 20
"""How many active runs are asked for what holds them up, each with a request of its own."""


async def why(place: Place, name: str, output: Output) -> None:
    async with connect(place) as cluster:
        # The Jobs first: a run that ends in between is then known to both, not to neither.
        jobs = tuple(job.value() for job in await cluster.jobs(name))
        task = await cluster.task(name)
        started = [run.run for run in task.status.active if not run.waiting_for]
        obstacles = {run: await cluster.obstacle(run) for run in started[:_LOOKED_INTO]}
    now = datetime.now(UTC)
    explanation = explain(task, jobs, now, obstacles)
    if output is Output.JSON:
        print_json(explanation)
    else:
        show(explanation, now)


def show(explanation: Explanation, now: datetime) -> None:
    """Print it for people: sentences, and a table of runs and slots."""
    out = console()
    for line in sentences(explanation, now):
        out.print(line)
    rows = [_active_row(run) for run in explanation.active]
    # By the times that are shown. The history is by ends: of a slot without a run, when that was found out.
    rows += [_ended_row(entry) for entry in sorted(explanation.history, key=_when, reverse=True)]
    if rows:
        out.print()
        print_table(("WHEN", "TRIGGER", "RUN", "OUTCOME", "ATTEMPTS", "EXIT", "WHY"), rows)


def sentences(explanation: Explanation, now: datetime) -> list[str]:
    """The answer in a few lines, the most important first."""
    lines = [f"{explanation.namespace}/{explanation.name} is {explanation.state or 'not looked at yet'}."]
    if explanation.schedule:
        resolved = explanation.resolved_schedule
        differs = explanation.up_to_date and resolved and resolved != explanation.schedule
        means = f' ("{resolved}")' if differs else ""
        lines.append(f'Schedule: "{explanation.schedule}"{means}, {explanation.time_zone}.')
    lines += explanation.notes
    for problem in explanation.problems:
        since = f", since {distance(problem.since, now)}" if problem.since else ""
        lines.append(f"{problem.condition} is {problem.status} ({problem.reason}{since}): {problem.message}")
        if problem.mend:
            lines.append(f"  What to do: {problem.mend}.")
    lines += [f"Active: {run.run} ({run.trigger}): {run.explanation}." for run in explanation.active]
    lines.append(f"Next: {explanation.next.explanation}.")
    if not explanation.active and not explanation.history:
        lines.append("No run or slot has ended yet.")
    return lines


def _active_row(run: Active) -> tuple[str, ...]:
    moment = run.slot or run.start_time
    when = write_moment(moment) if moment else ""
    attempts = f"{run.attempt}/{run.max_attempts}"
    return when, run.trigger, run.run, "(active)", attempts, "", run.explanation


def _ended_row(entry: Ended) -> tuple[str, ...]:
    exit_code = "" if entry.exit_code is None else str(entry.exit_code)
    when = write_moment(_when(entry))
    attempts = str(entry.attempts) if entry.attempts else ""
    because = entry.reason if entry.explanation == entry.reason else f"{entry.reason}: {entry.explanation}"
    if entry.last_words and entry.last_words not in because:
        because += f"; last words: {entry.last_words}"
    return when, entry.trigger, entry.run or "", entry.outcome, attempts, exit_code, because


def _when(entry: Ended) -> datetime:
    return entry.slot or entry.start_time or entry.end_time
