"""The values of a command's options: taken from where they are given, and validated by pydantic.

Flag, then ``TASK_PARAMETERS`` (parameters), then environment variable (settings and secrets), then default.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from scheduledtask_sdk.failures import Failure, InvalidInput, Misconfigured
from scheduledtask_sdk.logs import log
from scheduledtask_sdk.options import Option

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

PARAMETERS = "TASK_PARAMETERS"

_LONGEST_SHOWN = 100


class Given(NamedTuple):
    """A value as it came, and from where: a flag, ``TASK_PARAMETERS`` or an environment variable."""

    value: object
    by: str


def given(options: Sequence[Option], flags: Mapping[str, object], environment: Mapping[str, str]) -> dict[str, Given]:
    """What is given, by the options' names; what is missing here has its default. Raises InvalidInput where
    ``TASK_PARAMETERS`` is no JSON object."""
    parameters = _parameters(environment)
    unknown = sorted(parameters.keys() - {option.name for option in options if option.kind == "parameter"})
    if unknown:
        log.warning("this command has no such parameters", names=unknown)
    found = ((option, _given(option, flags, parameters, environment)) for option in options)
    return {option.name: value for option, value in found if value is not None}


def _given(
    option: Option, flags: Mapping[str, object], parameters: Mapping[str, object], environment: Mapping[str, str]
) -> Given | None:
    if flags.get(option.name) is not None:
        return Given(flags[option.name], option.flag)
    if option.kind == "parameter":
        value = parameters.get(option.name)
        return None if value is None or (value == "" and not option.is_text) else Given(value, PARAMETERS)
    text = environment.get(option.variable, "")
    if option.kind == "secret":
        text = text.strip()
    return Given(text, option.variable) if text else None


def _parameters(environment: Mapping[str, str]) -> dict[str, object]:
    text = environment.get(PARAMETERS) or "{}"
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"{PARAMETERS} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidInput(f'{PARAMETERS}: {_shown(value)} is not a JSON object such as {{"name": "value"}}')
    return value


def validated(options: Sequence[Option], values: Mapping[str, Given]) -> dict[str, object]:
    """The values as the function wants them. Raises Misconfigured (a setting or a secret) or InvalidInput (a
    parameter) with everything that is wrong."""
    sound: dict[str, object] = {}
    wrong: list[Failure] = []
    for option in options:
        answer = values.get(option.name)
        if answer is None and option.required:
            wrong.append(_missing(option))
        elif answer is None:
            sound[option.name] = option.default
        else:
            try:
                sound[option.name] = _validated(option, answer)
            except Failure as failure:
                wrong.append(failure)
    if wrong:
        # A setting concerns every run: it comes first.
        wrong.sort(key=lambda failure: not isinstance(failure, Misconfigured))
        first = wrong[0]
        raise type(first)("; ".join(failure.message for failure in wrong), **first.context)
    return sound


def _validated(option: Option, answer: Given) -> object:
    if isinstance(answer.value, str) and option.plain_type in (str, Path):
        return answer.value if option.plain_type is str else Path(answer.value)
    # Takes a tenth of a second to load, which a job without a number to check need not wait for.
    from pydantic import TypeAdapter, ValidationError

    adapter = TypeAdapter[Any](option.annotation)
    value = answer.value
    try:
        if isinstance(value, str) and value.lstrip().startswith(("[", "{")) and not option.is_text:
            return adapter.validate_json(value)
        if isinstance(value, str) and option.is_many:
            value = [part for part in (part.strip() for part in value.split(",")) if part]
        return adapter.validate_python(value)
    except ValidationError as error:
        raise _wrong(option, answer, error.errors(include_url=False)[0]) from None


def _wrong(option: Option, answer: Given, error: ErrorDetails) -> Failure:
    failure = InvalidInput if option.kind == "parameter" else Misconfigured
    problem = f"is not {option.wanted}" if option.wanted else _problem(error)
    context: dict[str, object] = {"name": option.title, "given_by": answer.by}
    if option.kind == "secret":
        return failure(f"{option.title} {problem}", **context)
    # Of several values, the one that is wrong.
    place = "".join(f"[{part}]" for part in error["loc"] if isinstance(part, str))
    shown = _shown(error["input"])
    source = "" if answer.by == option.title else f" (given by {answer.by})"
    return failure(f"{option.title}{place}: {shown} {problem}{source}", **context, value=shown)


def _problem(error: ErrorDetails) -> str:
    """Pydantic's words behind a value: "should be greater than 0"."""
    words = re.sub(r"^(Input|Value error,|Assertion failed,)\s*", "", error["msg"])
    return words if re.match(r"(should|is|must|has|can)\b", words) else f"is not valid: {words}"


def _missing(option: Option) -> Failure:
    about = f": {option.help}" if option.help else ""
    match option.kind:
        case "parameter":
            return InvalidInput(
                f"{option.name} is missing{about}; give {option.flag}, or the task's parameter {option.name}",
                name=option.name,
            )
        case "setting":
            return Misconfigured(f"{option.title} is not set{about}; set it, or give {option.flag}", name=option.title)
        case "secret":
            return Misconfigured(
                f"{option.title} is not set{about}; give it to the container from a Secret", name=option.title
            )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"
