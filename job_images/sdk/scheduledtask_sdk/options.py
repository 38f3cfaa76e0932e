"""The options of a command, read from the signature of its function."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from scheduledtask_sdk.markers import Help, Secret, Setting
from scheduledtask_sdk.run import Run

REQUIRED = inspect.Parameter.empty

_OURS = (Help, Secret, Setting)
_MANY = (list, set, frozenset, tuple)


@dataclass(frozen=True, slots=True)
class Option:
    """One parameter of the function. ``variable``: where a setting or a secret stands in the environment."""

    name: str
    kind: Literal["parameter", "setting", "secret"]
    annotation: Any
    default: object
    variable: str = ""
    help: str = ""
    wanted: str = ""

    @property
    def flag(self) -> str:
        """``--backfill-days``."""
        return "--" + self.name.replace("_", "-")

    @property
    def title(self) -> str:
        """How messages name it."""
        return self.variable or self.name

    @property
    def required(self) -> bool:
        """Whether there is no default."""
        return self.default is REQUIRED

    @property
    def types(self) -> tuple[Any, ...]:
        """The plain types that a value may have, without what is said about them."""
        return tuple(_plain_types(self.annotation))

    @property
    def plain_type(self) -> type | None:
        """The type, where it is one and nothing more is said about it."""
        bare = typing.get_origin(self.annotation) is Annotated
        kind, *marks = typing.get_args(self.annotation) if bare else (self.annotation,)
        return kind if isinstance(kind, type) and all(isinstance(mark, _OURS) for mark in marks) else None

    @property
    def is_switch(self) -> bool:
        """Whether the flag takes no value."""
        return self.types == (bool,)

    @property
    def is_many(self) -> bool:
        """Whether text stands for several values, with commas between."""
        return any((typing.get_origin(kind) or kind) in _MANY for kind in self.types)

    @property
    def is_text(self) -> bool:
        """Whether an empty text is a value like any other."""
        return str in self.types


def options_of(function: Callable[..., object]) -> tuple[str | None, tuple[Option, ...]]:
    """The name of the parameter that takes the :class:`Run`, if any, and the options.

    Raises TypeError where the signature can't be one of a command: a defect of the program.
    """
    hints = typing.get_type_hints(function, include_extras=True)
    run_name, options = None, []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"{function.__qualname__}: {parameter} can't be given by name")
        if name not in hints:
            raise TypeError(f"{function.__qualname__}: {name} has no type")
        if hints[name] is Run:
            run_name = name
        else:
            options.append(_option(name, hints[name], parameter.default))
    return run_name, tuple(options)


def _option(name: str, annotation: Any, default: object) -> Option:
    marks = typing.get_args(annotation)[1:] if typing.get_origin(annotation) is Annotated else ()
    said = next((mark for mark in marks if isinstance(mark, Help)), Help(""))
    for mark in marks:
        match mark:
            case Setting(variable):
                return Option(name, "setting", annotation, default, variable, said.text, said.wanted)
            case Secret(variable):
                return Option(name, "secret", annotation, default, variable, said.text, said.wanted)
    return Option(name, "parameter", annotation, default, "", said.text, said.wanted)


def _plain_types(annotation: Any) -> typing.Iterator[Any]:
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        yield from _plain_types(typing.get_args(annotation)[0])
    elif origin in (typing.Union, types.UnionType):
        for part in typing.get_args(annotation):
            yield from _plain_types(part)
    else:
        yield annotation
