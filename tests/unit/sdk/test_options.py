"""What the signature of a function says about the options of its command."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import pytest
from annotated_types import Ge

from scheduledtask_sdk import Help, Run, Secret, Setting
from scheduledtask_sdk.failures import Failure
from scheduledtask_sdk.options import REQUIRED, options_of
from scheduledtask_sdk.values import Given, validated


def example(
    context: Run,
    since: date,
    backfill_days: Annotated[int, Ge(0), Help("days to go back")] = 1,
    url: Annotated[str, Setting("THE_URL")] = "",
    token: Annotated[str | None, Secret("THE_TOKEN")] = None,
    *,
    ids: frozenset[int] = frozenset(),
) -> None:
    """An example."""


def test_each_parameter_is_an_option_but_the_one_for_the_run() -> None:
    run_name, options = options_of(example)
    assert run_name == "context"
    assert [(option.name, option.kind, option.flag, option.title) for option in options] == [
        ("since", "parameter", "--since", "since"),
        ("backfill_days", "parameter", "--backfill-days", "backfill_days"),
        ("url", "setting", "--url", "THE_URL"),
        ("token", "secret", "--token", "THE_TOKEN"),
        ("ids", "parameter", "--ids", "ids"),
    ]
    assert options[0].default is REQUIRED
    assert options[1].help == "days to go back"


def unnamed(*names: str) -> None: ...
def anything(**values: str) -> None: ...
def positional(name: str, /) -> None: ...
def untyped(name="x"): ...  # type: ignore[no-untyped-def]


@pytest.mark.parametrize("function", [unnamed, anything, positional, untyped])
def test_a_function_whose_parameters_can_not_be_given_by_name_and_type_is_a_defect(function: object) -> None:
    assert callable(function)
    with pytest.raises(TypeError, match=r"can't be given by name|has no type"):
        options_of(function)


def test_texts_become_what_the_types_say() -> None:
    _, options = options_of(example)
    given = {"since": "2026-01-31", "backfill_days": "3", "url": "http://x", "token": "t", "ids": " 4, 5,,"}
    values = validated(options, {name: Given(value, "--x") for name, value in given.items()})
    assert values == {
        "since": date(2026, 1, 31),
        "backfill_days": 3,
        "url": "http://x",
        "token": "t",
        "ids": frozenset({4, 5}),
    }


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (int, "7", 7),
        (float, "0.5", 0.5),
        (bool, "true", True),
        (Path, "/data", Path("/data")),
        (list[str], '["a,b"]', ["a,b"]),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (int | None, "7", 7),
        (str, "[not a list]", "[not a list]"),
        (tuple[int, int], "1,2", (1, 2)),
    ],
    ids=str,
)
def test_text_of_each_type(annotation: object, text: str, value: object) -> None:
    def command(x): ...  # type: ignore[no-untyped-def]

    command.__annotations__ = {"x": annotation}
    _, options = options_of(command)
    assert validated(options, {"x": Given(text, "--x")}) == {"x": value}


def test_a_wrong_secret_is_told_without_its_value() -> None:
    def command(pin: Annotated[int, Secret("PIN")]) -> None: ...

    command.__annotations__ = {"pin": Annotated[int, Secret("PIN")]}
    _, options = options_of(command)
    with pytest.raises(Failure, match=r"^PIN should be a valid integer") as caught:
        validated(options, {"pin": Given("hunter2", "PIN")})
    assert "hunter2" not in caught.value.message + repr(caught.value.context)
