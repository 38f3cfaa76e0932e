"""A program of jobs for the tests of the SDK: each command does one thing that a job may do."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Le

from scheduledtask_sdk import Help, Jobs, Rule, Run, Secret, Setting, Success, failures, keep_secret

jobs = Jobs(
    "trial",
    "What a job may do.",
    epilog="Ends the help.",
    rules=[Rule("builtins:KeyError", failures.NotFound), Rule("builtins:LookupError", failures.InvalidInput)],
    statuses={404: failures.Unavailable},
)


@jobs.command("show", "show what was taken from where")
def show(
    run: Run,
    count: Annotated[int, Ge(0), Le(100), Help("how many")] = 1,
    kind: Literal["small", "large"] = "small",
    tags: Annotated[list[str], Help("what about")] = [],  # noqa: B006 - never changed
    dry_run: bool = False,
    address: Annotated[str, Setting("TRIAL_ADDRESS"), Help("where, 100 % sure")] = "http://default",
    limit: Annotated[float, Ge(0), Setting("TRIAL_LIMIT"), Help("seconds", wanted="a number of seconds")] = 2.5,
    token: Annotated[str, Secret("TRIAL_TOKEN"), Help("API token")] = "",
) -> Success:
    """The long help.

    With a second paragraph.
    """
    run.log.info("shown", token=token, nested={"token": f"Bearer {token}"})
    result = {"count": count, "kind": kind, "tags": tags, "dry_run": dry_run, "address": address, "limit": limit}
    slot = run.slot.isoformat() if run.slot else None
    told = [run.task, run.namespace, run.name, run.attempt, run.max_attempts, run.attempts_left, slot, run.trigger]
    return Success(f"shown with {token}", {**result, "run": told, "token": token, "has_token": bool(token)})


@jobs.command("need", "need one of each")
def need(
    name: Annotated[str, Help("whose")],
    address: Annotated[str, Setting("TRIAL_ADDRESS"), Help("where")],
    token: Annotated[str, Secret("TRIAL_TOKEN"), Help("API token")],
) -> None:
    """Has no defaults."""


@jobs.command("fail", "fail as told")
def fail(failure: str, token: Annotated[str, Secret("TRIAL_TOKEN")] = "") -> None:
    """Raise what is named: a failure of the SDK, or an exception."""
    kind = getattr(failures, failure, None)
    if kind is not None:
        raise kind(f"told to, with {token}", token=token, item=7)
    errors = {"KeyError": KeyError("k"), "IndexError": IndexError("i"), "missing": FileNotFoundError(2, "gone", "/in")}
    raise errors.get(failure) or RuntimeError(f"a defect near {token}")


@jobs.command("batches", "commit batches until stopped")
def batches(run: Run, file: Path, swallow: bool = False, threaded: bool = False) -> Mapping[str, object]:
    """Append a line for the begin and the end of each batch, which takes a while, with a pause after it."""

    def batch() -> None:
        with run.held():
            with file.open("a") as lines:
                lines.write("begin\n")
            time.sleep(0.1)
            with file.open("a") as lines:
                lines.write("end\n")

    while True:
        try:
            if threaded:
                worker = threading.Thread(target=batch)
                worker.start()
                worker.join()
            else:
                batch()
            run.pause(0.01)
        except Exception:
            if not swallow:
                raise
        run.progress("committing")


@jobs.command("wait", "wait for long")
def wait(run: Run) -> None:
    """Wait."""
    run.log.info("waiting")
    time.sleep(60)


@jobs.command("steps", "tell progress")
def steps(run: Run, total: int = 300) -> Success:
    """Tell of each of many items."""
    for done in range(1, total + 1):
        run.progress("Syncing tickets", done, total)
    run.log.info("between")
    run.progress("Closing")
    return Success("told")


@jobs.command("chat", "let libraries talk")
def chat(token: Annotated[str, Secret("TRIAL_TOKEN")] = "") -> None:
    """Log as a library does."""
    library = logging.getLogger("some.library")
    library.info("too much detail")
    library.warning("retrying with %s", token)
    try:
        raise ValueError(f"no {token}")
    except ValueError:
        library.exception("gave up")


@jobs.command("fetch", "ask an HTTP server")
def fetch(
    run: Run,
    path: str = "/",
    token: Annotated[str, Secret("TRIAL_TOKEN")] = "",
    address: Annotated[str, Setting("TRIAL_ADDRESS")] = "",
    longest_wait: float = 5,
) -> dict[str, object]:
    """One GET."""
    from scheduledtask_sdk import http

    keep_secret("query-secret")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with http.client(address, timeout=1, headers=headers) as client:
        answer = http.send(
            client,
            "GET",
            path,
            params={"api_key": "query-secret"},
            longest_wait=longest_wait,
            answer_limit=2,
            size_limit=100_000,
            mend="Is TRIAL_TOKEN right?",
        )
    return {"body": answer.text, "status": answer.status_code}


@jobs.command("store", "store in a database")
def store(
    run: Run,
    url: Annotated[str, Secret("DATABASE_URL"), Help("database; empty: SQLite below DATA_ROOT")] = "",
    items: int = 1,
    pause: float = 0,
    migrations: str = "tests.jobs.sdk.migrations",
) -> Success:
    """Store items, one a transaction."""
    import sqlalchemy

    from scheduledtask_sdk.storage import open_database

    with open_database("trial", url, migrations, run) as engine:
        run.log.info("opened")
        for number in range(items):
            with run.held(), engine.begin() as connection:
                connection.execute(sqlalchemy.text("INSERT INTO things (name) VALUES (:name)"), {"name": f"t{number}"})
                time.sleep(pause)
        with engine.connect() as connection:
            count = connection.execute(sqlalchemy.text("SELECT count(*) FROM things")).scalar_one()
    return Success(f"{count} things", {"things": count})


if __name__ == "__main__":
    sys.exit(jobs.main())
