"""A process that runs rounds in children of its own and kills them: see test_crash.

It reads a JSON object a line from standard input, with the environment and the arguments of a command and ``kill_at``,
and answers with the child's exit code. The child ends by SIGKILL at that moment of its dealings with the database:
before its n-th statement, before a commit, or after one. Forked from a process that has everything imported and no
threads, a child takes a tenth of the time of a program that starts.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from itertools import count
from typing import Any

import lxml.html  # type: ignore[import-untyped]  # noqa: F401
import psycopg  # noqa: F401
import sqlalchemy.dialects.postgresql
import sqlalchemy.dialects.sqlite  # noqa: F401
from sqlalchemy import Engine, event

import scheduledtask_sdk.storage  # noqa: F401
import source_monitor.daily_fetch
import source_monitor.delivery
import source_monitor.settings  # noqa: F401
from source_monitor import commands


def kill_at(moment: int) -> None:
    """End this process at the n-th moment from now on, counted from 1."""
    moments = count(1)

    def pass_moment(*_: Any) -> None:
        if next(moments) == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", pass_moment)
    event.listen(Engine, "commit", pass_moment)
    event.listen(Engine, "checkin", pass_moment)


def run_in_child(order: dict[str, Any]) -> int:
    child = os.fork()
    if child == 0:
        os.environ.update(order["environment"])
        if order["kill_at"]:
            kill_at(order["kill_at"])
        os._exit(commands.main(order["arguments"]))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    for line in sys.stdin:
        print(run_in_child(json.loads(line)), flush=True)
