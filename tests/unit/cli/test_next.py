"""When a schedule is due, asked for one by one and in batches."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from scheduledtask.cli.due import answers, due
from scheduledtask.cli.errors import CommandError
from scheduledtask.cli.main import app
from scheduledtask.cli.moments import read_moment, write_moment

FRIDAY = datetime(2026, 11, 20, 16, 30, tzinfo=UTC)

schedules = st.sampled_from(
    [
        "0 3 * * *",
        "*/5 9-16 * * 1-5",
        "@hourly",
        "@every 90m",
        "30 2 * * *",
        "H H(0-5) * * *",
        "0 0 30 2 *",
        "61 * * * *",
    ]
)
zones = st.sampled_from(["Etc/UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Europe/Nowhere", ""])
moments = st.integers(0, 7_000_000_000).map(lambda unix: datetime.fromtimestamp(unix, UTC))


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, ["next", *arguments], input=stdin, catch_exceptions=False)


class TestSlots:
    @pytest.mark.parametrize(
        ("expression", "time_zone", "slots"),
        [
            ("0 3 * * *", "Etc/UTC", ["2026-11-21T03:00:00Z", "2026-11-22T03:00:00Z"]),
            ("0 9-17 * * 1-5", "Etc/UTC", ["2026-11-20T17:00:00Z", "2026-11-23T09:00:00Z"]),
            ("0 9 * * *", "Asia/Kathmandu", ["2026-11-21T03:15:00Z", "2026-11-22T03:15:00Z"]),
            ("@every 90m", "Etc/UTC", ["2026-11-20T18:00:00Z", "2026-11-20T19:30:00Z"]),
            ("  @hourly\n", "Etc/UTC", ["2026-11-20T17:00:00Z", "2026-11-20T18:00:00Z"]),
            ("0 0 30 2 *", "Etc/UTC", []),
        ],
    )
    def test_slots_are_those_after_the_moment_in_the_schedules_zone(
        self, expression: str, time_zone: str, slots: list[str]
    ) -> None:
        assert [write_moment(slot) for slot in due(expression, time_zone, FRIDAY, 2).slots] == slots

    def test_h_is_the_place_of_the_named_task(self) -> None:
        assert due("H H * * *", "Etc/UTC", FRIDAY, 1, "match-history/refresh-history-index").resolved == "54 1 * * *"

    @pytest.mark.parametrize(
        ("expression", "time_zone", "task", "reason"),
        [
            ("H * * * *", "Etc/UTC", None, "--name NAMESPACE/NAME"),
            ("H * * * *", "Etc/UTC", "no-namespace", "write namespace/name"),
            ("61 * * * *", "Etc/UTC", None, 'minute "61"'),
            ("* * * *", "Etc/UTC", None, "five fields"),
            ("@every 30s", "Etc/UTC", None, "a minute apart"),
            ("0 3 * * *", "Berlin", None, "did you mean Europe/Berlin?"),
        ],
    )
    def test_a_mistake_is_answered_with_its_mend(
        self, expression: str, time_zone: str, task: str | None, reason: str
    ) -> None:
        with pytest.raises(CommandError, match=None) as raised:
            due(expression, time_zone, FRIDAY, 1, task)
        assert reason in str(raised.value)


class TestCommand:
    def test_the_table_shows_utc_and_the_zones_own_time(self) -> None:
        result = run("30 2 * * *", "--tz", "Europe/Berlin", "--from", "2026-07-01T00:00:00+02:00", "-n", "1")

        assert result.exit_code == 0
        assert "2026-07-01T00:30:00Z  2026-07-01T02:30:00+02:00" in result.output

    def test_the_keys_of_the_json_are_stable(self) -> None:
        result = run("H 3 * * *", "--name", "a/b", "--from", "2026-11-20T16:30:00Z", "-n", "1", "-o", "json")

        assert json.loads(result.output) == {
            "expression": "H 3 * * *",
            "resolved": "19 3 * * *",
            "timeZone": "Etc/UTC",
            "from": "2026-11-20T16:30:00Z",
            "times": ["2026-11-21T03:19:00Z"],
            "localTimes": ["2026-11-21T03:19:00+00:00"],
        }

    def test_a_schedule_that_is_never_due_is_said_to_be_so(self) -> None:
        assert "is never due after" in run("0 0 30 2 *").output

    @pytest.mark.parametrize("arguments", [(), ("@hourly", "--batch", "-")])
    def test_either_a_schedule_or_a_batch_is_needed(self, arguments: tuple[str, ...]) -> None:
        with pytest.raises(CommandError):
            run(*arguments, stdin="")

    @pytest.mark.parametrize("command", ["next", "why", "logs", "run", "retry", "cancel", "pause", "resume"])
    def test_the_help_of_every_command_has_an_example(self, command: str) -> None:
        help_text = CliRunner().invoke(app, [command, "--help"]).output
        assert f"kubectl scheduledtask {command} " in help_text.partition("Example")[2]


class TestBatch:
    def test_each_line_is_answered_with_one_line(self) -> None:
        lines = (
            "@hourly\tEtc/UTC\t2026-12-01T00:00:00Z\n"
            "0 9 * * *\tAsia/Kathmandu\t2026-12-01T00:00:00+05:45\r\n"
            "\n"
            "99 * * * *\tEtc/UTC\t2026-12-01T00:00:00Z\n"
            "@daily\tEtc/UTC\tyesterday\n"
            "@daily\tEtc/UTC\t2026-12-01T00:00:00\n"
            "0 0 30 2 *\tEtc/UTC\t2026-12-01T00:00:00Z"
        )

        result = run("--batch", "-", "-n", "2", stdin=lines)

        assert result.exit_code == 0
        first, second, *errors, never = result.output.split("\n")[:-1]
        assert first == "2026-12-01T01:00:00Z 2026-12-01T02:00:00Z"
        assert second == "2026-12-01T03:15:00Z 2026-12-02T03:15:00Z"
        assert [line.partition(" ")[0] for line in errors] == ["ERR"] * 4
        mends = ["tabs", "minute", "RFC 3339", "Z or an offset"]
        assert all(mend in line for mend, line in zip(mends, errors, strict=True)), errors
        assert never == ""

    def test_a_line_is_answered_before_the_next_one_is_read(self) -> None:
        read: list[int] = []

        def lines() -> Iterator[str]:
            for number in range(3):
                read.append(number)
                yield "@hourly\tEtc/UTC\t2026-12-01T00:00:00Z\n"

        assert next(answers(lines(), 1)) == "2026-12-01T01:00:00Z"
        assert read == [0]

    @settings(deadline=None)
    @given(st.lists(st.tuples(schedules, zones, moments), max_size=8), st.integers(1, 4))
    def test_a_batch_equals_single_questions(self, questions: list[tuple[str, str, datetime]], count: int) -> None:
        lines = [f"{schedule}\t{zone}\t{moment.isoformat()}\n" for schedule, zone, moment in questions]

        answered = list(answers(lines, count, "ns/task"))

        assert answered == [self._single(*question, count) for question in questions]

    @staticmethod
    def _single(schedule: str, zone: str, moment: datetime, count: int) -> str:
        try:
            return " ".join(write_moment(slot) for slot in due(schedule, zone, moment, count, "ns/task").slots)
        except CommandError as error:
            return "ERR " + " ".join(str(error).split())

    @settings(deadline=None)
    @given(st.lists(st.one_of(st.text(), st.tuples(st.text(), st.text(), st.text()).map("\t".join)), max_size=5))
    def test_whatever_is_asked_one_line_comes_back(self, lines: list[str]) -> None:
        answered = list(answers(lines, 1))

        assert len(answered) == len(lines)
        assert all(len(line.splitlines()) <= 1 for line in answered)

    @pytest.mark.parametrize(
        ("moment", "answer"),
        [
            ("0001-01-01T00:00:00Z", 'ERR time "0001-01-01T00:00:00Z": write a year from 1000 to 9000'),
            ("9999-12-31T23:59:59-12:00", 'ERR time "9999-12-31T23:59:59-12:00": write a year from 1000 to 9000'),
            ("9000-12-31T23:59:59-12:00", "9001-01-01T12:00:00Z"),
            ("1000-01-01T00:00:00+14:00", "0999-12-31T11:00:00Z"),
        ],
    )
    def test_moments_at_the_ends_of_the_calendar_are_answered_too(self, moment: str, answer: str) -> None:
        assert list(answers([f"@hourly\tEtc/UTC\t{moment}"], 1)) == [answer]


class TestMoments:
    @settings(deadline=None)
    @given(moments)
    def test_what_is_written_is_read_again(self, moment: datetime) -> None:
        assert read_moment(write_moment(moment)) == moment
