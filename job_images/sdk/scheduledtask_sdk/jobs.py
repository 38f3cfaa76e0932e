"""A program whose commands are jobs: each runs once, to its end, and answers with an exit code and a message."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from scheduledtask_sdk import logs, redaction
from scheduledtask_sdk.command import Command
from scheduledtask_sdk.failures import DEFECT, Ending, Failure, Interrupted
from scheduledtask_sdk.logs import log
from scheduledtask_sdk.rules import Rule, failure_of, set_statuses
from scheduledtask_sdk.run import Run
from scheduledtask_sdk.stopping import stop
from scheduledtask_sdk.success import Success
from scheduledtask_sdk.termination import write_termination_message

if TYPE_CHECKING:
    from scheduledtask_sdk.values import Given

F = TypeVar("F", bound=Callable[..., object])


class Jobs:
    """The commands of a program called ``name``.

    ``rules`` and ``statuses`` say what exceptions and HTTP statuses mean here, before the common ones;
    ``epilog`` ends the help.
    """

    def __init__(
        self,
        name: str,
        summary: str,
        *,
        epilog: str = "",
        rules: Sequence[Rule] = (),
        statuses: Mapping[int, type[Failure]] | None = None,
    ) -> None:
        self.name = name
        self._summary = summary
        self._epilog = epilog
        self._rules = tuple(rules)
        self._statuses = dict(statuses or {})
        self._commands: dict[str, Command] = {}

    def command(self, name: str, summary: str) -> Callable[[F], F]:
        """Make the function a command. Its signature says what it takes, its docstring is the long help; it returns a
        :class:`Success`, a mapping as the result, or None, and raises otherwise."""

        def register(function: F) -> F:
            self._commands[name] = Command(name, summary, function)
            return function

        return register

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """Run the command that the arguments (default: the process's own) name, and return its exit code."""
        # Loaded when a job runs, not where its functions are imported.
        from scheduledtask_sdk.command_line import parse

        logs.configure(os.environ)
        try:
            stop.listen()
            set_statuses(self._statuses)
            self._keep_secrets()
            command, values = parse(self.name, self._summary, self._epilog, self._commands, arguments, os.environ)
            run = Run.from_environment(os.environ)
        except (Interrupted, Exception) as error:
            stop.close()
            return self._report_error(error)
        return self._run(command, values, run)

    def _keep_secrets(self) -> None:
        for command in self._commands.values():
            for option in command.options:
                if option.kind == "secret":
                    redaction.keep_secret(os.environ.get(option.variable, ""))

    def _run(self, command: Command, values: Mapping[str, Given], run: Run) -> int:
        from scheduledtask_sdk.values import validated

        started = time.monotonic()
        try:
            try:
                log.info("started", command=command.name)
                taken = validated(command.options, values)
                run_name = command.signature[0]
                answer = command.function(**taken, **({run_name: run} if run_name else {}))
                success = _success(command.name, answer)
            finally:
                stop.close()
                run.close()
        except BaseExceptionGroup as group:
            return self._report_error(_interruption_in(group) or group)
        except (Interrupted, Exception) as error:
            return self._report_error(error)
        duration = round(time.monotonic() - started, 3)
        log.info("succeeded", command=command.name, message=success.message, duration_seconds=duration)
        result = {**success.result, "duration_seconds": duration}
        write_termination_message({"message": success.message, "result": result})
        return 0

    def _report_error(self, error: BaseException) -> int:
        if isinstance(error, Interrupted):
            return _report(error)
        failure = failure_of(error, self._rules)
        if failure is None:
            return _report_defect()
        if failure is not error:
            logs.write_traceback()
        return _report(failure)


def _interruption_in(group: BaseExceptionGroup[BaseException]) -> Interrupted | None:
    for error in group.exceptions:
        inner = _interruption_in(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(inner, Interrupted):
            return inner
    return None


def _success(name: str, answer: object) -> Success:
    match answer:
        case Success():
            return answer
        case None:
            return Success(f"{name} done")
        case Mapping():
            return Success(f"{name} done", answer)
    raise TypeError(f"{name} returned {type(answer).__name__}; return a Success, a mapping or None")


def _report(ending: Ending) -> int:
    """Log an expected failure, leave it in the termination message and return its exit code."""
    error = {
        "class": type(ending).__name__,
        "message": ending.message,
        "context": ending.context,
        "retryable": ending.retryable,
    }
    log.error("failed", **{**error, "exit_code": ending.exit_code})
    write_termination_message({"error": error})
    return ending.exit_code


def _report_defect() -> int:
    log.error("failed", exit_code=DEFECT, message="unexpected error, a defect of this program")
    logs.write_traceback()
    return DEFECT
