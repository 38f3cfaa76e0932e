"""The manifests of match_history: three tasks as the API understands them, allowed where `restricted` is enforced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from scheduledtask.api.spec import ScheduledTaskSpec
from tests.unit.match_history.conftest import Job

FOLDER = Path(__file__).parents[3] / "manifests" / "systems" / "match_history"
TASKS = ("refresh-history-index", "refresh-model-registry", "refresh-patch-meta")


def resources() -> list[dict[str, Any]]:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    return [resource for name in listed for resource in yaml.safe_load_all((FOLDER / name).read_text())]


def spec(name: str) -> dict[str, Any]:
    [task] = [r for r in resources() if r["kind"] == "ScheduledTask" and r["metadata"]["name"] == name]
    return dict(task["spec"])


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


@pytest.mark.parametrize(
    ("name", "schedule", "grace"),
    [(TASKS[0], "H * * * *", "5m"), (TASKS[1], "*/5 * * * *", "1m"), (TASKS[2], "0 3 * * *", "1h")],
)
def test_schedules_and_grace_times(name: str, schedule: str, grace: str) -> None:
    assert (spec(name)["schedule"], spec(name)["startingDeadline"]) == (schedule, grace)


@pytest.mark.parametrize("name", TASKS)
def test_the_pod_keeps_to_the_restricted_level(name: str) -> None:
    pod = spec(name)["template"]["spec"]
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    [namespace] = [r for r in resources() if r["kind"] == "Namespace"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("name", TASKS)
def test_the_command_takes_the_arguments_and_settings_of_its_manifest(job: Job, name: str) -> None:
    [container] = spec(name)["template"]["spec"]["containers"]
    [settings] = [r["data"] for r in resources() if r["kind"] == "ConfigMap"]
    help_text = job.run(*container["args"], "--help", COLUMNS="500").log + job.run("--help").log
    ended = job.run(*container["args"], "--help", **settings)
    assert ended.exit_code == 0
    if name == "refresh-patch-meta":
        assert [setting for setting in settings if setting not in help_text] == []


def test_only_the_patch_task_sees_the_key_and_starts_without_it() -> None:
    with_key = [name for name in TASKS if "RIOT_API_KEY" in str(spec(name))]
    assert with_key == ["refresh-patch-meta"]
    [variable] = spec("refresh-patch-meta")["template"]["spec"]["containers"][0]["env"]
    assert variable["valueFrom"]["secretKeyRef"]["optional"] is True
