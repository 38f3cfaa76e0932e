"""The rules for schedules against two oracles: the API server's own CronJob, and the operator's parser."""

import random

import httpx

from scheduledtask.api.crd import GROUP, PLURAL, VERSION
from scheduledtask.domain.cron import ScheduleError
from scheduledtask.domain.schedule import resolve, validate
from tests.integration.wrong_manifests.manifests import CONTAINER, MINIMAL, Manifest, changed, spec


def random_schedule(dice: random.Random) -> str:
    """A schedule that is right more often than not, in the grammar of robfig/cron and H, odd forms included."""
    limits = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
    names: tuple[tuple[str, ...], ...] = ((), (), (), ("JAN", "jun", "Dec"), ("sun", "WED", "Sat"))

    def value(index: int) -> str:
        low, high = limits[index]
        within = dice.randint(low, high)
        stable = ["H", f"H({low}-{within})", "H(9-x)"]
        return dice.choice(
            [str(within)] * 40 + stable + [*names[index]] * 3 + [f"0{within}", f"+{within}", str(high + 1), "x"]
        )

    def element(index: int) -> str:
        one = value(index)
        ranges = [f"{one}-{value(index)}", f"{one}-{one}", "*-5"]
        span = dice.choice(["*"] * 9 + [one] * 9 + ranges * 2 + ["?", "1-2-3"])
        return span + dice.choice([""] * 30 + ["/2", "/15", "/+2"] * 3 + ["/0", "/"])

    def field(index: int) -> str:
        listed = ",".join(element(index) for _ in range(dice.choice([1, 1, 1, 2, 3])))
        return dice.choice(["*"] * 8 + [listed] * 8 + [f",{listed},", ",", "1,,2"])

    count = dice.choice([5] * 20 + [4, 6])
    five = dice.choice([" "] * 5 + ["  ", "\t", "\u00a0"]).join(field(min(index, 4)) for index in range(count))
    every = "@every " + dice.choice(["1h", "90m", "1.5h", "60s", "1m0.5s", "+.5h", "1h1h", "5", " 5m", "1m\n", ""])
    word = dice.choice(["@daily", "@hourly", "@yearly", "@Daily", "@daily ", "@reboot", "@"])
    return dice.choice([five] * 20 + [every, word])


def operator_takes(schedule: str) -> bool:
    try:
        validate(resolve(schedule, "default", "refresh"))
    except ScheduleError:
        return False
    return True


def test_no_schedule_is_refused_that_kubernetes_or_the_operator_takes(api_server: httpx.Client) -> None:
    pod_template = {"spec": {"containers": [CONTAINER], "restartPolicy": "Never"}}
    cron_job = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "oracle"},
        "spec": {"jobTemplate": {"spec": {"template": pod_template}}},
    }

    def api_server_takes(path: str, manifest: Manifest, schedule: str) -> bool:
        answer = api_server.post(f"/apis/{path}?dryRun=All", json=changed(manifest, spec(schedule=schedule)))
        assert answer.status_code in (201, 422), answer.text
        return answer.status_code == 201

    dice = random.Random(2026)
    schedules = sorted({random_schedule(dice) for _ in range(800)})
    cron_jobs = {text for text in schedules if api_server_takes("batch/v1/namespaces/default/cronjobs", cron_job, text)}
    path = f"{GROUP}/{VERSION}/namespaces/default/{PLURAL}"
    tasks = {text for text in schedules if api_server_takes(path, MINIMAL, text)}
    readable = {text for text in schedules if operator_takes(text)}
    assert cron_jobs - tasks == set()
    assert readable - tasks == set()
    assert len(cron_jobs) > 300
    assert len(schedules) - len(readable) > 100
    # Left to the operator: names in a range backwards, and H in odd forms.
    assert len(tasks - readable) < len(readable) / 20, tasks - readable
