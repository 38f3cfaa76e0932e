"""What holds for the commands as programs: exit codes, messages, secrets."""

from __future__ import annotations

import json

import pytest

from job_queue.cli import jobs
from tests.jobs.job_queue.conftest import Queue

COMMANDS = (
    "document-processing",
    "embedding-generation",
    "monday-sync",
    "jira-refresh",
    "bulk-import",
    "audit-cleanup",
    "search",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        jobs.main([command, "--help"])
    assert ended.value.code == 0
    assert "--" in capsys.readouterr().out


def test_parameters_of_the_task_are_taken_and_a_bad_one_is_bad_input(light: Queue) -> None:
    good = light.run("audit-cleanup", TASK_PARAMETERS='{"keep_days": "30", "dry_run": "true"}', TASK_RUN="audit-1")
    assert (good.exit_code, good.result["dry_run"]) == (0, True)
    bad = light.run("audit-cleanup", TASK_PARAMETERS='{"keep_days": "soon"}')
    assert (bad.exit_code, bad.error["retryable"]) == (65, False)
    assert "keep_days" in bad.error["message"]


def test_a_refused_import_ends_with_65_and_names_its_rows_within_the_limit(light: Queue) -> None:
    (light.imports / "a.csv").write_text("id,amount\n" + "".join(f"{number},{'x' * 300}\n" for number in range(100)))
    ended = light.run("bulk-import", "--path=a.csv", "--fields=amount:number")
    assert (ended.exit_code, ended.error["class"]) == (65, "InvalidInput")
    assert ended.error["context"]["errors"][0]["line"] == 2
    assert len(json.dumps(ended.termination).encode()) <= 4096
