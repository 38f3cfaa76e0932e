"""The manifests of job_queue: six tasks as the API understands them, with the parameters of their commands."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from job_queue import cli
from scheduledtask.api.spec import ScheduledTaskSpec
from scheduledtask_sdk.options import Option, options_of

FOLDER = Path(__file__).parents[3] / "manifests" / "systems" / "job_queue"
COMMANDS: dict[str, Callable[..., object]] = {
    "document-processing": cli.document_processing,
    "embedding-generation": cli.embedding_generation,
    "bulk-import": cli.bulk_import,
    "monday-sync": cli.monday_sync,
    "jira-refresh": cli.jira_refresh,
    "audit-cleanup": cli.audit_cleanup,
}
ON_SCHEDULE = {"monday-sync", "jira-refresh", "audit-cleanup"}
TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def resources() -> list[dict[str, Any]]:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    return [resource for name in listed for resource in yaml.safe_load_all((FOLDER / name).read_text())]


def spec(name: str) -> dict[str, Any]:
    [task] = [r for r in resources() if r["kind"] == "ScheduledTask" and r["metadata"]["name"] == name]
    return dict(task["spec"])


def options(name: str, kind: str) -> dict[str, Option]:
    return {option.name: option for option in options_of(COMMANDS[name])[1] if option.kind == kind}


def names(value: Any) -> Any:
    """The field names of a document at every depth, without what stands in them."""
    if isinstance(value, dict):
        return {name: names(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [names(part) for part in value]
    return None


each_task = pytest.mark.parametrize("name", COMMANDS)


def test_every_manifest_of_the_folder_is_applied() -> None:
    listed = set(yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"])
    assert listed == {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert {r["metadata"]["name"] for r in resources() if r["kind"] == "ScheduledTask"} == set(COMMANDS)


@each_task
def test_no_field_is_misspelt(name: str) -> None:
    understood = ScheduledTaskSpec.model_validate(spec(name)).model_dump(by_alias=True, exclude_unset=True)
    assert names(understood) == names(spec(name))


@each_task
def test_retries_are_those_of_the_job_table_that_they_replace(name: str) -> None:
    retry = spec(name)["retry"]
    assert (retry["maxAttempts"], retry["backoff"]) == (5, ["1m", "5m", "15m", "60m"])
    words = ["permission denied", "not found", "invalid", "unsupported", "401", "403", "404"]
    assert retry["nonRetryable"] == {"exitCodes": [65, 66, 77, 78], "messages": words}


def test_runs_exclude_each_other_and_those_that_people_wait_for_go_first() -> None:
    concurrency = {name: spec(name)["concurrency"] for name in COMMANDS}
    assert {(each["policy"], each["group"]) for each in concurrency.values()} == {("Queue", "job-queue")}
    order = sorted(concurrency, key=lambda name: -concurrency[name]["priority"])
    assert order[:3] == ["bulk-import", "document-processing", "embedding-generation"]
    assert order[-1] == "audit-cleanup"


@each_task
def test_some_are_due_by_themselves_and_the_others_on_demand_alone(name: str) -> None:
    assert ("schedule" in spec(name)) == (name in ON_SCHEDULE)


@each_task
def test_the_parameters_are_those_of_the_command(name: str) -> None:
    declared = {parameter["name"]: parameter for parameter in spec(name)["parameters"]}
    taken = options(name, "parameter")
    optional = set(taken) - set(declared)
    assert set(declared) <= set(taken)
    assert optional <= {"batch_size"}, "what is left out is not for those who start runs"
    for parameter, declaration in declared.items():
        default = inspect.signature(COMMANDS[name]).parameters[parameter].default
        [kind] = {TYPES.get(kind, "string") for kind in taken[parameter].types}
        assert declaration["type"] == kind, parameter
        if declaration.get("required"):
            assert default == "", f"{parameter}: by hand the command itself tells that it is missing"
        else:
            assert declaration["default"] == (str(default).lower() if isinstance(default, bool) else str(default))


@each_task
def test_settings_are_known_and_secrets_go_only_where_they_are_used(name: str) -> None:
    [container] = spec(name)["template"]["spec"]["containers"]
    [settings] = [r["data"] for r in resources() if r["kind"] == "ConfigMap"]
    known = {option.variable for command in COMMANDS for option in options(command, "setting").values()}
    assert set(settings) <= known | {"LOG_FORMAT"}
    assert {variable["name"] for variable in container["env"]} == {
        option.variable for option in options(name, "secret").values()
    }
    assert all("secretKeyRef" in variable["valueFrom"] for variable in container["env"])


@each_task
def test_the_pod_keeps_to_the_restricted_level(name: str) -> None:
    pod = spec(name)["template"]["spec"]
    [container] = pod["containers"]
    assert container["args"] == [name]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]) == {"requests", "limits"}
    [namespace] = [r for r in resources() if r["kind"] == "Namespace"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@each_task
def test_only_jobs_with_an_upstream_reach_beyond_the_cluster(name: str) -> None:
    labels = spec(name)["template"]["metadata"]["labels"]
    assert labels == {"job-queue/upstream": "https" if name in ("monday-sync", "jira-refresh") else "none"}
