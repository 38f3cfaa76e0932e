"""The values of a run's parameters: what a command gives, held against what the task declares.

Values are kept as strings, as `default` and `enum` write them and as a program sees them in its environment.
"""

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from pydantic_core import SchemaError, SchemaValidator, ValidationError, core_schema

from scheduledtask.api.spec import Parameter, ParameterType
from scheduledtask.domain.report import printable

VALUE_LIMIT = 2048
"""Characters of one value, as for a default."""
SHOWN = 80
"""Characters of a refused value that the message shows."""

# As the API server checks defaults: see api/parameter_rules.py.
_FORMS = {
    ParameterType.INTEGER: (re.compile("[+-]?[0-9]{1,18}"), "write a whole number, such as 7"),
    ParameterType.NUMBER: (
        re.compile("[+-]?[0-9]{1,18}([.][0-9]{1,18})?([eE][+-]?[0-9]{1,2})?"),
        "write a number, such as 0.5",
    ),
    ParameterType.BOOLEAN: (re.compile("true|false"), "write true or false"),
}


class ParameterError(ValueError):
    """Values that can't be used. The message names each parameter, its value and what would be right."""


def parameter_values(declared: Sequence[Parameter], given: Mapping[str, Any]) -> dict[str, str]:
    """The values of a run, by name: those given (JSON values), and defaults. Raises ParameterError.

    A parameter with neither is left out, unless it is required.
    """
    known = {parameter.name: parameter for parameter in declared}
    problems = [_unknown(name, known) for name in given if name not in known]
    values: dict[str, str] = {}
    for parameter in declared:
        if parameter.name not in given:
            if parameter.required:
                problems.append(f"{parameter.name} is required: give it a value")
            elif parameter.default is not None:
                values[parameter.name] = parameter.default
            continue
        value = given[parameter.name]
        if not isinstance(value, str | bool | int | float):
            problems.append(f"{parameter.name} is {_kind(value)}: write a string, a number, true or false")
            continue
        values[parameter.name] = text = value if isinstance(value, str) else json.dumps(value)
        problem = _problem(parameter, text)
        if problem:
            problems.append(f"{parameter.name} is {_shown(value)}: {problem}")
    if problems:
        raise ParameterError("; ".join(problems))
    return values


def _unknown(name: str, known: Mapping[str, Parameter]) -> str:
    names = f"there are {', '.join(known)}" if known else "the task declares none in spec.parameters"
    return f"{_shown(name)} is no parameter of the task: {names}"


def _kind(value: Any) -> str:
    return "null" if value is None else "a list" if isinstance(value, list) else "an object"


def _problem(parameter: Parameter, text: str) -> str | None:
    """What would be right instead of this value; None where it is right."""
    if parameter.type in _FORMS:
        form, mend = _FORMS[parameter.type]
        if not form.fullmatch(text):
            return mend
    if len(text) > VALUE_LIMIT:
        return f"it has {len(text)} characters, and {VALUE_LIMIT} are allowed"
    if "\0" in text or text != printable(text):
        return "it holds characters that no environment variable can"
    if parameter.enum is not None and text not in parameter.enum:
        return f"allowed are {', '.join(parameter.enum)}"
    if parameter.type in (ParameterType.INTEGER, ParameterType.NUMBER):
        return _out_of_range(parameter, Decimal(text))
    return _mismatch(parameter.pattern, text) if parameter.pattern is not None else None


def _out_of_range(parameter: Parameter, number: Decimal) -> str | None:
    if parameter.minimum is not None and number < parameter.minimum:
        return f"the least allowed value is {parameter.minimum}"
    if parameter.maximum is not None and number > parameter.maximum:
        return f"the greatest allowed value is {parameter.maximum}"
    return None


def _mismatch(pattern: str, text: str) -> str | None:
    # Rust's expressions are RE2's in all but rarities, and like those never take for ever, whatever anybody writes.
    whole = core_schema.str_schema(pattern=rf"\A(?:{pattern})\z", regex_engine="rust-regex")
    try:
        SchemaValidator(whole).validate_python(text)
    except SchemaError as error:
        why = str(error).rpartition("rror: ")[2]
        return f'the pattern "{pattern}" of the task can\'t be read ({why}): mend it in spec.parameters'
    except ValidationError:
        return f'it does not match the pattern "{pattern}"'
    return None


def _shown(value: str | float) -> str:
    text = printable(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
