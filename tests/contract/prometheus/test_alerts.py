"""When the chart's alerts fire: their expressions, evaluated by Prometheus' own engine on series of a sample a minute.

How long one has to hold before it is told (`for`) is left out.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import ask, rendered

JOB = 'job="scheduledtask-operator-metrics"'
REPORT = f'{JOB}, namespace="ns", name="report"'
REPORTED = '{name="report", namespace="ns"}'
UP = f'up{{{JOB}, namespace="scheduledtask-system", pod="a"}}'
WATCH = f'scheduledtask_watch_age_seconds{{{JOB}, watch="jobs", pod="a"}}'
PROBLEM = f'scheduledtask_problem{{{REPORT}, reason="Why", pod="%s", condition="%s"}}'
AWAITED = f"scheduledtask_success_awaited_timestamp_seconds{{{REPORT}}}"
MISSED = f'scheduledtask_slots_unstarted_total{{{REPORT}, outcome="Missed", pod="%s"}}'
LATE = f'scheduledtask_run_lateness_seconds_bucket{{{JOB}, trigger="%s", le="%s"}}'
TRIES = f'scheduledtask_webhook_tries_total{{{JOB}, result="%s"}}'


def alert(name: str) -> str:
    [group] = rendered()["PrometheusRule"]["spec"]["groups"]
    return str(next(rule["expr"] for rule in group["rules"] if rule["alert"] == name))


def fires(program: Path, name: str, series: list[str], *minutes: int) -> list[str]:
    """What the alert tells of, at each of these minutes: sets of labels."""
    asked: dict[str, Any] = {"expression": alert(name), "series": series, "minutes": minutes}
    return ask(program, "alert", json.dumps(asked)).splitlines()


def lateness(trigger: str, within_a_minute: str, within_an_hour: str) -> list[str]:
    """The buckets of a histogram: how many runs began so late."""
    return [
        f"{LATE % (trigger, '60')} {within_a_minute}",
        f"{LATE % (trigger, '3600')} {within_an_hour}",
        f"{LATE % (trigger, '+Inf')} {within_an_hour}",
    ]


@pytest.mark.parametrize(
    ("name", "series", "told"),
    [
        ("OperatorDown", [f"{UP} 1x9"], ""),
        ("OperatorDown", [f"{UP} 1 1 0x7"], "{}"),
        ("OperatorDown", [], "{}"),
        ("WatchStale", [f"{WATCH} 150x9"], ""),
        ("WatchStale", [f"{WATCH} 0+60x9"], '{pod="a", watch="jobs"}'),
        ("ReconcileErrors", [f"scheduledtask_reconcile_errors_total{{{JOB}}} 7x9"], ""),
        ("ReconcileErrors", [f"scheduledtask_reconcile_errors_total{{{JOB}}} 0x5 1x4"], "{}"),
        ("NotReady", [f"{PROBLEM % ('a', 'Ready')} 1x9", f"{PROBLEM % ('b', 'Ready')} 1x9"], "WHY"),
        ("NotReady", [f"{PROBLEM % ('a', 'Healthy')} 1x9"], ""),
        ("Unhealthy", [f"{PROBLEM % ('a', 'Healthy')} 1x9"], "WHY"),
        ("Unhealthy", [f"{PROBLEM % ('a', 'Healthy')} 1 1 1 _x6"], ""),
        ("SlotsMissed", [f"{MISSED % 'a'} 5x9"], ""),
        ("SlotsMissed", [f"{MISSED % 'a'} 5x5 6x3"], REPORTED),
        # A new process finds what was missed while there was none, and its first sample has it already.
        ("SlotsMissed", [f"{MISSED % 'a'} 5x3", f"{MISSED % 'b'} _x6 9 9 9"], REPORTED),
        ("SlotsMissed", [f"{MISSED % 'a'} 5x3", f"{MISSED % 'b'} _x6 5 5 5"], ""),
        # A task of this name was deleted and made anew.
        ("SlotsMissed", [f"{MISSED % 'a'} 5x3 0x5"], ""),
        ("RunsLate", lateness("Schedule", "0+10x9", "0+10x9"), ""),
        ("RunsLate", lateness("Schedule", "0+1x9", "0+10x9"), "{}"),
        ("RunsLate", lateness("CatchUp", "0+1x9", "0+10x9"), ""),
        ("WebhookGivenUp", [f"{TRIES % 'failed'} 0+1x9", f"{TRIES % 'given_up'} 3x9"], ""),
        ("WebhookGivenUp", [f"{TRIES % 'given_up'} 0x7 1 1"], '{result="given_up"}'),
    ],
)
def test_an_alert_fires_when_it_should_and_only_then(reference: Path, name: str, series: list[str], told: str) -> None:
    told = told.replace("WHY", '{name="report", namespace="ns", reason="Why"}')
    assert fires(reference, f"ScheduledTask{name}", series, 8) == [told]


def test_a_success_is_missed_after_the_time_that_the_chart_says(reference: Path) -> None:
    hours = 192
    assert fires(
        reference, "ScheduledTaskNoSuccess", [f"{AWAITED} 0x{hours * 60 + 9}"], hours * 60, hours * 60 + 1
    ) == [
        "",
        REPORTED,
    ]


def test_every_alert_is_tried() -> None:
    source = Path(__file__).read_text()
    [group] = rendered()["PrometheusRule"]["spec"]["groups"]
    names = {rule["alert"].removeprefix("ScheduledTask") for rule in group["rules"]}
    assert [name for name in names if f'"{name}"' not in source and f'"ScheduledTask{name}"' not in source] == []
