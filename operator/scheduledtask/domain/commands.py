"""Commands: annotations on a ScheduledTask by which anybody who may edit it starts, ends and repeats runs.

Each command has a key of its own, so that none overwrites another:

    run.scheduledtask.dev/<id>: '{"parameters": {"days": 7}}'    (or '{}', or '')
    cancel.scheduledtask.dev/<run>: <reason>
    retry.scheduledtask.dev/<run>: ''

The key makes a command idempotent: it names the run that is started, so the same one twice starts one run.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scheduledtask.domain.values import GROUP

RUN, CANCEL, RETRY = f"run.{GROUP}/", f"cancel.{GROUP}/", f"retry.{GROUP}/"

RUN_NAME_LIMIT = 61
"""Characters of a run's name: its pod has the host name <run>-0, a DNS label of at most 63."""
REASON_LIMIT = 1024
"""Characters of the reason of a cancellation, as the history keeps them."""
SHOWN = 80

_LABEL = re.compile("[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_TAKEN = re.compile(r"(.*-)?(r[0-9]+|[0-9]{8,})")
"""What ends the names of slots (unix minutes) and of retries (r1, r2, …)."""
_RETRY = re.compile(r"(?P<first>.+)-r(?P<number>[1-9][0-9]{0,4})")


class CommandError(ValueError):
    """A command that can't be read. The message names the value and how to write it."""


@dataclass(frozen=True, slots=True)
class RunCommand:
    """Start a run of this name, with these parameters (JSON values)."""

    annotation: str
    run: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CancelCommand:
    """End a run."""

    annotation: str
    run: str
    reason: str


@dataclass(frozen=True, slots=True)
class RetryCommand:
    """Start a failed run again, under the name `run`."""

    annotation: str
    failed_run: str
    run: str


Command = RunCommand | CancelCommand | RetryCommand


def is_command(annotation: str) -> bool:
    """Whether the key of an annotation is that of a command."""
    return annotation.startswith((RUN, CANCEL, RETRY))


def read_command(task: str, annotation: str, value: str) -> Command:
    """The command that an annotation of a task (its name) gives. Raises CommandError."""
    subject = annotation.partition("/")[2]
    if annotation.startswith(RUN):
        return RunCommand(annotation, run_name(task, subject), command_parameters(value))
    if annotation.startswith(RETRY):
        return RetryCommand(annotation, subject, retry_name(subject))
    return CancelCommand(annotation, subject, value.strip()[:REASON_LIMIT] or "Cancelled on request.")


def run_name(task: str, command_id: str) -> str:
    """The name of the run that a command starts: `<task>-<id>`.

    Where that is no DNS label, too long, or like the name of a slot or a retry, a digest of the id ends it.
    """
    name = f"{task}-{command_id}"
    plain = _LABEL.fullmatch(name) and len(name) <= RUN_NAME_LIMIT and not _TAKEN.fullmatch(command_id)
    return name if plain else _digested(name, RUN_NAME_LIMIT)


def retry_name(run: str) -> str:
    """The name of a run that repeats another: `<run>-r1`, and after that `-r2` and so on."""
    before = _RETRY.fullmatch(run)
    first, number = (before["first"], int(before["number"]) + 1) if before else (run, 1)
    ending = f"-r{number}"
    if not _LABEL.fullmatch(first) or len(first) + len(ending) > RUN_NAME_LIMIT:
        first = _digested(first, RUN_NAME_LIMIT - len(ending))
    return first + ending


def _digested(name: str, limit: int) -> str:
    """The name as a DNS label of at most so many characters that stands for this name alone."""
    # The h keeps the ending from being a number, as those of slots are.
    ending = f"-h{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    start = re.sub("[^a-z0-9]+", "-", name.lower())[: limit - len(ending)].strip("-")
    return start + ending


def command_parameters(value: str) -> Mapping[str, Any]:
    """The parameters in the value of a run command. Raises CommandError."""
    if not value.strip():
        return {}
    mend = 'write {"parameters": {"name": "value"}}, or {} for the defaults'
    try:
        body = json.loads(value)
    except (ValueError, RecursionError):
        raise CommandError(f"{_shown(value)} is no JSON: {mend}") from None
    if not isinstance(body, dict) or body.keys() - {"parameters"}:
        raise CommandError(f"{_shown(value)} is not understood: {mend}")
    parameters = body.get("parameters", {})
    if not isinstance(parameters, dict):
        raise CommandError(f"the parameters in {_shown(value)} are no JSON object: {mend}")
    return parameters


def _shown(value: str) -> str:
    return value if len(value) <= SHOWN else value[: SHOWN - 1] + "…"
