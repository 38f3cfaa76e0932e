"""The command line of a set of jobs: ``PROGRAM COMMAND --flags``, and its help."""

from __future__ import annotations

import argparse
import inspect
import textwrap
from collections.abc import Mapping, Sequence
from typing import NoReturn

from scheduledtask_sdk.command import Command
from scheduledtask_sdk.failures import Misconfigured
from scheduledtask_sdk.options import Option
from scheduledtask_sdk.redaction import redacted
from scheduledtask_sdk.values import PARAMETERS, Given, given

_COMMON = f"""\
Exit codes: 0 done, 75 failed and worth another attempt, 65 unusable input, 66 missing input, 77 permission
(files, or a refused key), 78 configuration, 70 a defect of the program.

The outcome is left as JSON in TERMINATION_LOG (default /dev/termination-log, where it exists), the progress in
TASK_PROGRESS_FILE. LOG_FORMAT=json logs JSON, anything else text; LOG_LEVEL=debug logs more. Parameters are also
taken from {PARAMETERS}, a JSON object; a flag wins.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Misconfigured(f"{message}; see {self.prog} --help")


def parse(
    program: str,
    summary: str,
    epilog: str,
    commands: Mapping[str, Command],
    arguments: Sequence[str] | None,
    environment: Mapping[str, str],
) -> tuple[Command, dict[str, Given]]:
    """The command that is asked for, and what is given to it. Raises Misconfigured for a wrong command line; ends the
    process after ``--help``."""
    parser = _Parser(
        prog=program,
        description=summary,
        epilog="\n".join(filter(None, (textwrap.dedent(epilog).strip(), "", _COMMON))),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    listed = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    for command in commands.values():
        added = listed.add_parser(
            command.name,
            help=_escaped(command.summary),
            description=inspect.cleandoc(command.function.__doc__ or command.summary),
            epilog=_secrets(command.options, environment),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        for option in command.options:
            if option.kind != "secret":
                _add(added, option, environment)
    flags = vars(parser.parse_args(arguments))
    command = commands[flags.pop("command")]
    return command, given(command.options, flags, environment)


def _add(parser: argparse.ArgumentParser, option: Option, environment: Mapping[str, str]) -> None:
    text = f"{option.help} [{_now(option, environment)}]".lstrip()
    if option.is_switch:
        parser.add_argument(option.flag, action=argparse.BooleanOptionalAction, default=None, help=_escaped(text))
    else:
        parser.add_argument(option.flag, default=None, metavar="VALUE", help=_escaped(text))


def _now(option: Option, environment: Mapping[str, str]) -> str:
    value = environment.get(option.variable) if option.variable else None
    if not value:
        value = "required" if option.required else f"now: {_shown(option.default)}"
    else:
        value = f"now: {redacted(value)}"
    return f"{option.variable}, {value}" if option.variable else value


def _shown(default: object) -> str:
    match default:
        case bool():
            return str(default).lower()
        case None | "":
            return "empty"
        case float():
            return f"{default:g}"
        case list() | tuple() | set() | frozenset():
            return ",".join(sorted(map(str, default))) or "empty"
    return str(default)


def _secrets(options: Sequence[Option], environment: Mapping[str, str]) -> str | None:
    lines = [
        f"  {option.variable}  {option.help} [{'set' if environment.get(option.variable) else 'not set'}]"
        for option in options
        if option.kind == "secret"
    ]
    return "\n".join(["taken from the environment alone, and never shown:", *lines]) if lines else None


def _escaped(text: str) -> str:
    return text.replace("%", "%%")
