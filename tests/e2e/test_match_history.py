"""The three jobs of match_history from their own manifests, on a volume, with a stand-in for Riot's servers."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.installed import InstalledOperator
from tests.e2e.programs import await_run, time_of
from tests.install import REPOSITORY
from tests.integration.pod_hands import pods_of
from tests.integration.tasks import Body, Tasks
from tests.upstreams import expected_index, match_v5
from tests.upstreams.riot import Fault, RiotServer

NAMESPACE = "match-history"
SYSTEM = REPOSITORY / "manifests/systems/match_history"
IMAGE = "scheduledtask/match-history:0.1.0"
NAMES = ("refresh-history-index", "refresh-model-registry", "refresh-patch-meta")
KEY = "RGAPI-e2e"
MATCHES = 120
CARDS = {
    "draft-ranker/card.json": '{"version": "3.1.0", "description": "Ranks drafts"}',
    "ban-advisor/card.yaml": "version: 1.4.2\ndescription: Proposes bans\n",
    "role-guesser/README.md": "---\nversion: 0.9.0\ndescription: Guesses positions\n---\n# role-guesser\n",
}


@dataclass(frozen=True)
class System:
    """The system at work: its tasks, its volume as a folder, and the stand-in."""

    tasks: Tasks
    volume: Path
    riot: RiotServer

    @property
    def processed(self) -> Path:
        return self.volume / "data/processed"

    def run(self, task: str, run: str) -> Body:
        """Start a run by hand and await its end."""
        self.tasks.start_run(task, run)
        return await_run(self.tasks, task, run)

    def read(self, path: str) -> Body:
        """A JSON file that a job has written."""
        document: Body = json.loads((self.volume / path).read_text())
        return document


@pytest.fixture(scope="module")
def system(operator: InstalledOperator) -> Iterator[System]:
    """match_history as a user sets it up, with documents and cards on the volume, and a first run of each task."""
    cluster = operator.cluster
    if cluster.provider != "local":
        pytest.skip(f"pods of a cluster of the provider {cluster.provider} cannot reach the stand-in on this host")
    cluster.build_image(REPOSITORY / "job_images/match_history/Dockerfile", IMAGE, REPOSITORY / "job_images")
    cluster.load_image(IMAGE)
    cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=90s")
    volume = cluster.make_volume(NAMESPACE, "5Gi")
    fill(volume)
    with RiotServer(key=KEY) as riot, cluster.pods_to_host(urlsplit(riot.url).port or 0) as address:
        cluster.kubectl("apply", "-k", str(SYSTEM))
        tasks = Tasks(cluster, NAMESPACE)
        settings = {"RIOT_BASE_URL": f"http://{address}", "DATA_DRAGON_BASE_URL": f"http://{address}"}
        tasks.kubectl("patch", "configmap", "match-history", "--type=merge", "-p", json.dumps({"data": settings}))
        tasks.kubectl("create", "secret", "generic", "riot", f"--from-literal=RIOT_API_KEY={KEY}")
        for name in NAMES:
            tasks.await_ready(name)
        for name in NAMES:
            tasks.start_run(name, f"{name}-first")
        yield System(tasks, volume, riot)
        for name in NAMES:
            tasks.patch(name, suspend=True)


def fill(volume: Path) -> None:
    for left in volume.iterdir():
        shutil.rmtree(left)
    match_v5.write(volume / "data/processed", MATCHES, seed=5)
    for name, text in CARDS.items():
        path = volume / "models" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)


def test_the_history_index_equals_an_independent_computation(system: System) -> None:
    entry = await_run(system.tasks, "refresh-history-index", "refresh-history-index-first")

    assert (entry["outcome"], entry["trigger"]) == ("Succeeded", "Manual")
    index = system.read("ml_pipeline/history_index.json")
    assert index["matches"] > MATCHES * 0.9
    assert expected_index.differences(index, system.processed) == []


def test_the_model_registry_names_the_models(system: System) -> None:
    entry = await_run(system.tasks, "refresh-model-registry", "refresh-model-registry-first")

    assert entry["outcome"] == "Succeeded"
    assert "3 models (+3 new" in entry["message"]
    assert "ban-advisor" in json.dumps(system.read("ml_pipeline/model_registry.json"))


def test_the_patch_is_that_of_data_dragon(system: System) -> None:
    entry = await_run(system.tasks, "refresh-patch-meta", "refresh-patch-meta-first")

    assert entry["outcome"] == "Succeeded"
    meta = system.read("config/meta.json")
    assert (meta["patch"], meta["source"], meta["platform"]["name"]) == ("15.21", "riot_api", "EU West")
    assert system.tasks.status("refresh-patch-meta")["lastResult"]["patch"] == "15.21"


def test_a_corrected_document_is_taken_up_by_the_next_run(system: System) -> None:
    await_run(system.tasks, "refresh-history-index", "refresh-history-index-first")
    before = system.read("ml_pipeline/history_index.json")
    path = next(path for path in sorted(system.processed.rglob("*.json")) if turned(path) is not None)
    path.write_text(json.dumps(turned(path)))

    entry = system.run("refresh-history-index", "refresh-history-index-second")

    assert entry["outcome"] == "Succeeded"
    index = system.read("ml_pipeline/history_index.json")
    assert index["all"] != before["all"]
    assert expected_index.differences(index, system.processed) == []


def turned(path: Path) -> Body | None:
    """The match with the other side as its winner; None for a remake, which nobody wins."""
    match: Body = json.loads(path.read_text())
    if match["info"]["gameDuration"] < 300:
        return None
    for side in (*match["info"]["participants"], *match["info"]["teams"]):
        side["win"] = not side["win"]
    return match


def test_a_refused_key_ends_the_run_at_once_and_the_task_says_what_to_mend(system: System) -> None:
    await_run(system.tasks, "refresh-patch-meta", "refresh-patch-meta-first")
    system.riot.fault = Fault("status", status=403, path="/lol", times=1)

    entry = system.run("refresh-patch-meta", "patch-meta-refused")

    assert (entry["outcome"], entry["reason"], entry["attempts"]) == ("Failed", "NonRetryableExitCode", 1)
    error = system.tasks.status("refresh-patch-meta")["lastError"]
    assert error["exitCode"] == 77
    assert error["message"].startswith("PermissionDenied: http://")
    assert "answered 403: Forbidden. Is RIOT_API_KEY right, and not expired?" in error["message"]
    assert KEY not in json.dumps(system.tasks.get("stask", "refresh-patch-meta"))


def test_an_upstream_that_is_down_for_a_moment_costs_one_retry_after_the_wait_of_the_task(system: System) -> None:
    await_run(system.tasks, "refresh-patch-meta", "refresh-patch-meta-first")
    system.tasks.patch("refresh-patch-meta", retry={"backoff": ["20s"]})
    system.tasks.await_ready("refresh-patch-meta")
    retries = system.tasks.status("refresh-patch-meta")["retryCount"]
    system.riot.fault = Fault("status", status=503, path="/lol", times=1)

    entry = system.run("refresh-patch-meta", "patch-meta-retried")

    assert (entry["outcome"], entry["attempts"]) == ("Succeeded", 2)
    status = system.tasks.status("refresh-patch-meta")
    assert (status["retryCount"], status["consecutiveFailures"]) == (retries + 1, 0)
    first, second = pods_of(system.tasks.cluster, NAMESPACE, "patch-meta-retried")
    ended = first["status"]["containerStatuses"][0]["state"]["terminated"]
    assert ended["exitCode"] == 75
    assert time_of(second["metadata"]["creationTimestamp"]) - time_of(ended["finishedAt"]) >= timedelta(seconds=20)
