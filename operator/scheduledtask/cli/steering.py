"""The commands that start, end and hold runs: what they take and what their help says."""

from typing import Annotated

import typer

from scheduledtask.cli.options import Context, Format, Kubeconfig, Name, Namespace, Wait, await_
from scheduledtask.cli.output import Output

app = typer.Typer()


@app.command()
def run(
    name: Name,
    parameters: Annotated[
        list[str] | None,
        typer.Option(
            "-p",
            "--parameter",
            metavar="NAME=VALUE",
            help="A value for one of spec.parameters; may be repeated. Needs the operator.",
            show_default=False,
        ),
    ] = None,
    wait: Wait = False,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    output: Format = Output.TABLE,
) -> None:
    """Start a run now, under the task's own rules of retry and overlap.

    The operator is needed for parameters, and where another run is active and may have to end first.
    With --wait the exit code is 0 after a success, else that of the program, or 1.
    Ctrl-C ends the waiting, not the run.

    [bold]Examples[/bold]

    kubectl scheduledtask run refresh-patch-meta -n match-history
    kubectl scheduledtask run refresh-patch-meta -p patch=26.23 -p full=true
    kubectl scheduledtask run refresh-patch-meta --wait && echo fresh
    """
    from scheduledtask.cli import run as command
    from scheduledtask.cli.cluster import Place

    raise typer.Exit(await_(command.run(Place(kubeconfig, context, namespace), name, parameters or (), wait, output)))


@app.command()
def retry(
    name: Name,
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN", help="The run, as `why` names it; else the latest that failed.", show_default=False
        ),
    ] = None,
    wait: Wait = False,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    output: Format = Output.TABLE,
) -> None:
    """Start a failed or cancelled run once more, with the parameters it had. Needs the operator.

    [bold]Examples[/bold]

    kubectl scheduledtask retry refresh-patch-meta -n match-history --wait
    kubectl scheduledtask retry refresh-patch-meta refresh-patch-meta-29756160
    """
    from scheduledtask.cli import retry as command
    from scheduledtask.cli.cluster import Place

    raise typer.Exit(await_(command.retry(Place(kubeconfig, context, namespace), name, run, wait, output)))


@app.command()
def cancel(
    name: Name,
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run, as `why` names it.", show_default=False)],
    reason: Annotated[
        str | None, typer.Option("--reason", help="Why, for whoever asks `why` later.", show_default=False)
    ] = None,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    output: Format = Output.TABLE,
) -> None:
    """End a run that is active or waits to start. Its pods get time to end, and their logs stay. Needs the operator.

    [bold]Example[/bold]

    kubectl scheduledtask cancel report report-29756160 --reason 'wrong region'
    """
    from scheduledtask.cli import cancel as command
    from scheduledtask.cli.cluster import Place

    await_(command.cancel(Place(kubeconfig, context, namespace), name, run, reason, output))


@app.command()
def pause(
    name: Name,
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            metavar="TIME|DURATION",
            help="An RFC 3339 time, or a duration such as 90m or 48h. Absent: until `resume`.",
            show_default=False,
        ),
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", help="Why, for whoever asks `why` later.", show_default=False)
    ] = None,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    output: Format = Output.TABLE,
) -> None:
    """Pass slots over for a while. Runs that are active go on.

    [bold]Examples[/bold]

    kubectl scheduledtask pause refresh-patch-meta --until 2h --reason 'API moves'
    kubectl scheduledtask pause refresh-patch-meta --until 2026-12-01T00:00:00Z
    """
    from scheduledtask.cli import pause as command
    from scheduledtask.cli.cluster import Place

    await_(command.pause(Place(kubeconfig, context, namespace), name, until, reason, output))


@app.command()
def resume(
    name: Name,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    output: Format = Output.TABLE,
) -> None:
    """End a pause or a suspension. Slots that were passed over stay so.

    [bold]Example[/bold]

    kubectl scheduledtask resume refresh-patch-meta -n match-history
    """
    from scheduledtask.cli import pause as command
    from scheduledtask.cli.cluster import Place

    await_(command.resume(Place(kubeconfig, context, namespace), name, output))
