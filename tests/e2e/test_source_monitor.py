"""source_monitor from its own manifests, on a volume, against servers of pages, a webhook and mail on this host."""

import base64
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from tests.e2e.attempts import await_failure, log_of, stop_attempt
from tests.e2e.installed import InstalledOperator
from tests.e2e.programs import await_run
from tests.install import REPOSITORY
from tests.integration.operator_process import eventually
from tests.integration.tasks import NEVER_SOON, Body, Tasks
from tests.receiver import Receiver, receiving
from tests.upstreams.watched_pages import DEMO_PAGES, Fault, Page, PageServer

NAMESPACE = "source-monitor"
SYSTEM = REPOSITORY / "manifests/systems/source_monitor"
IMAGE = "scheduledtask/source-monitor:0.1.0"
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
NOTICE = ("Notice to all customers.", "Prices stay as they are.")
NEW_NOTICE = (NOTICE[0], "Prices rise on 1 May 2027.")
SOURCES = {"/terms": "html", "/news.xml": "feed", "/notice.pdf": "pdf"}
MANY: list[Body] = [
    {"url": f"https://example.com/{number}", "kind": "html", "active": False} for number in range(10_000)
]
"""So many that an import of them can be stopped in its midst; nobody fetches them."""


@dataclass(frozen=True)
class System:
    """The system at work: its tasks, its volume as a folder, and the servers that it speaks to."""

    tasks: Tasks
    volume: Path
    pages: PageServer
    hooks: Receiver

    def start(self, run: str, **parameters: object) -> None:
        """Start a daily fetch by hand with these parameters."""
        command = json.dumps({"parameters": parameters})
        self.tasks.kubectl("annotate", "stask", "daily-fetch", f"run.scheduledtask.dev/{run}={command}")

    def fetch(self, run: str, **parameters: object) -> Body:
        """The same, and await its end."""
        self.start(run, **parameters)
        return await_run(self.tasks, "daily-fetch", f"daily-fetch-{run}")

    def start_import(self, run: str, sources: list[Body]) -> str:
        """Start an import of these sources from a file on the volume; the name of the run."""
        (self.volume / f"{run}.json").write_text(json.dumps(sources))
        command = json.dumps({"parameters": {"file": f"/data/{run}.json"}})
        self.tasks.kubectl("annotate", "stask", "import-sources", f"run.scheduledtask.dev/{run}={command}")
        return f"import-sources-{run}"

    def retry_imports_soon(self) -> None:
        self.tasks.patch("import-sources", retry={"backoff": ["5s"]})
        self.tasks.await_ready("import-sources")

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """What the database on the volume says."""
        with closing(sqlite3.connect(f"file:{self.volume}/source_monitor.sqlite?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture(scope="module")
def system(operator: InstalledOperator) -> Iterator[System]:
    """source_monitor as a user sets it up, with three sources taken over and read for the first time."""
    cluster = operator.cluster
    if cluster.provider != "local":
        pytest.skip(f"pods of a cluster of the provider {cluster.provider} cannot reach the stand-in on this host")
    cluster.build_image(REPOSITORY / "job_images/source_monitor/Dockerfile", IMAGE, REPOSITORY / "job_images")
    cluster.load_image(IMAGE)
    cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=90s")
    volume = cluster.make_volume(NAMESPACE, "2Gi")
    for left in volume.iterdir():
        left.unlink()
    with (
        PageServer(pages={**DEMO_PAGES, "/notice.pdf": Page.pdf(*NOTICE)}) as pages,
        receiving() as hooks,
        cluster.pods_to_host(pages.port) as page_address,
        cluster.pods_to_host(hooks.port) as hook_address,
    ):
        cluster.kubectl("apply", "-k", str(SYSTEM))
        tasks = Tasks(cluster, NAMESPACE)
        set_up(tasks, page_address, hook_address)
        # A run that is asked for while that of a slot is active would be skipped.
        tasks.patch("daily-fetch", schedule=NEVER_SOON)
        for name in ("daily-fetch", "import-sources"):
            tasks.await_ready(name)
        tasks.start_run("import-sources", "import-sources-first")
        imported = await_run(tasks, "import-sources", "import-sources-first")
        assert imported["message"] == "3 sources added, 0 changed, 0 as they were"
        tasks.start_run("daily-fetch", "daily-fetch-first")
        yield System(tasks, volume, pages, hooks)
        tasks.patch("daily-fetch", suspend=True)


def set_up(tasks: Tasks, pages: str, hooks: str) -> None:
    """Sources, secrets and settings; this host is an internal address, which has to be allowed by name."""
    host = pages.rpartition(":")[0]
    sources = [
        {"url": f"http://{pages}{path}", "kind": kind, "name": path.strip("/")} for path, kind in SOURCES.items()
    ]
    settings = {"ALLOWED_INTERNAL_NETWORKS": host, "FETCH_HOST_PAUSE": "0", "FETCH_RETRY_PAUSE": "1"}
    for name, data in (("source-monitor", settings), ("source-monitor-sources", {"sources.json": json.dumps(sources)})):
        tasks.kubectl("patch", "configmap", name, "--type=merge", "-p", json.dumps({"data": data}))
    way_out = [{"op": "add", "path": "/spec/egress/-", "value": {"to": [{"ipBlock": {"cidr": f"{host}/32"}}]}}]
    tasks.kubectl("patch", "networkpolicy", "source-monitor", "--type=json", "-p", json.dumps(way_out))
    secrets = [f"--from-literal=ALERT_WEBHOOK_URL=http://{hooks}/hook", f"--from-literal=ALERT_WEBHOOK_SECRET={SECRET}"]
    tasks.kubectl("create", "secret", "generic", "source-monitor", *secrets)


def test_the_first_run_reads_all_kinds_of_sources(system: System) -> None:
    entry = await_run(system.tasks, "daily-fetch", "daily-fetch-first")

    assert entry["outcome"] == "Succeeded"
    result = system.tasks.status("daily-fetch")["lastResult"]
    assert (result["sources_processed"], result["sources_failed"], result["changes_detected"]) == (3, 0, 0)


def test_a_change_is_found_told_and_shown_and_adverts_are_none(system: System) -> None:
    await_run(system.tasks, "daily-fetch", "daily-fetch-first")
    system.pages.pages["/notice.pdf"] = Page.pdf(*NEW_NOTICE)

    entry = system.fetch("changed", force=True)

    assert entry["outcome"] == "Succeeded"
    assert "3 sources processed, 3 succeeded, 0 failed, 1 changes detected, 1 alerts sent" in entry["message"]
    [request] = system.hooks.on("/hook")
    told = Webhook(SECRET).verify(request.body, request.headers)["data"]
    assert told["source"]["name"] == "notice.pdf"
    assert told["diff"].endswith("- Prices stay as they are.\n+ Prices rise on 1 May 2027.")


@pytest.mark.long
def test_what_is_not_due_is_left_alone(system: System) -> None:
    await_run(system.tasks, "daily-fetch", "daily-fetch-first")
    assert "0 sources processed" in system.fetch("again")["message"]


@pytest.mark.long
def test_a_server_that_is_down_for_a_moment_costs_one_retry(system: System) -> None:
    await_run(system.tasks, "daily-fetch", "daily-fetch-first")
    system.tasks.patch("daily-fetch", retry={"backoff": ["10s"]})
    system.tasks.await_ready("daily-fetch")
    system.pages.fault = Fault("status", status=503, times=6)  # all three, and once more each

    entry = system.fetch("retried", force=True)

    assert (entry["outcome"], entry["attempts"]) == ("Succeeded", 2)


@pytest.mark.long
def test_sources_that_are_gone_end_the_run_at_once(system: System) -> None:
    await_run(system.tasks, "daily-fetch", "daily-fetch-first")
    system.pages.fault = Fault("status", status=404)
    try:
        entry = system.fetch("gone", force=True)
    finally:
        system.pages.fault = None

    assert (entry["outcome"], entry["reason"], entry["attempts"]) == ("Failed", "NonRetryableExitCode", 1)
    error = system.tasks.status("daily-fetch")["lastError"]
    assert error["exitCode"] == 66
    assert "all 3 sources failed; the first: answered 404" in error["message"]
    assert SECRET not in json.dumps(system.tasks.get("stask", "daily-fetch"))


@pytest.mark.long
def test_an_attempt_that_is_stopped_is_continued_without_loss_or_repetition(system: System) -> None:
    await_run(system.tasks, "daily-fetch", "daily-fetch-first")
    system.tasks.patch("daily-fetch", retry={"backoff": ["10s"]})
    system.tasks.await_ready("daily-fetch")
    before = len(system.pages.asked("/terms"))
    changes = len(system.rows("SELECT id FROM changes"))
    system.pages.pages["/terms"] = Page.html("<h1>Terms</h1><p>All is new.</p>")
    system.pages.fault = Fault("slow", seconds=600, path="/news.xml")

    system.start("stopped", force=True)
    eventually(
        lambda: len(system.rows("SELECT id FROM changes")), lambda now: now == changes + 1, "one is recorded", 60
    )
    pods = ("--selector", "batch.kubernetes.io/job-name=daily-fetch-stopped")
    system.tasks.kubectl("delete", "pod", *pods, "--wait=false")
    system.pages.fault = None

    entry = await_run(system.tasks, "daily-fetch", "daily-fetch-stopped")
    assert (entry["outcome"], entry["attempts"]) == ("Succeeded", 2)
    assert "3 sources processed, 3 succeeded, 0 failed, 1 changes detected, 1 alerts sent" in entry["message"]
    assert len(system.pages.asked("/terms")) == before + 1
    assert len(system.rows("SELECT id FROM changes")) == changes + 1


@pytest.mark.long
def test_an_import_that_finds_the_database_locked_costs_one_retry(system: System) -> None:
    system.retry_imports_soon()
    with closing(sqlite3.connect(system.volume / "source_monitor.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        run = system.start_import("locked", MANY[:1])
        failure = await_failure(system.tasks, "import-sources", run)
        other.execute("ROLLBACK")

    entry = await_run(system.tasks, "import-sources", run)

    assert failure["exitCode"] == 75
    assert "database is locked" in failure["message"]
    assert (entry["outcome"], entry["attempts"]) == ("Succeeded", 2)
    assert system.tasks.status("import-sources")["lastResult"]["added"] == 1


@pytest.mark.long
def test_a_source_that_is_none_ends_the_import_at_once_and_is_named(system: System) -> None:
    run = system.start_import("wrong", [*MANY[1:3], {"url": "ftp://example.com/", "kind": "html"}])

    entry = await_run(system.tasks, "import-sources", run)

    assert (entry["outcome"], entry["reason"], entry["attempts"]) == ("Failed", "NonRetryableExitCode", 1)
    assert entry["exitCode"] == 65
    assert "ftp://example.com/" in entry["message"]
    assert system.rows(f"SELECT id FROM sources WHERE url = '{MANY[1]['url']}'") == []


@pytest.mark.long
def test_an_import_that_is_stopped_is_done_as_a_whole_by_the_next_attempt(system: System) -> None:
    system.retry_imports_soon()
    before = len(system.rows("SELECT id FROM sources"))
    run = system.start_import("stopped", MANY[3:])
    eventually(lambda: log_of(system.tasks, run), lambda log: "started" in log, "it has begun")

    failure = stop_attempt(system.tasks, "import-sources", run)
    left = len(system.rows("SELECT id FROM sources"))
    entry = await_run(system.tasks, "import-sources", run)

    assert failure["message"].startswith("Interrupted: stopped by SIGTERM")
    assert left == before, "all or none"
    assert (entry["outcome"], entry["attempts"]) == ("Succeeded", 2)
    assert system.tasks.status("import-sources")["lastResult"]["added"] == len(MANY[3:])
    assert len(system.rows("SELECT id FROM sources")) == before + len(MANY[3:])
