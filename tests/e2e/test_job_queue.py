"""The six jobs of job_queue from their own manifests, on a volume, with stand-ins for Monday.com and Jira."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.installed import InstalledOperator
from tests.e2e.programs import await_run
from tests.install import REPOSITORY
from tests.integration.operator_process import eventually
from tests.integration.pod_hands import pods_of
from tests.integration.tasks import Body, Tasks
from tests.jobs.job_queue import material
from tests.upstreams import jira as jira_api
from tests.upstreams import monday as monday_api
from tests.upstreams.jira import JiraServer
from tests.upstreams.monday import MondayServer

NAMESPACE = "job-queue"
SYSTEM = REPOSITORY / "manifests/systems/job_queue"
IMAGE = "scheduledtask/job-queue:0.1.0"
NAMES = ("document-processing", "embedding-generation", "bulk-import", "monday-sync", "jira-refresh", "audit-cleanup")
TOKEN = "token-e2e-5e1c"
ROWS = 60_000


@dataclass(frozen=True)
class System:
    """The system at work: its tasks, its volume as a folder, and the stand-ins."""

    tasks: Tasks
    volume: Path
    monday: MondayServer
    jira: JiraServer

    def start(self, task: str, run: str, **parameters: Any) -> str:
        """Start a run by hand, and name its Job."""
        command = f"run.scheduledtask.dev/{run}={json.dumps({'parameters': parameters})}"
        self.tasks.kubectl("annotate", "stask", task, command)
        return f"{task}-{run}"

    def run(self, task: str, run: str, **parameters: Any) -> Body:
        """Start a run by hand and await its end."""
        return await_run(self.tasks, task, self.start(task, run, **parameters), 180)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the database on the volume answers; nothing where it is not there yet."""
        try:
            with closing(sqlite3.connect(f"file:{self.volume / 'job_queue.sqlite'}?mode=ro", uri=True)) as database:
                return database.execute(query).fetchall()
        except sqlite3.OperationalError:
            return []


@pytest.fixture(scope="module")
def system(operator: InstalledOperator) -> Iterator[System]:
    """job_queue as a user sets it up, with files on the volume, and a first run of each task."""
    cluster = operator.cluster
    if cluster.provider != "local":
        pytest.skip(f"pods of a cluster of the provider {cluster.provider} cannot reach the stand-ins on this host")
    cluster.build_image(REPOSITORY / "job_images/job_queue/Dockerfile", IMAGE, REPOSITORY / "job_images")
    cluster.load_image(IMAGE)
    cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=90s")
    volume = cluster.make_volume(NAMESPACE, "10Gi")
    fill(volume)
    with ExitStack() as servers:
        monday = servers.enter_context(MondayServer(TOKEN))
        jira = servers.enter_context(JiraServer(token=TOKEN))
        monday_address = servers.enter_context(cluster.pods_to_host(urlsplit(monday.url).port or 0))
        jira_address = servers.enter_context(cluster.pods_to_host(urlsplit(jira.url).port or 0))
        cluster.kubectl("apply", "-k", str(SYSTEM))
        tasks = Tasks(cluster, NAMESPACE)
        # The policies are those of real upstreams: the stand-ins listen on other ports than 443.
        tasks.kubectl("delete", "networkpolicy", "--all")
        settings = {
            "MONDAY_URL": f"http://{monday_address}/v2",
            "JIRA_URL": f"http://{jira_address}",
            "JIRA_EMAIL": jira.email,
        }
        tasks.kubectl("patch", "configmap", "job-queue", "--type=merge", "-p", json.dumps({"data": settings}))
        tasks.kubectl("create", "secret", "generic", "monday", f"--from-literal=MONDAY_TOKEN={TOKEN}")
        tasks.kubectl("create", "secret", "generic", "jira", f"--from-literal=JIRA_TOKEN={TOKEN}")
        for name in NAMES:
            tasks.await_ready(name)
        system = System(tasks, volume, monday, jira)
        for name in NAMES:
            system.start(name, "first", **({"path": "customers.csv"} if name == "bulk-import" else {}))
        yield system
        for name in NAMES:
            tasks.patch(name, suspend=True)


def fill(volume: Path) -> None:
    for left in volume.iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    documents, imports = volume / "documents", volume / "imports"
    documents.mkdir()
    imports.mkdir()
    (documents / "passwords.pdf").write_bytes(material.pdf(material.SUBJECTS["passwords"]))
    (documents / "invoices.docx").write_bytes(material.word(material.SUBJECTS["invoices"]))
    (documents / "gardening.md").write_text(material.SUBJECTS["gardening"])
    (documents / "secret.pdf").write_bytes(material.encrypted_pdf("secret", "open sesame"))
    (imports / "customers.csv").write_text("id,name\n1,Ann\n2,Ben\n")
    (imports / "wrong.csv").write_text("id,amount\n1,2\n2,many\n")
    (imports / "large.csv").write_text("id,name\n" + "".join(f"L{number},Name {number}\n" for number in range(ROWS)))


@pytest.mark.parametrize(
    ("task", "wanted"),
    [
        ("document-processing", {"found": 4, "processed": 3, "failed": 1}),
        ("bulk-import", {"imported": 2, "skipped": 0}),
        ("monday-sync", {"boards": 2, "items": 280}),
        ("jira-refresh", {"items": 250}),
        ("audit-cleanup", {"total": 0, "dry_run": False}),
    ],
)
def test_a_good_run_tells_its_result(system: System, task: str, wanted: Body) -> None:
    entry = await_run(system.tasks, task, f"{task}-first", 300)

    assert (entry["outcome"], entry["attempts"]) == ("Succeeded", 1), entry
    result = system.tasks.status(task)["lastResult"]
    assert {name: result[name] for name in wanted} == wanted


def test_chunks_are_embedded_and_the_encrypted_document_is_named(system: System) -> None:
    await_run(system.tasks, "document-processing", "document-processing-first", 300)
    assert system.run("embedding-generation", "second")["outcome"] == "Succeeded"
    assert system.rows("SELECT COUNT(*) FROM vectors") == system.rows("SELECT COUNT(DISTINCT digest) FROM chunks")
    [named] = system.tasks.status("document-processing")["lastResult"]["unusable_documents"]
    assert named == {"path": "secret.pdf", "reason": "encrypted; save it without a password"}


@pytest.mark.parametrize("task", ["monday-sync", "jira-refresh"])
@pytest.mark.long
def test_an_upstream_that_is_down_for_a_moment_costs_one_retry(system: System, task: str) -> None:
    await_run(system.tasks, task, f"{task}-first", 300)
    system.tasks.patch(task, retry={"backoff": ["15s"]})
    system.tasks.await_ready(task)
    if task == "monday-sync":
        system.monday.fault = monday_api.Fault("status", status=503, after=1, times=1)
    else:
        system.jira.fault = jira_api.Fault("status", status=503, after=1, times=1)

    entry = system.run(task, "retried")

    assert (entry["outcome"], entry["attempts"]) == ("Succeeded", 2), entry
    first, _ = pods_of(system.tasks.cluster, NAMESPACE, f"{task}-retried")
    assert first["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 75


@pytest.mark.long
def test_an_expired_token_ends_the_run_at_once_and_the_task_says_what_to_mend(system: System) -> None:
    await_run(system.tasks, "jira-refresh", "jira-refresh-first", 300)
    system.jira.fault = jira_api.Fault("expired", times=1)

    entry = system.run("jira-refresh", "expired")

    assert (entry["outcome"], entry["reason"], entry["attempts"]) == ("Failed", "NonRetryableExitCode", 1), entry
    error = system.tasks.status("jira-refresh")["lastError"]
    assert error["exitCode"] == 77
    assert "Are JIRA_EMAIL and JIRA_TOKEN right" in error["message"]
    assert TOKEN not in json.dumps(system.tasks.get("stask", "jira-refresh"))


@pytest.mark.long
def test_a_file_with_bad_rows_is_refused_and_the_rows_are_named(system: System) -> None:
    entry = system.run("bulk-import", "wrong", path="wrong.csv", fields="amount:number")

    assert (entry["outcome"], entry["attempts"]) == ("Failed", 1), entry
    assert "line 3: amount: 'many' is not a number" in system.tasks.status("bulk-import")["lastError"]["message"]


@pytest.mark.long
def test_an_import_that_is_stopped_in_the_midst_goes_on_where_it_was(system: System) -> None:
    system.tasks.patch("bulk-import", retry={"backoff": ["10s"]})
    system.tasks.await_ready("bulk-import")
    job = system.start("bulk-import", "large", path="large.csv")
    query = "SELECT line FROM imports WHERE path = 'large.csv'"
    eventually(lambda: system.rows(query), lambda rows: bool(rows and rows[0][0] > 0), "rows are imported", 120)
    [pod] = pods_of(system.tasks.cluster, NAMESPACE, job)
    system.tasks.kubectl("delete", "pod", pod["metadata"]["name"], "--wait=false")

    entry = await_run(system.tasks, "bulk-import", job, 240)

    assert (entry["outcome"], entry["attempts"]) == ("Succeeded", 2), entry
    assert system.rows("SELECT COUNT(*) FROM records WHERE source = 'large.csv'") == [(ROWS,)]
    assert system.tasks.status("bulk-import")["lastResult"]["imported"] == ROWS
    assert system.rows("SELECT COUNT(*) FROM import_rows") == [(0,)]
