"""The custom resource definition on a real API server: what it fills in, what it refuses, and how it says so."""

import json
from typing import Any

import httpx
import pytest

from scheduledtask.api.crd import GROUP, PLURAL, VERSION
from scheduledtask.api.spec import ScheduledTaskSpec
from tests.cluster import Cluster
from tests.integration.wrong_manifests.manifests import MINIMAL, Manifest, apply, changed, parameter, spec
from tests.integration.wrong_manifests.table import ACCEPTED, LEFT_TO_THE_OPERATOR, REFUSED


def test_the_definition_is_established_and_structural(control_plane: Cluster) -> None:
    found = json.loads(control_plane.kubectl("get", "crd", f"{PLURAL}.{GROUP}", "-o", "json"))
    conditions = {condition["type"]: condition["status"] for condition in found["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}


@pytest.mark.parametrize("mistake", REFUSED)
def test_a_mistake_is_refused_at_apply_with_the_field_and_the_mend(control_plane: Cluster, mistake: str) -> None:
    change, field, mend = REFUSED[mistake]
    said = apply(control_plane, "default", changed(MINIMAL, change), "--dry-run=server")
    assert said.startswith("refused: ")
    assert field in said
    assert mend in said


@pytest.mark.parametrize("change", [*ACCEPTED, *LEFT_TO_THE_OPERATOR])
def test_what_may_be_right_is_accepted(control_plane: Cluster, change: str) -> None:
    manifest = changed(MINIMAL, {**ACCEPTED, **LEFT_TO_THE_OPERATOR}[change])
    said = apply(control_plane, "default", manifest, "--dry-run=server")
    assert said.endswith(" created (server dry run)\n")


@pytest.mark.parametrize(
    "mistake", ["a time zone in the schedule", "a minute out of range", "a delay in words", "an empty schedule"]
)
def test_one_mistake_gets_one_message(control_plane: Cluster, mistake: str) -> None:
    said = apply(control_plane, "default", changed(MINIMAL, REFUSED[mistake].change), "--dry-run=server")
    assert said.count("Invalid value") == 1


def test_what_is_left_out_is_filled_in_as_the_models_say(control_plane: Cluster, namespace: str) -> None:
    apply(control_plane, namespace, changed(MINIMAL, parameter(default="1")))
    stored = json.loads(control_plane.kubectl("get", "stask", "refresh", "-n", namespace, "-o", "json"))["spec"]
    assert stored["retry"]["backoff"] == ["1m", "5m", "15m", "1h"]
    assert stored == ScheduledTaskSpec.model_validate(stored).model_dump(mode="json", by_alias=True, exclude_none=True)
    alone = {key: stored[key] for key in ("schedule", "template")}
    from_model = ScheduledTaskSpec.model_validate(alone).model_dump(mode="json", by_alias=True, exclude_none=True)
    assert {**stored, "parameters": []} == from_model
    assert stored["parameters"] == [{"name": "days", "type": "string", "default": "1", "required": False}]


def test_kubectl_explains_every_field(control_plane: Cluster, api_server: httpx.Client) -> None:
    published = api_server.get(f"/openapi/v3/apis/{GROUP}/{VERSION}").json()["components"]["schemas"]
    (schema,) = (
        found
        for found in published.values()
        if {"group": GROUP, "kind": "ScheduledTask", "version": VERSION}
        in found.get("x-kubernetes-group-version-kind", [])
    )

    def undescribed(node: Manifest, path: str) -> list[str]:
        children = [(f"{path}.{name}", child) for name, child in node.get("properties", {}).items()]
        missing = [child_path for child_path, child in children if not child.get("description")]
        items = [(f"{path}[]", node["items"])] if "items" in node else []
        return missing + [gap for child_path, child in children + items for gap in undescribed(child, child_path)]

    assert undescribed(schema, "scheduledtask") == []
    explained = control_plane.kubectl("explain", "scheduledtask.spec.retry")
    assert "How often a failed run is tried again, and when." in explained
    assert "<no description>" not in control_plane.kubectl("explain", "scheduledtask.status.history")
    assert "sysexits.h" in control_plane.kubectl("explain", "stask.spec.retry.nonRetryable.exitCodes")
    assert "consecutiveFailures" in control_plane.kubectl("explain", "scheduledtask", "--recursive")


def test_the_table_shows_a_task_at_a_glance(control_plane: Cluster, api_server: httpx.Client, namespace: str) -> None:
    apply(control_plane, namespace, MINIMAL)
    headings = control_plane.kubectl("get", "stask", "-n", namespace).splitlines()[0]
    assert " ".join(headings.split()) == "NAME SCHEDULE STATE ACTIVE LAST RUN OUTCOME RETRIES OK FAILED NEXT AGE"
    wide = control_plane.kubectl("get", "scheduledtasks", "-n", namespace, "-o", "wide").splitlines()[0]
    assert " ".join(wide.split()).endswith(
        "AGE TIME ZONE RESOLVED READY REASON HEALTHY LAST SUCCESS DURATION LAST ERROR SKIPPED MISSED"
    )
    assert f"scheduledtask.{GROUP}/refresh" in control_plane.kubectl("get", "all", "-n", namespace, "-o", "name")


def status_of(task: Manifest, **status: Any) -> Manifest:
    """What the operator sends: no spec, of the metadata only what identifies the object and its version."""
    metadata = {key: task["metadata"][key] for key in ("name", "namespace", "resourceVersion")}
    return {"apiVersion": task["apiVersion"], "kind": task["kind"], "metadata": metadata, "status": status}


@pytest.fixture
def task(control_plane: Cluster, namespace: str) -> Manifest:
    apply(control_plane, namespace, changed(MINIMAL, {"metadata": {"labels": {"team": "miners"}}}))
    found: Manifest = json.loads(control_plane.kubectl("get", "stask", "refresh", "-n", namespace, "-o", "json"))
    return found


def status_path(task: Manifest) -> str:
    return f"/apis/{GROUP}/{VERSION}/namespaces/{task['metadata']['namespace']}/{PLURAL}/refresh/status"


def test_a_status_is_written_without_sending_the_rest(api_server: httpx.Client, task: Manifest) -> None:
    written = api_server.put(status_path(task), json=status_of(task, state="Idle", successCount=0))
    assert written.status_code == 200, written.text
    now = written.json()
    assert now["status"] == {"state": "Idle", "successCount": 0}
    assert (now["spec"], now["metadata"]["labels"]) == (task["spec"], {"team": "miners"})
    assert now["metadata"]["generation"] == task["metadata"]["generation"]


def test_the_same_status_again_is_no_new_version(api_server: httpx.Client, task: Manifest) -> None:
    first = api_server.put(status_path(task), json=status_of(task, state="Idle")).json()
    again = api_server.put(status_path(task), json=status_of(first, state="Idle")).json()
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


def test_a_status_made_from_an_old_version_is_a_conflict(api_server: httpx.Client, task: Manifest) -> None:
    assert api_server.put(status_path(task), json=status_of(task, state="Idle")).status_code == 200
    late = api_server.put(status_path(task), json=status_of(task, state="Running"))
    assert late.status_code == 409
    assert api_server.get(status_path(task)).json()["status"] == {"state": "Idle"}


def test_a_status_can_not_change_the_spec_nor_an_apply_the_status(
    control_plane: Cluster, api_server: httpx.Client, task: Manifest
) -> None:
    meddling = {**status_of(task, state="Idle"), "spec": {**task["spec"], "suspend": True}}
    assert api_server.put(status_path(task), json=meddling).json()["spec"]["suspend"] is False
    apply(control_plane, task["metadata"]["namespace"], {**MINIMAL, "status": {"state": "Running"}})
    assert api_server.get(status_path(task)).json()["status"] == {"state": "Idle"}


def test_tasks_are_found_by_state_and_by_group(
    control_plane: Cluster, api_server: httpx.Client, task: Manifest
) -> None:
    namespace = task["metadata"]["namespace"]
    grouped = spec(concurrency={"policy": "Queue", "group": "miner"})
    apply(control_plane, namespace, changed(MINIMAL, {"metadata": {"name": "sync"}, **grouped}))
    api_server.put(status_path(task), json=status_of(task, state="Retrying", lastOutcome="Failed"))

    def found(selector: str) -> str:
        return control_plane.kubectl("get", "stask", "-n", namespace, "--field-selector", selector, "-o", "name")

    assert found("status.state=Retrying") == f"scheduledtask.{GROUP}/refresh\n"
    assert found("status.lastOutcome=Failed") == f"scheduledtask.{GROUP}/refresh\n"
    assert found("spec.concurrency.group=miner") == f"scheduledtask.{GROUP}/sync\n"
    assert found("spec.suspend=true") == ""
