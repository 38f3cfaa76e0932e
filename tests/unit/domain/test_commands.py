"""How commands are written, and which runs they name."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduledtask.domain.commands import (
    CancelCommand,
    CommandError,
    RetryCommand,
    RunCommand,
    is_command,
    read_command,
    retry_name,
    run_name,
)

POD_HOST_NAME = re.compile("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
IDS = st.from_regex("[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", fullmatch=True)
TASKS = st.from_regex("[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?", fullmatch=True)


@pytest.mark.parametrize("value", ["", " ", "{}", '{"parameters": {}}'])
def test_a_run_without_parameters_is_written_in_several_ways(value: str) -> None:
    annotation = "run.scheduledtask.dev/x"
    assert read_command("report", annotation, value) == RunCommand(annotation, "report-x", {})


def test_a_run_with_parameters() -> None:
    command = read_command("report", "run.scheduledtask.dev/x", '{"parameters": {"days": 7}}')
    assert isinstance(command, RunCommand)
    assert command.parameters == {"days": 7}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("days=7", "days=7 is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", "[] is not understood"),
        ('{"days": 7}', '{"days": 7} is not understood'),
        ('{"parameters": [7]}', "no JSON object"),
    ],
)
def test_what_can_not_be_read_is_told_with_how_to_write_it(value: str, told: str) -> None:
    with pytest.raises(CommandError) as error:
        read_command("report", "run.scheduledtask.dev/x", value)
    assert told in str(error.value)
    assert 'write {"parameters": {"name": "value"}}' in str(error.value)
    assert len(str(error.value)) < 250


def test_a_cancellation_names_the_run_and_the_reason() -> None:
    annotation = "cancel.scheduledtask.dev/report-x"
    assert read_command("report", annotation, " wrong region ") == CancelCommand(annotation, "report-x", "wrong region")
    assert read_command("report", annotation, "") == CancelCommand(annotation, "report-x", "Cancelled on request.")


def test_a_retry_names_the_failed_run_and_the_new_one() -> None:
    annotation = "retry.scheduledtask.dev/report-x"
    assert read_command("report", annotation, "") == RetryCommand(annotation, "report-x", "report-x-r1")


@pytest.mark.parametrize(
    ("annotation", "command"),
    [
        ("run.scheduledtask.dev/x", True),
        ("cancel.scheduledtask.dev/x", True),
        ("retry.scheduledtask.dev/x", True),
        ("scheduledtask.dev/x", False),
        ("rerun.scheduledtask.dev/x", False),
        ("kubectl.kubernetes.io/last-applied-configuration", False),
    ],
)
def test_only_three_prefixes_are_commands(annotation: str, command: bool) -> None:
    assert is_command(annotation) is command


@pytest.mark.parametrize(
    ("command_id", "name"),
    [
        ("x", "report-x"),
        ("2026-11-22", "report-2026-11-22"),
        ("Backfill_EUW", "report-backfill-euw-h[0-9a-f]{8}"),
        ("backfill.euw", "report-backfill-euw-h[0-9a-f]{8}"),
        ("29661120", "report-29661120-h[0-9a-f]{8}"),
        ("x-29661120", "report-x-29661120-h[0-9a-f]{8}"),
        ("r1", "report-r1-h[0-9a-f]{8}"),
        ("x" * 63, "report-x{44}-h[0-9a-f]{8}"),
    ],
)
def test_the_id_names_the_run(command_id: str, name: str) -> None:
    assert re.fullmatch(name, run_name("report", command_id))


@pytest.mark.parametrize(
    ("run", "name"),
    [
        ("report-x", "report-x-r1"),
        ("report-x-r1", "report-x-r2"),
        ("report-x-r9", "report-x-r10"),
        ("report-29661120", "report-29661120-r1"),
        ("a" * 61, "a{48}-h[0-9a-f]{8}-r1"),
    ],
)
def test_a_retry_is_numbered(run: str, name: str) -> None:
    assert re.fullmatch(name, retry_name(run))


@given(TASKS, IDS)
def test_every_run_has_a_name_that_its_pods_can_have(task: str, command_id: str) -> None:
    name = run_name(task, command_id)
    for _ in range(12):
        assert POD_HOST_NAME.fullmatch(f"{name}-0")
        name = retry_name(name)


@given(TASKS, IDS)
def test_no_command_takes_the_name_of_a_slot_or_of_a_retry(task: str, command_id: str) -> None:
    assert not re.search("-([0-9]{8,}|r[0-9]+)$", run_name(task, command_id))


@given(TASKS, st.lists(IDS, min_size=2, max_size=2, unique=True))
def test_two_ids_are_two_runs(task: str, ids: list[str]) -> None:
    assert run_name(task, ids[0]) != run_name(task, ids[1])
