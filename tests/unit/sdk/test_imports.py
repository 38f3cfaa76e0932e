"""What a job pays at its start: nothing for what it does not use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SDK = Path(__file__).parents[3] / "job_images" / "sdk"
HEAVY = {
    "alembic",
    "asyncio",
    "email",
    "httpx",
    "logging",
    "psycopg",
    "pydantic",
    "sqlalchemy",
    "structlog",
    "argparse",
}

SIMPLE_JOB = """
import sys
from pathlib import Path
from typing import Annotated
from scheduledtask_sdk import Jobs, Setting
jobs = Jobs("simple", "Simple.")
@jobs.command("look", "look around")
def look(root: Annotated[Path, Setting("ROOT")], who: str = "world") -> dict[str, object]:
    return {"root": str(root), "who": who}
if jobs.main(["look", "--who=you"]):
    raise SystemExit("it failed")
"""


def modules_after(program: str) -> set[str]:
    """The modules that a program has loaded, those of Python's own start taken off."""
    shown = f"import sys\nbefore = set(sys.modules)\n{program}\nprint(*sorted(set(sys.modules) - before))"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SDK), "ROOT": "/data"}
    done = subprocess.run([sys.executable, "-c", shown], env=environment, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_import_of_the_sdk_loads_nothing_heavy() -> None:
    loaded = modules_after("import scheduledtask_sdk")
    assert loaded & HEAVY == set()
    others = {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names
    assert others == {"scheduledtask_sdk"}, "Python's own library alone"


def test_a_job_that_has_only_texts_and_paths_never_loads_pydantic() -> None:
    assert modules_after(SIMPLE_JOB) & (HEAVY - {"argparse", "logging"}) == set()
