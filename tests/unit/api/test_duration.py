"""Durations as users write them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from scheduledtask.api.duration import PositiveDuration, StartingDeadline, format_duration, parse_duration


class Limits(BaseModel):
    timeout: PositiveDuration = timedelta(minutes=10)
    deadline: StartingDeadline = timedelta(minutes=5)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("2h", 7200), ("1h30m", 5400), ("1h0m5s", 3605), ("0s", 0), ("120m", 7200)],
)
def test_hours_minutes_and_seconds_are_read(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "-5m", "1.5h", "5 minutes", "1d", "30m1h", "1h1h", "5M", " 5m", "5m\n", "٣m", "9999999h"]
)
def test_anything_else_is_refused_with_the_text_and_the_form_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="write hours, minutes and seconds like 1h30m") as refused:
        parse_duration(text)
    assert f'"{text}"' in str(refused.value)


@given(st.integers(min_value=0, max_value=10**9))
def test_what_is_written_is_read_back(seconds: int) -> None:
    duration = timedelta(seconds=seconds)
    assert parse_duration(format_duration(duration)) == duration


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=10_000)))
def test_parts_of_a_second_are_rounded_down(duration: timedelta) -> None:
    assert timedelta(0) <= duration - parse_duration(format_duration(duration)) < timedelta(seconds=1)


@pytest.mark.parametrize("wrong", [{"timeout": "0s"}, {"deadline": "9s"}, {"timeout": "soon"}])
def test_models_keep_the_least_durations_too(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Limits.model_validate(wrong)
