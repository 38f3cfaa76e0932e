"""ticket_miner on a real node: its tasks, its volume, and stand-ins for Zendesk and Anthropic on this host."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.cluster import Cluster
from tests.e2e.programs import await_run
from tests.install import REPOSITORY
from tests.integration.tasks import NEVER_SOON, Body, Tasks
from tests.upstreams import zendesk
from tests.upstreams.anthropic_messages import AnthropicServer
from tests.upstreams.zendesk import ZendeskServer, made_up

NAMESPACE = "ticket-miner"
SYSTEM = REPOSITORY / "manifests/systems/ticket_miner"
IMAGE = "scheduledtask/ticket-miner:0.1.0"
NAMES = ("daily-sync", "hourly-trends", "analyze", "full-pipeline")
TOKEN, KEY = "zd-e2e-secret", "sk-ant-e2e-secret"
TICKETS = 160
ALL = {"backfill_days": 90}


@dataclass(frozen=True)
class System:
    """The system at work: its tasks, its volume as a folder, and the stand-ins."""

    tasks: Tasks
    volume: Path
    zendesk: ZendeskServer
    claude: AnthropicServer

    def begin(self, task: str, run: str, **parameters: object) -> str:
        """Ask for a run, as any client can; its name."""
        command = f"run.scheduledtask.dev/{run}={json.dumps({'parameters': parameters} if parameters else {})}"
        self.tasks.kubectl("annotate", "stask", task, command)
        return f"{task}-{run}"

    def run(self, task: str, run: str, **parameters: object) -> Body:
        """Ask for a run, and await its end."""
        return await_run(self.tasks, task, self.begin(task, run, **parameters), 240)

    def last_result(self, task: str) -> Body:
        """What the task's last good run has answered."""
        result: Body = self.tasks.status(task)["lastResult"]
        return result

    def rows(self, query: str) -> list[Any]:
        """From the database on the volume, between runs."""
        uri = f"file:{self.volume / 'ticket_miner.sqlite'}?immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            return connection.execute(query).fetchall()

    def has_all(self) -> bool:
        """Whether the database holds what Zendesk has, each ticket once and in its last version."""
        wanted = [(ticket["id"], ticket["subject"], ticket["generated_timestamp"]) for ticket in self.zendesk.tickets]
        return self.rows("SELECT id, subject, generated_timestamp FROM miner_tickets ORDER BY id") == wanted

    def retry_soon(self, task: str) -> None:
        """Let the next attempt come after seconds instead of a minute."""
        self.tasks.patch(task, retry={"backoff": ["5s"]})
        self.tasks.await_ready(task)

    def change_descriptions(self, count: int, text: str) -> None:
        """Give so many tickets a new text, each one of its own."""
        for ticket in self.zendesk.tickets[:count]:
            self.zendesk.change(ticket["id"], description=f"{text} {ticket['id']}")

    def cancel_and_repeat(self, task: str, run: str) -> Body:
        """Cancel a run, and start another one after it. What that one has answered."""
        self.tasks.kubectl("annotate", "stask", task, f"cancel.scheduledtask.dev/{run}=enough")
        entry = await_run(self.tasks, task, run, 120)
        self.claude.delay = 0
        again = self.run(task, "continued")
        assert (entry["outcome"], again["outcome"]) == ("Cancelled", "Succeeded"), (entry, again)
        return self.last_result(task)

    def copy_tickets(self, copies: int) -> None:
        """Have each ticket so many times more, as the model has understood it, with numbers from 1000 on."""
        with closing(sqlite3.connect(self.volume / "ticket_miner.sqlite")) as connection, connection:
            for table, key in (("miner_tickets", "id"), ("miner_analyses", "ticket_id")):
                columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
                copied = ", ".join(f"{key} + 1000 * ?" if column == key else column for column in columns)
                statement = f"INSERT INTO {table} SELECT {copied} FROM {table} WHERE {key} < 1000"
                connection.executemany(statement, [(number,) for number in range(1, copies + 1)])

    def drop_copies(self) -> None:
        """Have each ticket once again."""
        with closing(sqlite3.connect(self.volume / "ticket_miner.sqlite")) as connection, connection:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("DELETE FROM miner_tickets WHERE id > 1000")


@contextmanager
def mining(cluster: Cluster) -> Iterator[System]:
    """The system as a user sets it up, after a first run of each step; its operator must be there."""
    cluster.build_image(REPOSITORY / "job_images/ticket_miner/Dockerfile", IMAGE, REPOSITORY / "job_images")
    cluster.load_image(IMAGE)
    cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=90s")
    volume = cluster.make_volume(NAMESPACE, "2Gi")
    for left in volume.glob("ticket_miner.sqlite*"):
        left.unlink()
    with (
        ZendeskServer(TOKEN) as tickets,
        AnthropicServer(KEY) as claude,
        cluster.pods_to_host(urlsplit(tickets.url).port or 0) as tickets_address,
        cluster.pods_to_host(urlsplit(claude.url).port or 0) as claude_address,
    ):
        tickets.put(*made_up(TICKETS, seed=4))
        tasks = Tasks(cluster, NAMESPACE)
        # The secrets first: the schedule of hourly-trends may be due at once.
        cluster.kubectl("apply", "-f", str(SYSTEM / "namespace.yaml"))
        tasks.kubectl("create", "secret", "generic", "zendesk", f"--from-literal=ZENDESK_TOKEN={TOKEN}")
        tasks.kubectl("create", "secret", "generic", "anthropic", f"--from-literal=ANTHROPIC_API_KEY={KEY}")
        cluster.kubectl("apply", "-k", str(SYSTEM))
        # While a slot's run is active, one that a test asks for is skipped.
        for name in ("daily-sync", "hourly-trends"):
            tasks.patch(name, schedule=NEVER_SOON)
        settings = {
            "ZENDESK_URL": f"http://{tickets_address}",
            "ZENDESK_EMAIL": zendesk.EMAIL,
            "ZENDESK_PAGE_SIZE": "50",
            "ANTHROPIC_BASE_URL": f"http://{claude_address}",
        }
        tasks.kubectl("patch", "configmap", "ticket-miner", "--type=merge", "-p", json.dumps({"data": settings}))
        # The stand-ins are at other ports than the real ones.
        open_egress = json.dumps([{"op": "add", "path": "/spec/egress/-", "value": {}}])
        tasks.kubectl("patch", "networkpolicy", "ticket-miner", "--type=json", "-p", open_egress)
        for name in NAMES:
            tasks.await_ready(name)
        made = System(tasks, volume, tickets, claude)
        for number, name in enumerate(("daily-sync", "analyze", "hourly-trends")):
            entry = made.run(name, f"first{number}", **(ALL if name == "daily-sync" else {}))
            assert entry["outcome"] == "Succeeded", entry
        yield made
        for name in NAMES:
            tasks.patch(name, suspend=True)
