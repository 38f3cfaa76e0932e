"""Which values a run may be given, and what is said of the others."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduledtask.api.spec import Parameter
from scheduledtask.domain.parameters import ParameterError, parameter_values

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def declared(**fields: Any) -> tuple[Parameter, ...]:
    """One parameter, named `it`."""
    return (Parameter.model_validate({"name": "it", **fields}),)


def problem(value: Any, **fields: Any) -> str:
    """What is said of a value."""
    with pytest.raises(ParameterError) as told:
        parameter_values(declared(**fields), {"it": value})
    return str(told.value)


@pytest.mark.parametrize(
    ("fields", "value", "kept"),
    [
        ({}, "text", "text"),
        ({}, "", ""),
        ({}, 7, "7"),
        ({}, True, "true"),
        ({"type": "integer"}, 7, "7"),
        ({"type": "integer"}, "-07", "-07"),
        ({"type": "integer", "minimum": 0, "maximum": 9}, 9, "9"),
        ({"type": "number"}, 0.5, "0.5"),
        ({"type": "number"}, "1e3", "1e3"),
        ({"type": "number", "minimum": 1}, 1, "1"),
        ({"type": "boolean"}, False, "false"),
        ({"type": "boolean"}, "true", "true"),
        ({"enum": ["euw", "kr"]}, "kr", "kr"),
        ({"type": "integer", "enum": ["1", "2"]}, 2, "2"),
        ({"pattern": "[a-z]+"}, "abc", "abc"),
        ({"pattern": "a|ab"}, "ab", "ab"),
        ({"pattern": r"\pL+"}, "日本", "日本"),
    ],
)
def test_a_value_that_is_as_declared_is_kept_as_text(fields: dict[str, Any], value: Any, kept: str) -> None:
    assert parameter_values(declared(**fields), {"it": value}) == {"it": kept}


@pytest.mark.parametrize(
    ("fields", "value", "told"),
    [
        ({"type": "integer"}, "seven", 'it is "seven": write a whole number, such as 7'),
        ({"type": "integer"}, 7.0, "it is 7.0: write a whole number, such as 7"),
        ({"type": "integer"}, True, "it is true: write a whole number, such as 7"),
        ({"type": "integer"}, "٣", 'it is "٣": write a whole number, such as 7'),
        ({"type": "integer"}, "7\n", 'it is "7\\n": write a whole number, such as 7'),
        ({"type": "number"}, float("nan"), "it is NaN: write a number, such as 0.5"),
        ({"type": "number"}, "1.", 'it is "1.": write a number, such as 0.5'),
        ({"type": "boolean"}, "yes", 'it is "yes": write true or false'),
        ({"type": "boolean"}, 1, "it is 1: write true or false"),
        ({"type": "integer", "minimum": 0}, -1, "it is -1: the least allowed value is 0"),
        ({"type": "integer", "maximum": 9}, 10, "it is 10: the greatest allowed value is 9"),
        ({"type": "number", "maximum": 1}, 1.01, "it is 1.01: the greatest allowed value is 1"),
        ({"enum": ["euw", "kr"]}, "na", 'it is "na": allowed are euw, kr'),
        ({"pattern": "[a-z]+"}, "abc1", 'it is "abc1": it does not match the pattern "[a-z]+"'),
        ({"pattern": "a|ab"}, "abc", 'it is "abc": it does not match the pattern "a|ab"'),
        ({"pattern": "["}, "x", 'the pattern "[" of the task can\'t be read'),
        ({}, None, "it is null: write a string, a number, true or false"),
        ({}, ["a"], "it is a list: write a string, a number, true or false"),
        ({}, {"a": 1}, "it is an object: write a string, a number, true or false"),
        ({}, "a\0b", "it holds characters that no environment variable can"),
        ({}, "\ud800", "it holds characters that no environment variable can"),
        ({}, "x" * 2049, "it has 2049 characters, and 2048 are allowed"),
    ],
)
def test_a_value_that_is_not_is_refused_with_its_name_and_why(fields: dict[str, Any], value: Any, told: str) -> None:
    assert told in problem(value, **fields)


def test_what_is_not_given_has_its_default_or_is_left_out() -> None:
    parameters = (*declared(default="1"), Parameter(name="other"))
    assert parameter_values(parameters, {}) == {"it": "1"}


def test_what_is_required_has_to_be_given_even_where_there_is_a_default() -> None:
    with pytest.raises(ParameterError, match="it is required: give it a value"):
        parameter_values(declared(required=True, default="1"), {})


def test_an_unknown_name_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ParameterError, match='"dayz" is no parameter of the task: there are it'):
        parameter_values(declared(), {"dayz": 1})
    with pytest.raises(ParameterError, match="the task declares none"):
        parameter_values((), {"days": 1})


def test_all_problems_are_told_at_once() -> None:
    parameters = (*declared(type="integer"), Parameter(name="region", required=True))
    with pytest.raises(ParameterError) as told:
        parameter_values(parameters, {"it": "x", "else": 1})
    assert str(told.value).count(";") == 2


def test_a_pattern_that_repeats_a_repetition_takes_no_longer_than_another() -> None:
    assert "does not match" in problem("a" * 2000 + "!", pattern="(a+)+")


@given(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["string", "integer", "number", "boolean"])},
        optional={"pattern": st.sampled_from(["[a-z]*", "(", "x{9999}", r"\C"]), "minimum": st.integers(-9, 9)},
    ),
    JSON,
)
def test_whatever_is_given_is_kept_or_told_in_words_that_can_be_sent(fields: dict[str, Any], value: Any) -> None:
    try:
        said = parameter_values(declared(**fields), {"it": value})["it"]
    except ParameterError as error:
        said = str(error)
    assert said.encode()
    assert "\0" not in said
