"""job_queue as a user sets it up: its own manifests, a volume, and stand-ins for Monday.com and Jira."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.cluster import Cluster
from tests.e2e.programs import await_run
from tests.install import REPOSITORY
from tests.integration.pod_hands import pods_of
from tests.integration.tasks import NEVER_SOON, Body, Tasks
from tests.jobs.job_queue import material
from tests.upstreams.jira import JiraServer
from tests.upstreams.monday import MondayServer

NAMESPACE = "job-queue"
SYSTEM = REPOSITORY / "manifests/systems/job_queue"
IMAGE = "scheduledtask/job-queue:0.1.0"
NAMES = ("document-processing", "embedding-generation", "bulk-import", "monday-sync", "jira-refresh", "audit-cleanup")
SCHEDULED = ("monday-sync", "jira-refresh", "audit-cleanup")
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

    def stop(self, job: str) -> None:
        """Delete the pod of a run as a drain does. It is gone long before its grace of 30 seconds ends: it listens."""
        [pod] = pods_of(self.tasks.cluster, NAMESPACE, job)
        self.tasks.kubectl("delete", "pod", pod["metadata"]["name"], "--timeout=25s")

    def configure(self, **settings: str) -> None:
        """Change settings of all jobs."""
        patch = json.dumps({"data": settings})
        self.tasks.kubectl("patch", "configmap", "job-queue", "--type=merge", "-p", patch)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the database on the volume answers; nothing where it is not there yet."""
        try:
            with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
                return database.execute(query).fetchall()
        except sqlite3.OperationalError:
            return []

    def number(self, query: str) -> int:
        """The number that the database answers."""
        [(number,)] = self.rows(query)
        return int(number)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction on the database, beside which nobody else can write."""
        with closing(sqlite3.connect(self.database, isolation_level=None)) as database:
            database.execute("BEGIN EXCLUSIVE")
            yield database
            database.execute("COMMIT")

    @property
    def database(self) -> Path:
        return self.volume / "job_queue.sqlite"


@contextmanager
def at_work(cluster: Cluster) -> Iterator[System]:
    """The system with files on its volume, and a first run of each task begun."""
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
        tasks.kubectl("create", "secret", "generic", "monday", f"--from-literal=MONDAY_TOKEN={TOKEN}")
        tasks.kubectl("create", "secret", "generic", "jira", f"--from-literal=JIRA_TOKEN={TOKEN}")
        system = System(tasks, volume, monday, jira)
        system.configure(
            MONDAY_URL=f"http://{monday_address}/v2", JIRA_URL=f"http://{jira_address}", JIRA_EMAIL=jira.email
        )
        for name in NAMES:
            # Soon again, and no slot takes a fault that is meant for a test's own run.
            tasks.patch(name, retry={"backoff": ["10s"]}, **({"schedule": NEVER_SOON} if name in SCHEDULED else {}))
        for name in NAMES:
            tasks.await_ready(name)
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
