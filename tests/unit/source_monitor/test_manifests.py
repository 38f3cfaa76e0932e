"""The manifests of source_monitor: tasks as the API understands them, allowed where `restricted` is enforced."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from scheduledtask.api.spec import ScheduledTaskSpec
from scheduledtask_sdk.options import Option, options_of
from source_monitor import commands
from source_monitor.addresses import may_connect
from source_monitor.sources import Entry

FOLDER = Path(__file__).parents[3] / "manifests" / "systems" / "source_monitor"
TASKS: dict[str, Callable[..., object]] = {
    "daily-fetch": commands.daily_fetch,
    "import-sources": commands.sources_import,
}


def resources() -> list[dict[str, Any]]:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    return [resource for name in listed for resource in yaml.safe_load_all((FOLDER / name).read_text())]


def one(kind: str, name: str) -> dict[str, Any]:
    [found] = [r for r in resources() if r["kind"] == kind and r["metadata"]["name"] == name]
    return found


def spec(name: str) -> dict[str, Any]:
    return dict(one("ScheduledTask", name)["spec"])


def container(name: str) -> dict[str, Any]:
    [found] = spec(name)["template"]["spec"]["containers"]
    return dict(found)


def options(name: str) -> dict[str, Option]:
    return {option.variable or option.name: option for option in options_of(TASKS[name])[1]}


def names(value: Any) -> Any:
    """The field names of a document at every depth, without what stands in them."""
    if isinstance(value, dict):
        return {name: names(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [names(part) for part in value]
    return None


def test_every_manifest_of_the_folder_is_applied() -> None:
    listed = set(yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"])
    assert listed == {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}


@pytest.mark.parametrize("name", TASKS)
def test_no_field_is_misspelt(name: str) -> None:
    understood = ScheduledTaskSpec.model_validate(spec(name)).model_dump(by_alias=True, exclude_unset=True)
    assert names(understood) == names(spec(name))


def test_the_daily_fetch_comes_at_two_and_an_import_on_demand() -> None:
    daily = spec("daily-fetch")
    assert (daily["schedule"], daily["timeZone"], daily["startingDeadline"]) == ("0 2 * * *", "Etc/UTC", "1h")
    assert "schedule" not in spec("import-sources")


@pytest.mark.parametrize("name", TASKS)
def test_the_pod_keeps_to_the_restricted_level_and_its_share(name: str) -> None:
    pod = spec(name)["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(name)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container(name)["resources"]) == {"requests", "limits"}
    assert (
        one("Namespace", "source-monitor")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    )


@pytest.mark.parametrize("name", TASKS)
def test_the_command_knows_the_arguments_parameters_and_secrets_of_its_manifest(name: str) -> None:
    known = options(name)
    assert container(name)["args"] == [{"daily-fetch": "daily-fetch", "import-sources": "sources-import"}[name]]
    assert {parameter["name"] for parameter in spec(name)["parameters"]} <= set(known)
    for variable in container(name)["env"]:
        assert known[variable["name"]].kind == "secret"
        assert variable["valueFrom"]["secretKeyRef"]["optional"] is True


def test_every_secret_of_the_daily_fetch_comes_by_reference_and_every_setting_is_one() -> None:
    known = options("daily-fetch")
    given = {variable["name"] for variable in container("daily-fetch")["env"]}
    assert given == {variable for variable, option in known.items() if option.kind == "secret"}
    settings = one("ConfigMap", "source-monitor")["data"]
    assert {name for name in settings if name != "LOG_FORMAT"} <= {
        variable for variable, option in known.items() if option.kind == "setting"
    }


def test_the_sources_that_come_with_it_are_valid() -> None:
    rows = json.loads(one("ConfigMap", "source-monitor-sources")["data"]["sources.json"])
    assert [Entry.of(row).url for row in rows] == [row["url"] for row in rows]


def test_the_network_policy_leaves_out_what_the_fetcher_refuses() -> None:
    egress = one("NetworkPolicy", "source-monitor")["spec"]["egress"]
    blocks = [to["ipBlock"] for rule in egress for to in rule.get("to", ())]
    networks = [network for block in blocks for network in block["except"]]
    assert len(networks) >= 9
    assert not any(may_connect(network.partition("/")[0]) for network in networks)
