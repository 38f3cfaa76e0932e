"""The manifests of ticket_miner: four tasks that exclude each other, allowed where `restricted` is enforced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from scheduledtask.api.spec import ScheduledTaskSpec
from ticket_miner.commands import jobs

FOLDER = Path(__file__).parents[3] / "manifests" / "systems" / "ticket_miner"
TASKS = {"daily-sync": "sync", "hourly-trends": "trends", "analyze": "analyze", "full-pipeline": "pipeline"}
SECRETS = {
    "daily-sync": {"ZENDESK_TOKEN"},
    "hourly-trends": set(),
    "analyze": {"ANTHROPIC_API_KEY"},
    "full-pipeline": {"ZENDESK_TOKEN", "ANTHROPIC_API_KEY"},
}

each_task = pytest.mark.parametrize("name", TASKS)


def resources() -> list[dict[str, Any]]:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    return [resource for name in listed for resource in yaml.safe_load_all((FOLDER / name).read_text())]


def spec(name: str) -> dict[str, Any]:
    [task] = [r for r in resources() if r["kind"] == "ScheduledTask" and r["metadata"]["name"] == name]
    return dict(task["spec"])


def container(name: str) -> dict[str, Any]:
    [found] = spec(name)["template"]["spec"]["containers"]
    return dict(found)


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
    assert [r["metadata"]["name"] for r in resources() if r["kind"] == "ScheduledTask"] == list(TASKS)


@each_task
def test_no_field_is_misspelt(name: str) -> None:
    understood = ScheduledTaskSpec.model_validate(spec(name)).model_dump(by_alias=True, exclude_unset=True)
    assert names(understood) == names(spec(name))


def test_schedules() -> None:
    daily, hourly = spec("daily-sync"), spec("hourly-trends")
    assert (daily["schedule"], daily["startingDeadline"], daily["catchUp"]) == ("0 2 * * *", "1h", "Latest")
    assert hourly["schedule"] == "H * * * *"
    assert all("schedule" not in spec(name) for name in ("analyze", "full-pipeline"))


def test_the_tasks_exclude_each_other() -> None:
    assert {spec(name)["concurrency"]["group"] for name in TASKS} == {"ticket-miner"}


@each_task
def test_the_command_takes_the_parameters_and_settings_of_its_manifest(name: str) -> None:
    options = jobs._commands[TASKS[name]].options
    assert container(name)["args"] == [TASKS[name]]
    wanted = {option.name: option.default for option in options if option.kind == "parameter"}
    assert {p["name"]: int(p["default"]) for p in spec(name).get("parameters", ())} == wanted
    needed = {option.variable for option in options if option.kind == "secret"}
    given = {variable["name"] for variable in container(name)["env"]}
    assert given == needed == SECRETS[name] | {"DATABASE_URL"}


def test_every_setting_is_one_of_a_command() -> None:
    [settings] = [r["data"] for r in resources() if r["kind"] == "ConfigMap"]
    known = {option.variable for command in jobs._commands.values() for option in command.options}
    assert set(settings) <= known | {"LOG_FORMAT"}


@each_task
def test_secrets_are_references_and_only_the_database_is_optional(name: str) -> None:
    for variable in container(name)["env"]:
        reference = variable["valueFrom"]["secretKeyRef"]
        assert reference["key"] == variable["name"]
        assert reference.get("optional", False) is (variable["name"] == "DATABASE_URL")


@each_task
def test_the_pod_keeps_to_the_restricted_level(name: str) -> None:
    pod = spec(name)["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(name)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container(name)["resources"]["limits"]["memory"]
    [namespace] = [r for r in resources() if r["kind"] == "Namespace"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_nobody_reaches_the_pods() -> None:
    [policy] = [r["spec"] for r in resources() if r["kind"] == "NetworkPolicy"]
    assert policy["podSelector"] == {}
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert "ingress" not in policy
