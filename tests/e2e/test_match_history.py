"""The three jobs of match_history from their own manifests, on a volume, with a stand-in for Riot's servers."""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.attempts import await_failure, log_of, stop_attempt
from tests.e2e.installed import InstalledOperator
from tests.e2e.programs import await_run, time_of
from tests.install import REPOSITORY
from tests.integration.operator_process import eventually
from tests.integration.pod_hands import pods_of
from tests.integration.tasks import NEVER_SOON, Body, Tasks
from tests.unit.match_history.documents import put, raw
from tests.upstreams import expected_index, match_v5
from tests.upstreams.riot import Fault, RiotServer

NAMESPACE = "match-history"
SYSTEM = REPOSITORY / "manifests/systems/match_history"
IMAGE = "scheduledtask/match-history:0.1.0"
NAMES = ("refresh-history-index", "refresh-model-registry", "refresh-patch-meta")
KEY = "RGAPI-e2e"
INDEX, REGISTRY, META = "ml_pipeline/history_index.json", "ml_pipeline/model_registry.json", "config/meta.json"
MATCHES = 120
MORE_MATCHES = 20_000
"""So many that a run can be stopped between two of its commits."""

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

    def retry_soon(self, task: str) -> None:
        """Await the first run's end, and let the next attempt come after seconds instead of a minute."""
        await_run(self.tasks, task, f"{task}-first")
        self.tasks.patch(task, retry={"backoff": ["5s"]})
        self.tasks.await_ready(task)

    def stop(self, task: str, output: str, in_its_midst: Callable[[str], bool]) -> Body:
        """Stop a run in its midst, as the drain of a node does. What the attempt after that has answered."""
        self.retry_soon(task)
        before, run = (self.volume / output).read_bytes(), f"{task}-stopped"
        self.tasks.start_run(task, run)
        eventually(lambda: in_its_midst(run), bool, f"{run} is in its midst")

        failure = stop_attempt(self.tasks, task, run)

        assert failure["message"].startswith("Interrupted: stopped by SIGTERM"), failure
        assert (self.volume / output).read_bytes() == before, "nothing is published of what is not done"
        entry = await_run(self.tasks, task, run, 180)
        assert (entry["outcome"], entry["attempts"]) == ("Succeeded", 2), entry
        return self.last_result(task)

    def last_result(self, task: str) -> Body:
        """What the task's last good run has answered."""
        result: Body = self.tasks.status(task)["lastResult"]
        return result

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
        settings = {
            "RIOT_BASE_URL": f"http://{address}",
            "DATA_DRAGON_BASE_URL": f"http://{address}",
            "RIOT_TIMEOUT": "60",
        }
        tasks.kubectl("patch", "configmap", "match-history", "--type=merge", "-p", json.dumps({"data": settings}))
        tasks.kubectl("create", "secret", "generic", "riot", f"--from-literal=RIOT_API_KEY={KEY}")
        for name in NAMES:
            # While a slot's run is active, one that a test asks for is skipped.
            tasks.patch(name, schedule=NEVER_SOON)
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
    index = system.read(INDEX)
    assert index["matches"] > MATCHES * 0.9
    assert system.last_result("refresh-history-index")["matches"] == index["matches"]
    assert expected_index.differences(index, system.processed) == []


def test_the_model_registry_names_the_models(system: System) -> None:
    entry = await_run(system.tasks, "refresh-model-registry", "refresh-model-registry-first")

    assert entry["outcome"] == "Succeeded"
    assert "3 models (+3 new" in entry["message"]
    names = ["ban-advisor", "draft-ranker", "role-guesser"]
    assert list(system.read(REGISTRY)["models"]) == system.last_result("refresh-model-registry")["models"] == names


def test_the_patch_is_that_of_data_dragon(system: System) -> None:
    entry = await_run(system.tasks, "refresh-patch-meta", "refresh-patch-meta-first")

    assert entry["outcome"] == "Succeeded"
    meta = system.read(META)
    assert (meta["patch"], meta["source"], meta["platform"]["name"]) == ("15.21", "riot_api", "EU West")
    assert system.last_result("refresh-patch-meta")["patch"] == "15.21"


def test_a_corrected_document_is_taken_up_by_the_next_run(system: System) -> None:
    await_run(system.tasks, "refresh-history-index", "refresh-history-index-first")
    before = system.read(INDEX)
    path = next(path for path in sorted(system.processed.rglob("*.json")) if turned(path) is not None)
    path.write_text(json.dumps(turned(path)))

    entry = system.run("refresh-history-index", "refresh-history-index-second")

    assert entry["outcome"] == "Succeeded"
    index = system.read(INDEX)
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


@pytest.mark.parametrize(
    ("task", "path", "mended"),
    [
        ("refresh-history-index", "data/processed/15.20/unreadable.json", raw(match_id="EUW1_1")),
        ("refresh-model-registry", "models/lane-reader/card.json", b"{}"),
    ],
)
@pytest.mark.long
def test_a_disk_that_fails_to_read_for_a_moment_costs_one_retry(
    system: System, task: str, path: str, mended: bytes
) -> None:
    system.retry_soon(task)
    unreadable = system.volume / path
    unreadable.parent.mkdir(exist_ok=True)
    # The kernel answers whoever reads its first bytes with EIO, as for a broken disk.
    unreadable.symlink_to("/proc/self/mem")
    run = f"{task}-unreadable"
    system.tasks.start_run(task, run)

    failure = await_failure(system.tasks, task, run)
    unreadable.unlink()
    put(unreadable, mended)
    entry = await_run(system.tasks, task, run)

    assert failure["exitCode"] == 75
    assert f"/data/{path}: Input/output error" in failure["message"]
    assert (entry["outcome"], entry["attempts"]) == ("Succeeded", 2), entry
    assert system.last_result(task)["written"]


@pytest.mark.parametrize(
    ("task", "folder", "output"),
    [("refresh-history-index", "data/processed", INDEX), ("refresh-model-registry", "models", REGISTRY)],
)
@pytest.mark.long
def test_input_that_is_missing_ends_the_run_at_once_and_leaves_what_was_written(
    system: System, task: str, folder: str, output: str
) -> None:
    system.retry_soon(task)
    before = (system.volume / output).read_bytes()
    (system.volume / folder).rename(system.volume / "moved-away")

    entry = system.run(task, f"{task}-missing")
    (system.volume / "moved-away").rename(system.volume / folder)

    assert (entry["outcome"], entry["reason"], entry["attempts"]) == ("Failed", "NonRetryableExitCode", 1), entry
    error = system.tasks.status(task)["lastError"]
    assert error["exitCode"] == 66
    assert f"/data/{folder}" in error["message"]
    assert (system.volume / output).read_bytes() == before


@pytest.mark.long
def test_an_index_that_is_stopped_in_its_midst_goes_on_from_its_last_commit(system: System) -> None:
    rng, champions = random.Random(6), sorted(match_v5.CHAMPIONS)
    for number in range(MORE_MATCHES):
        teams = rng.sample(champions, 10)
        match = raw(match_id=f"NA1_{number}", blue=teams[:5], red=teams[5:], blue_won=number % 3 == 0)
        put(system.processed / "more" / f"{number}.json", match)

    result = system.stop("refresh-history-index", INDEX, lambda run: "committed" in log_of(system.tasks, run))

    assert 0 < result["files"]["new"] <= MORE_MATCHES - 1000, "what was committed is not read again"
    assert expected_index.differences(system.read(INDEX), system.processed) == []


@pytest.mark.long
def test_a_registry_that_is_stopped_in_its_midst_is_written_by_the_next_attempt(system: System) -> None:
    names = [f"slow-{number}" for number in range(10, 30)]
    for name in names:  # half a second each: so long does YAML take for as many lines
        put(system.volume / "models" / name / "card.yaml", b"version: 1.0\n" + b"#\n" * 500_000)

    result = system.stop("refresh-model-registry", REGISTRY, lambda run: "started" in log_of(system.tasks, run))

    assert result["new"] == names
    assert set(names) < set(system.read(REGISTRY)["models"])


@pytest.mark.long
def test_a_patch_that_is_stopped_in_the_midst_of_an_answer_is_asked_for_again(system: System) -> None:
    asked = len(system.riot.requests)
    system.riot.fault = Fault("slow", seconds=50, path="/api", times=1)

    result = system.stop("refresh-patch-meta", META, lambda _: "/api/versions.json" in system.riot.requests[asked:])

    assert system.riot.requests[asked:] == ["/lol/status/v4/platform-data", "/api/versions.json"] * 2
    assert system.read(META)["last_updated"] == result["last_updated"]
