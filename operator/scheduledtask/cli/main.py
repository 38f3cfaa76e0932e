"""The commands: what they take and what their help says. What they do is imported when it is needed."""

import sys
from typing import Annotated

import typer

from scheduledtask.cli import steering
from scheduledtask.cli.errors import CommandError
from scheduledtask.cli.options import Context, Format, Kubeconfig, Name, Namespace, await_
from scheduledtask.cli.output import Output

app = typer.Typer(
    name="kubectl scheduledtask",
    help="Ask ScheduledTasks why and when they run; start, end, hold and read them.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.command("next")
def next_(
    expression: Annotated[
        str | None, typer.Argument(metavar="EXPR", help="A schedule, as in spec.schedule.", show_default=False)
    ] = None,
    time_zone: Annotated[str, typer.Option("--tz", metavar="ZONE", help="An IANA time zone.")] = "Etc/UTC",
    after: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Slots after this RFC 3339 time; else now.", show_default=False),
    ] = None,
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=10_000, help="How many slots.")] = 5,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAMESPACE/NAME", help="The task, which H depends on.", show_default=False),
    ] = None,
    batch: Annotated[
        typer.FileText | None,
        typer.Option(
            "--batch",
            encoding="utf-8",
            errors="replace",
            metavar="FILE|-",
            help="Lines EXPR<TAB>ZONE<TAB>FROM; each is answered with a line of UTC times, or ERR and the reason.",
            show_default=False,
        ),
    ] = None,
    output: Format = Output.TABLE,
) -> None:
    """When a schedule is due, by Kubernetes' own rules. Needs no cluster.

    [bold]Examples[/bold]

    kubectl scheduledtask next '30 2 * * 1-5' --tz Europe/Berlin -n 3
    kubectl scheduledtask next 'H H * * *' --name match-history/patch-meta
    kubectl scheduledtask next --batch schedules.tsv -n 2
    """
    from scheduledtask.cli import due

    if batch is not None:
        if expression is not None:
            raise CommandError("give EXPR or --batch, not both")
        due.print_answers(batch, count, name)
        return
    if expression is None:
        raise CommandError("which schedule? Give one, such as: kubectl scheduledtask next '0 3 * * *'")
    due.show(expression, time_zone, after, count, name, output)


@app.command()
def why(
    name: Name,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    output: Format = Output.TABLE,
) -> None:
    """Why a task is as it is: what became of each run and slot, what runs now, what is wrong, what is next.

    [bold]Examples[/bold]

    kubectl scheduledtask why refresh-patch-meta -n match-history
    kubectl scheduledtask why refresh-patch-meta -o json | jq .problems
    """
    from scheduledtask.cli import why as command
    from scheduledtask.cli.cluster import Place

    await_(command.why(Place(kubeconfig, context, namespace), name, output))


@app.command()
def logs(
    name: Name,
    run: Annotated[
        str | None, typer.Option("--run", help="The run, as `why` names it; else the latest.", show_default=False)
    ] = None,
    attempt: Annotated[
        int | None, typer.Option("--attempt", min=1, help="One attempt only; else all.", show_default=False)
    ] = None,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on until the run ends, later attempts included.")
    ] = False,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """What the attempts of a run wrote, each under a line that names it.

    [bold]Examples[/bold]

    kubectl scheduledtask logs refresh-patch-meta -n match-history -f
    kubectl scheduledtask logs refresh-patch-meta --attempt 2
    """
    from scheduledtask.cli import logs as command
    from scheduledtask.cli.cluster import Place

    await_(command.logs(Place(kubeconfig, context, namespace), name, run, attempt, follow))


app.add_typer(steering.app)


def main() -> None:
    """The command `kubectl-scheduledtask`, which kubectl finds as its plugin `scheduledtask`."""
    try:
        app(prog_name="kubectl scheduledtask")
    except CommandError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(1)
