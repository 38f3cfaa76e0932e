"""Commands before they are sent, and what is made of the answer. Sent ones are in tests/integration."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from scheduledtask.api.status import HistoryEntry, Outcome, ScheduledTaskStatus, Trigger
from scheduledtask.cli.commands import Given, check, refusal, waits_for_its_turn, write_parameters
from scheduledtask.cli.errors import CommandError
from scheduledtask.cli.facts import EventFacts, TaskFacts
from scheduledtask.cli.retry import latest_failed
from scheduledtask.domain.conditions import condition
from scheduledtask.domain.values import Task
from tests.unit.builders import NOON, a_job, a_task

RUN = Given("report", "run.scheduledtask.dev/a1", "{}", "report-a1")
RETRY = Given("report", "retry.scheduledtask.dev/first", "", "first-r1")
CANCEL = Given("report", "cancel.scheduledtask.dev/first", "wrong region", "first")
DAYS = {"name": "days", "type": "integer", "required": True}


def an_entry(run: str, outcome: Outcome) -> HistoryEntry:
    return HistoryEntry(run=run, uid=run, trigger=Trigger.MANUAL, end_time=NOON, outcome=outcome, reason="Why")


def with_status(task: Task, **fields: Any) -> Task:
    return replace(task, status=ScheduledTaskStatus(observed_generation=1, **fields))


def not_ready(generation: int) -> Task:
    """A task whose spec was not accepted, in the generation before or in this one."""
    ready = condition((), "Ready", "False", "InvalidSpec", "spec.timeZone: no such zone", NOON)
    return replace(with_status(a_task(), conditions=(ready,)), generation=generation)


class TestCheck:
    @pytest.mark.parametrize(
        ("command", "task", "told"),
        [
            (RUN, a_task(parameters=[DAYS]), "days is required: give it a value"),
            (
                replace(RUN, value='{"parameters": {"days": "x"}}'),
                a_task(parameters=[DAYS]),
                'days is "x": write a whole number, such as 7',
            ),
            (RUN, not_ready(1), "the task is not Ready: spec.timeZone: no such zone"),
            (RUN, replace(a_task(), deleting=True), "the task is being deleted"),
            (RETRY, a_task(), "run first is not in status.history, and its Job is gone"),
            (
                RETRY,
                with_status(a_task(), history=(an_entry("first", Outcome.SUCCEEDED),)),
                "run first is Succeeded: only failed and cancelled runs are retried",
            ),
            (
                RETRY,
                with_status(
                    a_task(),
                    history=(an_entry("first-r1", Outcome.FAILED), an_entry("first", Outcome.FAILED)),
                ),
                "that has been done already, with run first-r1: see `kubectl scheduledtask why report",
            ),
            (CANCEL, a_task(), "there is no run first; active runs: none"),
            (
                CANCEL,
                with_status(a_task(), history=(an_entry("first", Outcome.FAILED),)),
                "run first has ended already: Failed",
            ),
        ],
        ids=["required", "value", "not ready", "deleting", "unknown", "succeeded", "done", "no run", "ended"],
    )
    def test_what_the_operator_would_refuse_is_refused_in_its_words(
        self, command: Given, task: Task, told: str
    ) -> None:
        with pytest.raises(CommandError) as raised:
            check(command, task, (), NOON)
        assert told in str(raised.value)
        assert command.annotation not in str(raised.value)

    @pytest.mark.parametrize(
        ("command", "task"),
        [
            (RUN, a_task()),
            (RUN, not_ready(2)),
            (RETRY, with_status(a_task(), history=(an_entry("first", Outcome.FAILED),))),
            (replace(CANCEL, annotation="cancel.scheduledtask.dev/active", run="active"), a_task()),
            (
                replace(CANCEL, annotation="cancel.scheduledtask.dev/report-a1", run="report-a1"),
                replace(a_task(), annotations=((RUN.annotation, RUN.value),)),
            ),
        ],
        ids=["run", "edited since", "retry", "cancel", "cancel what waits to start"],
    )
    def test_anything_else_is_left_to_the_operator(self, command: Given, task: Task) -> None:
        check(command, task, (replace(a_job("active"), end=None),), NOON)

    def test_commands_that_wait_already_do_not_stand_in_the_way(self) -> None:
        others = (("run.scheduledtask.dev/0", "nonsense"), ("run.scheduledtask.dev/z", "{}"))
        task = replace(a_task(parameters=[DAYS]), annotations=others)
        with pytest.raises(CommandError, match="days is required"):
            check(RUN, task, (), NOON)


class TestParameters:
    @pytest.mark.parametrize(
        ("pairs", "value"),
        [
            ((), "{}"),
            (("days=7", "region=kr"), '{"parameters":{"days":"7","region":"kr"}}'),
            (("query=a=b",), '{"parameters":{"query":"a=b"}}'),
            (("empty=",), '{"parameters":{"empty":""}}'),
        ],
    )
    def test_pairs_become_the_value_of_the_command(self, pairs: tuple[str, ...], value: str) -> None:
        assert write_parameters(pairs) == value

    @pytest.mark.parametrize(
        ("pairs", "told"),
        [
            (("days",), '-p "days": write it as name=value'),
            (("=7",), '-p "=7": write it as name=value'),
            (("days=1", "days=2"), "-p days is given twice"),
        ],
    )
    def test_what_is_no_pair_is_refused(self, pairs: tuple[str, ...], told: str) -> None:
        with pytest.raises(CommandError) as raised:
            write_parameters(pairs)
        assert told in str(raised.value)


class TestAnswer:
    def test_the_latest_event_that_names_the_command_tells_why(self) -> None:
        def event(annotation: str, why: str, minutes: int) -> EventFacts:
            body = {"metadata": {}, "message": f"{annotation}: {why}", "eventTime": NOON + timedelta(minutes=minutes)}
            return msgspec.convert(body, EventFacts)

        events = [event(RUN.annotation, "late", 2), event(RUN.annotation, "early", 1), event("run.x/a", "other", 3)]
        assert refusal(RUN, events) == "late"
        assert "kubectl scheduledtask why report" in refusal(RETRY, events)

    @pytest.mark.parametrize(
        ("policy", "active", "command", "told"),
        [
            ("Queue", ["first"], RUN, "waiting for the end of run first (concurrency.policy is Queue)"),
            ("Replace", ["first"], RETRY, "waiting for the end of run first (concurrency.policy is Replace)"),
            ("Queue", [], RUN, None),
            ("Queue", ["first"], CANCEL, None),
            ("Allow", ["first"], RUN, None),
        ],
    )
    def test_a_run_waits_its_turn_where_the_policy_says_so(
        self, policy: str, active: list[str], command: Given, told: str | None
    ) -> None:
        run = {"uid": "u", "trigger": "Manual", "startTime": NOON, "attempt": 1}
        status = {"active": [{"run": name, **run} for name in active]}
        body = {"metadata": {}, "spec": {"concurrency": {"policy": policy}}, "status": status}
        assert waits_for_its_turn(command, msgspec.convert(body, TaskFacts)) == told


class TestLatestFailed:
    @pytest.mark.parametrize(
        ("history", "run"),
        [
            ([("b", "Failed"), ("a", "Failed")], "b"),
            ([("c", "Succeeded"), ("b", "Cancelled"), ("a", "Failed")], "a"),
            ([("a-r1", "Failed"), ("a", "Failed")], "a-r1"),
            ([("b-r1", "Succeeded"), ("b", "Failed"), ("a", "Failed")], "a"),
            ([(None, "Missed"), ("a", "Succeeded")], None),
            ([], None),
        ],
    )
    def test_it_is_the_newest_that_was_not_repeated(
        self, history: list[tuple[str | None, str]], run: str | None
    ) -> None:
        entries = [{"run": name, "outcome": how, "trigger": "Manual", "endTime": NOON} for name, how in history]
        body = {"metadata": {"name": "report", "namespace": "ns"}, "status": {"history": entries}}
        task = msgspec.convert(body, TaskFacts)
        if run:
            assert latest_failed(task) == run
        else:
            with pytest.raises(CommandError, match="kubectl scheduledtask why report -n ns"):
                latest_failed(task)
