"""docs/metrics.md against what /metrics says."""

import re
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from scheduledtask.controller.measures import TaskMeasures
from scheduledtask.controller.store import Store

DOCUMENT = Path(__file__).parents[2] / "docs/metrics.md"
OURS = "scheduledtask_"


@pytest.fixture
def registered() -> dict[str, tuple[str, str]]:
    """All metrics of the operator: type and meaning by the name that queries use."""
    measures = TaskMeasures(Store(lambda key: None))
    families = [*REGISTRY.collect(), *measures.collect()]
    endings = {"counter": "_total"}
    return {
        family.name + endings.get(family.type, ""): (family.type, family.documentation)
        for family in families
        if family.name.startswith(OURS)
    }


def test_the_table_has_every_metric_with_its_type_and_meaning(registered: dict[str, tuple[str, str]]) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| [\w, ]*\| (.+) \|$", DOCUMENT.read_text(), re.MULTILINE)
    assert {name: (kind, meaning) for name, kind, meaning in rows} == registered


def test_names_follow_the_conventions_of_prometheus(registered: dict[str, tuple[str, str]]) -> None:
    for name, (kind, meaning) in registered.items():
        assert meaning.endswith("."), f"{name} is explained by a sentence"
        assert (kind == "counter") == name.endswith("_total")
        if "Seconds" in meaning or "Unix time" in meaning:
            assert name.endswith("_seconds")
