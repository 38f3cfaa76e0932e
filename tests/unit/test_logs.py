"""Log lines: one form for all, one line each in JSON, and no secrets in tracebacks."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "operator"
SPEAK = """
import logging, structlog
from scheduledtask.logs import set_up_logs
set_up_logs({form!r}, {level!r})
log = structlog.get_logger("scheduledtask")
log.debug("looked around")
log.info("run ended", task="ns/report", message_of_program="two\\nlines", exit_code=3)
logging.getLogger("library").warning("a %s", "warning")
logging.getLogger("kopf").info("reconnected")
def work():
    secret = "hunter2"
    raise ValueError("broken")
try:
    work()
except ValueError:
    log.exception("reconcile crashed", task="ns/report")
"""


def spoken(form: str, level: str) -> str:
    """What a process of its own writes to standard error."""
    command = [sys.executable, "-c", SPEAK.format(form=form, level=level)]
    environment = {"PYTHONPATH": str(SOURCES)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == ""
    return done.stderr


def test_json_is_one_object_a_line_with_the_same_names_for_all() -> None:
    lines = [json.loads(line) for line in spoken("json", "info").splitlines()]
    assert [line["message"] for line in lines] == ["run ended", "a warning", "reconcile crashed"]
    assert [line["level"] for line in lines] == ["info", "warning", "error"]
    assert [line["logger"] for line in lines] == ["scheduledtask", "library", "scheduledtask"]
    assert (lines[0]["task"], lines[0]["exit_code"]) == ("ns/report", 3)
    assert all(line["timestamp"].endswith("Z") for line in lines)
    assert lines[2]["exception"][0]["exc_value"] == "broken"


def test_text_can_be_grepped_by_event_and_by_key() -> None:
    text = spoken("text", "info")
    assert "run ended" in text.splitlines()[0]
    assert "task=ns/report" in text.splitlines()[0]
    assert "exit_code=3" in text.splitlines()[0]
    assert "ValueError: broken" in text


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_traceback_does_not_tell_the_values_of_variables(form: str) -> None:
    assert "hunter2" not in spoken(form, "info").replace('secret = "hunter2"', "")


@pytest.mark.parametrize(("level", "told"), [("debug", True), ("info", False)])
def test_the_level_decides_what_is_told(level: str, told: bool) -> None:
    assert ("looked around" in spoken("json", level)) == told
    assert logging.getLogger("scheduledtask").level == logging.NOTSET, "this process is left as it was"
