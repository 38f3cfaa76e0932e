"""Options that several commands take, and how a command is run."""

from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from scheduledtask.cli.output import Output

Answer = TypeVar("Answer")

Name = Annotated[str, typer.Argument(help="The name of the ScheduledTask.", metavar="NAME", show_default=False)]
Namespace = Annotated[
    str | None,
    typer.Option("-n", "--namespace", help="The namespace; else that of the kubeconfig's context.", show_default=False),
]
Kubeconfig = Annotated[
    Path | None,
    typer.Option("--kubeconfig", help="A kubeconfig; else $KUBECONFIG or ~/.kube/config.", show_default=False),
]
Context = Annotated[
    str | None, typer.Option("--context", help="A context of the kubeconfig; else its current one.", show_default=False)
]
Format = Annotated[Output, typer.Option("-o", "--output", help="For people or for programs.")]
Wait = Annotated[bool, typer.Option("--wait", help="Show progress until it ends, and exit with the run's exit code.")]


def await_(command: Coroutine[Any, Any, Answer]) -> Answer:
    """Run a command to its end."""
    import asyncio

    return asyncio.run(command)
