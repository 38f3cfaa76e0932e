"""The alerts and the board of the chart, against the metrics that there are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import pytest
from prometheus_client import REGISTRY

from scheduledtask.controller.measures import TaskMeasures
from scheduledtask.controller.store import Store
from tests.cluster import ClusterError

from .conftest import Object, Render, Rendered

ALERTS = {
    "ScheduledTaskOperatorDown",
    "ScheduledTaskWatchStale",
    "ScheduledTaskReconcileErrors",
    "ScheduledTaskNotReady",
    "ScheduledTaskUnhealthy",
    "ScheduledTaskNoSuccess",
    "ScheduledTaskSlotsMissed",
    "ScheduledTaskRunsLate",
    "ScheduledTaskWebhookGivenUp",
}


@pytest.fixture(scope="module")
def monitored(render: Render) -> Rendered:
    """The chart with all that looks at the metrics."""
    return render(
        metrics={
            "serviceMonitor": {"create": True},
            "prometheusRule": {"create": True, "labels": {"release": "prometheus"}, "noSuccessHours": 30},
            "dashboard": {"create": True},
        }
    )


@pytest.fixture(scope="module")
def alerts(monitored: Rendered) -> dict[str, Object]:
    """The alerting rules by name."""
    [group] = monitored.only("PrometheusRule")["spec"]["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


@pytest.fixture(scope="module")
def board(monitored: Rendered) -> Object:
    [text] = monitored.only("ConfigMap")["data"].values()
    content = json.loads(text)
    assert isinstance(content, dict)
    return content


def panels(board: Object) -> list[Object]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def names_in(queries: Iterable[str]) -> set[str]:
    """The metrics of ours that queries name, by the names of their families."""
    found = {name for query in queries for name in re.findall(r"\bscheduledtask_\w+", query)}
    return {re.sub(r"_(bucket|sum|count|total)$", "", name) for name in found}


def known_names() -> set[str]:
    families = [*REGISTRY.collect(), *TaskMeasures(Store(lambda key: None)).collect()]
    return {family.name for family in families if family.name.startswith("scheduledtask_")}


class TestAlerts:
    def test_there_is_one_for_each_thing_that_goes_wrong(self, alerts: dict[str, Object]) -> None:
        assert set(alerts) == ALERTS

    def test_they_ask_for_metrics_that_there_are(self, alerts: dict[str, Object]) -> None:
        assert names_in(rule["expr"] for rule in alerts.values()) <= known_names()

    def test_each_says_what_is_wrong_how_bad_it_is_and_what_to_do(self, alerts: dict[str, Object]) -> None:
        for name, rule in alerts.items():
            assert rule["labels"]["severity"] in ("critical", "warning"), name
            assert rule["annotations"]["summary"].endswith("."), name
            assert rule["annotations"]["description"].endswith("."), name

    def test_they_name_only_labels_that_their_result_has(self, alerts: dict[str, Object]) -> None:
        for name, rule in alerts.items():
            used = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
            kept = re.search(r" by \(([\w, ]+)\)", rule["expr"])
            assert used <= set(kept[1].split(", ") if kept else ()), name

    def test_they_ask_the_metrics_of_this_release(self, monitored: Rendered, alerts: dict[str, Object]) -> None:
        service, namespace = monitored.only("Service")["metadata"]["name"], "scheduledtask-system"
        for name, rule in alerts.items():
            assert f'job="{service}"' in rule["expr"], name
            assert "OPERATOR_" not in str(rule), name
        assert f'namespace="{namespace}"' in alerts["ScheduledTaskOperatorDown"]["expr"]
        assert "> 30 * 3600" in alerts["ScheduledTaskNoSuccess"]["expr"]

    def test_prometheus_finds_them_and_keeps_the_namespaces_of_tasks(self, monitored: Rendered) -> None:
        assert monitored.only("PrometheusRule")["metadata"]["labels"]["release"] == "prometheus"
        assert monitored.only("ServiceMonitor")["spec"]["endpoints"][0]["honorLabels"] is True


class TestBoard:
    def test_it_asks_for_metrics_that_there_are_and_shows_nearly_all(self, board: Object) -> None:
        shown = names_in(target["expr"] for panel in panels(board) for target in panel["targets"])
        assert shown <= known_names()
        # Of the time of the last success it shows how long ago it is, as far as one is awaited.
        assert known_names() - shown == {"scheduledtask_last_success_timestamp_seconds"}

    def test_every_panel_says_what_it_shows_and_in_which_unit(self, board: Object) -> None:
        for panel in panels(board):
            assert panel["description"].endswith("."), panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"] in ("short", "s", "reqps"), panel["title"]

    def test_what_is_told_by_task_is_chosen_by_namespace_and_task(self, board: Object) -> None:
        variables = {variable["name"] for variable in board["templating"]["list"]}
        assert variables == {"datasource", "namespace", "task"}
        for panel in panels(board):
            for query in (target["expr"] for target in panel["targets"]):
                if "by (namespace" in query:
                    assert 'namespace=~"$namespace", name=~"$task"' in query, panel["title"]

    def test_panels_stand_side_by_side(self, board: Object) -> None:
        taken: set[tuple[int, int]] = set()
        for place in (panel["gridPos"] for panel in board["panels"]):
            cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
            assert place["x"] + place["w"] <= 24
            assert not cells & taken, "two panels overlap"
            taken |= cells

    def test_grafanas_sidecar_finds_it(self, monitored: Rendered) -> None:
        assert monitored.only("ConfigMap")["metadata"]["labels"]["grafana_dashboard"] == "1"


class TestValues:
    def test_neither_is_there_unless_asked_for(self, default: Rendered) -> None:
        assert not default.of_kind("PrometheusRule") + default.of_kind("ConfigMap")

    @pytest.mark.parametrize(
        ("metrics", "complaint"),
        [
            ({"prometheusRule": {"noSuccessHours": 0}}, "/metrics/prometheusRule/noSuccessHours"),
            ({"prometheusRule": {"create": "yes"}}, "/metrics/prometheusRule/create"),
            ({"dashboard": {"labels": {"grafana_dashboard": 1}}}, "/metrics/dashboard/labels/grafana_dashboard"),
        ],
    )
    def test_a_mistake_is_refused_and_named(self, render: Render, metrics: dict[str, Any], complaint: str) -> None:
        with pytest.raises(ClusterError, match=complaint):
            render(metrics=metrics)
