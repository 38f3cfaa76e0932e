"""The six jobs of job_queue on a node: good runs, passing faults, refusals, and stops in the midst of the work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import pytest

from tests.e2e.installed import InstalledOperator
from tests.e2e.job_queue_system import NAMESPACE, ROWS, TOKEN, System, at_work
from tests.e2e.programs import await_run
from tests.integration.operator_process import eventually
from tests.integration.pod_hands import pods_of
from tests.integration.tasks import Body
from tests.upstreams import jira as jira_api
from tests.upstreams import monday as monday_api
from tests.upstreams.jira import JiraServer
from tests.upstreams.monday import MondayServer

DOCUMENTS = 3_000
EVENTS = 40_000

GOOD: dict[str, Body] = {
    "document-processing": {"found": 4, "processed": 3, "failed": 1},
    "embedding-generation": {"embedded": 3, "removed": 0, "vectors": 3, "dimensions": 256},
    "bulk-import": {"imported": 2, "skipped": 0},
    "monday-sync": {"boards": 2, "items": 280},
    "jira-refresh": {"items": 250},
    "audit-cleanup": {"total": 0, "dry_run": False},
}
"""What the result of each task's first run says."""

LOCKED_OUT: dict[str, tuple[Body, Body]] = {
    "document-processing": ({"path": "gardening.md", "force": True}, {"processed": 1}),
    "embedding-generation": ({}, {"vectors": 3}),
    "bulk-import": ({"path": "customers.csv", "again": True}, {"imported": 2}),
    "audit-cleanup": ({}, {"dry_run": False}),
}
"""Parameters with which a task has to write to its database, and what its result says in the end."""

REFUSALS: dict[str, tuple[Body, int, str, str]] = {
    "document-processing": ({"path": "lost.pdf"}, 66, "MissingInput", "/data/documents/lost.pdf is not there"),
    "embedding-generation": ({}, 78, "Misconfigured", "EMBEDDING_MODEL: /data/lost/model.safetensors is missing"),
    "bulk-import": (
        {"path": "wrong.csv", "fields": "amount:number"},
        65,
        "InvalidInput",
        "line 3: amount: 'many' is not a number",
    ),
    "monday-sync": ({}, 77, "PermissionDenied", "Is MONDAY_TOKEN right"),
    "jira-refresh": ({}, 77, "PermissionDenied", "Are JIRA_EMAIL and JIRA_TOKEN right"),
    "audit-cleanup": ({"keep_days_by_kind": "coffee=3"}, 65, "InvalidInput", "'coffee=3' is not KIND=DAYS"),
}
"""Parameters of a run that no retry would mend, and its exit code, class and words."""

RENAMED = {
    "monday-sync": ("SELECT COUNT(*) FROM monday_items WHERE name = 'Renamed' AND removed_at IS NULL", 280),
    "jira-refresh": ("SELECT COUNT(*) FROM jira_issues WHERE summary = 'Renamed' AND removed_at IS NULL", 250),
}
"""How many are copied, and how many there are."""


@dataclass(frozen=True)
class Work:
    """So much that a run of it can be stopped in its midst. The queries count what is left to do, and what has been
    done in all; `result` is where the run tells the same."""

    parameters: Body
    left: str
    done: str
    result: str


MUCH = {
    "document-processing": Work(
        {"path": "many", "chunk_characters": 100, "chunk_overlap": 0},
        f"SELECT {DOCUMENTS} - COUNT(*) FROM documents WHERE path LIKE 'many/%'",
        "SELECT COUNT(*) FROM audit_events WHERE run = 'document-processing-stopped' AND what = 'processed'",
        "found",
    ),
    "embedding-generation": Work(
        {"batch_size": 1},
        "SELECT COUNT(DISTINCT digest) FROM chunks WHERE digest NOT IN (SELECT digest FROM vectors)",
        "SELECT SUM(json_extract(detail, '$.made')) FROM audit_events WHERE run = 'embedding-generation-stopped'",
        "embedded",
    ),
    "bulk-import": Work(
        {"path": "large.csv"},
        f"SELECT {ROWS} - COALESCE(SUM(good), 0) FROM imports WHERE path = 'large.csv'",
        "SELECT COUNT(*) - (SELECT COUNT(*) FROM import_rows) FROM records WHERE source = 'large.csv'",
        "imported",
    ),
    "audit-cleanup": Work(
        {"batch_size": 1},
        "SELECT COUNT(*) FROM audit_events WHERE at < '2021-01-01'",
        "SELECT SUM(json_extract(detail, '$.import')) FROM audit_events WHERE run = 'audit-cleanup-stopped'",
        "total",
    ),
}


@pytest.fixture(scope="module")
def system(operator: InstalledOperator) -> Iterator[System]:
    if operator.cluster.provider != "local":
        provider = operator.cluster.provider
        pytest.skip(f"pods of a cluster of the provider {provider} cannot reach the stand-ins on this host")
    with at_work(operator.cluster) as system:
        yield system


@pytest.fixture(scope="module")
def much(system: System) -> None:
    """Documents, and old audit events, of which a run has much to do."""
    for name in ("document-processing", "audit-cleanup"):
        await_run(system.tasks, name, f"{name}-first", 300)
    folder = system.volume / "documents/many"
    folder.mkdir()
    for number in range(DOCUMENTS):
        lines = (f"Sentence {line} of document {number} says something of its own." for line in range(3))
        (folder / f"{number:04}.md").write_text("\n".join(lines))
    event = "('import', '2020-01-01 00:00:00.000000', '', 'old.csv', 'finished', '{}')"
    with system.writing() as database:
        columns = "(kind, at, run, subject, what, detail)"
        database.executemany(f"INSERT INTO audit_events {columns} VALUES {event}", [()] * EVENTS)


@pytest.mark.parametrize("task", GOOD)
def test_a_good_run_tells_its_result(system: System, task: str) -> None:
    wanted = GOOD[task]
    entry = await_run(system.tasks, task, f"{task}-first", 300)

    assert (entry["outcome"], entry["attempts"]) == ("Succeeded", 1), entry
    result = system.tasks.status(task)["lastResult"]
    assert {name: result[name] for name in wanted} == wanted


def test_chunks_are_embedded_and_the_encrypted_document_is_named(system: System) -> None:
    await_run(system.tasks, "embedding-generation", "embedding-generation-first", 300)
    assert system.rows("SELECT digest FROM vectors ORDER BY 1") == system.rows("SELECT digest FROM chunks ORDER BY 1")
    [named] = system.tasks.status("document-processing")["lastResult"]["unusable_documents"]
    assert named == {"path": "secret.pdf", "reason": "encrypted; save it without a password"}


@pytest.mark.parametrize("task", ["monday-sync", "jira-refresh"])
@pytest.mark.long
def test_an_upstream_that_is_down_for_a_moment_costs_one_retry(system: System, task: str) -> None:
    await_run(system.tasks, task, f"{task}-first", 300)
    if task == "monday-sync":
        system.monday.fault = monday_api.Fault("status", status=503, after=1, times=1)
    else:
        system.jira.fault = jira_api.Fault("status", status=503, after=1, times=1)

    entry = system.run(task, "retried")

    assert (entry["outcome"], entry["attempts"]) == ("Succeeded", 2), entry
    first, _ = pods_of(system.tasks.cluster, NAMESPACE, f"{task}-retried")
    assert first["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 75


@pytest.mark.parametrize("task", LOCKED_OUT)
@pytest.mark.long
def test_a_database_that_is_locked_for_a_moment_costs_one_retry(system: System, task: str) -> None:
    parameters, wanted = LOCKED_OUT[task]
    await_run(system.tasks, task, f"{task}-first", 300)
    with system.writing():
        job = system.start(task, "retried", **parameters)
        status = system.tasks.await_status(
            task, lambda status: status["active"][0]["nextAttemptTime"], "the first attempt gave up", 150
        )

    entry = await_run(system.tasks, task, job, 120)

    failure = status["active"][0]["lastFailure"]
    assert failure["exitCode"] == 75
    assert "database is locked" in failure["message"]
    assert (entry["outcome"], entry["attempts"]) == ("Succeeded", 2), entry
    result = system.tasks.status(task)["lastResult"]
    assert {name: result[name] for name in wanted} == wanted


@pytest.mark.parametrize("task", REFUSALS)
@pytest.mark.long
def test_what_no_retry_would_mend_ends_the_run_at_once_and_is_named(system: System, task: str) -> None:
    parameters, exit_code, failure, words = REFUSALS[task]
    await_run(system.tasks, task, f"{task}-first", 300)
    match task:
        case "monday-sync":
            system.monday.fault = monday_api.Fault("expired", times=1)
        case "jira-refresh":
            system.jira.fault = jira_api.Fault("expired", times=1)
        case "embedding-generation":
            system.configure(EMBEDDING_MODEL="/data/lost")

    entry = system.run(task, "refused", **parameters)
    system.configure(EMBEDDING_MODEL="")

    assert (entry["outcome"], entry["reason"], entry["attempts"]) == ("Failed", "NonRetryableExitCode", 1), entry
    error = system.tasks.status(task)["lastError"]
    assert error["exitCode"] == exit_code
    assert error["message"].startswith(f"{failure}: ")
    assert words in error["message"]
    assert TOKEN not in json.dumps(system.tasks.get("stask", task))


@pytest.mark.parametrize("task", MUCH)
@pytest.mark.usefixtures("much")
@pytest.mark.long
def test_work_that_is_stopped_in_its_midst_goes_on_where_it_was(system: System, task: str) -> None:
    work = MUCH[task]
    if task == "embedding-generation":
        system.run("document-processing", "before", **MUCH["document-processing"].parameters)
    whole = system.number(work.left)
    job = system.start(task, "stopped", **work.parameters)
    eventually(lambda: system.number(work.left), lambda left: 0 < left < whole, "some of it is done", 120)
    system.stop(job)

    entry = await_run(system.tasks, task, job, 300)

    assert (entry["outcome"], entry["attempts"]) == ("Succeeded", 2), entry
    assert system.number(work.left) == 0
    assert system.number(work.done) == whole, "nothing is lost, and nothing done twice"
    assert system.tasks.status(task)["lastResult"][work.result] == whole


@pytest.mark.parametrize("task", RENAMED)
@pytest.mark.long
def test_a_copy_that_is_stopped_between_pages_goes_on_at_its_page(system: System, task: str) -> None:
    copied, whole = RENAMED[task]
    await_run(system.tasks, task, f"{task}-first", 300)
    for item in chain(*system.monday.boards.values()):
        item["name"] = "Renamed"
    for issue in system.jira.issues:
        issue["fields"]["summary"] = "Renamed"
    upstream: MondayServer | JiraServer = system.monday if task == "monday-sync" else system.jira
    asked = len(upstream.requests)
    if task == "monday-sync":
        system.monday.fault = monday_api.Fault("slow", seconds=600, query="next_items_page", times=1)
    else:
        system.jira.fault = jira_api.Fault("slow", seconds=600, after=1, times=1)
    job = system.start(task, "stopped")
    eventually(lambda: upstream.fault, lambda fault: fault is None, "the second page is asked for", 120)
    assert 0 < system.number(copied) < whole
    system.stop(job)

    entry = await_run(system.tasks, task, job, 120)

    assert (entry["outcome"], entry["attempts"]) == ("Succeeded", 2), entry
    assert system.number(copied) == whole
    # Of Monday.com the boards are listed anew by each attempt.
    pages = [request for request in upstream.requests[asked:] if "page" not in request.get("variables", {})]
    again = [page for number, page in enumerate(pages) if page in pages[:number]]
    assert again == [pages[1]], "only the page that was cut off is asked for again"
