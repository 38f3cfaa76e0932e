"""The chart's alerts and board, read by Prometheus' own parser."""

import json
import re
from pathlib import Path

import yaml

from .conftest import ask, rendered

VARIABLES = {"$__rate_interval": "5m", "$namespace": "a|b", "$task": ".*"}
"""What Grafana would put in."""


def test_prometheus_takes_the_alerts_as_they_are(reference: Path) -> None:
    rules = yaml.safe_dump(rendered()["PrometheusRule"]["spec"])
    assert ask(reference, "rules", rules) == ""


def test_a_rule_that_prometheus_would_refuse_is_found(reference: Path) -> None:
    rules = yaml.safe_dump(rendered()["PrometheusRule"]["spec"])
    assert "could not parse expression" in ask(reference, "rules", rules.replace("sum by (result)", "sum by result"))
    assert "NoSuchFunction" in ask(reference, "rules", rules.replace("humanizeDuration", "NoSuchFunction"))


def test_prometheus_takes_every_query_of_the_board(reference: Path) -> None:
    [board] = rendered()["ConfigMap"]["data"].values()
    panels = json.loads(board)["panels"]
    queries = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    filled = [re.sub(r"\$\w+", lambda match: VARIABLES[match[0]], query) for query in queries]
    answers = ask(reference, "expressions", "".join(f"{query}\n" for query in filled)).splitlines()
    assert len(answers) == len(queries)
    for query, answer in zip(queries, answers, strict=True):
        assert re.fullmatch(r"scheduledtask_\w+( scheduledtask_\w+)*", answer), f"{query}: {answer}"
