"""The custom resource definition: made from the models, and of the form that an API server takes."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import pytest
import yaml

from scheduledtask.api.crd import custom_resource_definition, manifest
from scheduledtask.api.spec_rules import TIME_ZONE

COMMITTED = Path(__file__).parents[3] / "manifests/crd.yaml"
CRD = custom_resource_definition()
VERSION = CRD["spec"]["versions"][0]
ROOT = VERSION["schema"]["openAPIV3Schema"]
KEYWORDS = {
    *("type", "description", "properties", "required", "items", "additionalProperties", "default", "enum", "format"),
    *("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "maxProperties"),
    *("x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-preserve-unknown-fields"),
    *("x-kubernetes-validations", "x-kubernetes-int-or-string", "pattern"),
}


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema in a schema, each with its path."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


NODES = dict(nodes(ROOT))


def test_the_committed_manifest_is_the_one_that_the_models_make() -> None:
    assert COMMITTED.read_text() == manifest(), "run: make manifests"


def test_yaml_gives_back_what_was_written() -> None:
    assert yaml.safe_load(manifest()) == CRD


def test_the_catch_up_none_is_quoted_so_that_nothing_takes_it_for_a_null() -> None:
    assert '- "None"' in manifest()


def test_every_field_is_described() -> None:
    # The API server describes metadata itself, and lets nobody else do it.
    fields = {path for path in NODES if path and not path.endswith(("[]", "{}")) and not path.startswith(".metadata")}
    assert {path for path in fields if not NODES[path].get("description", "").strip().endswith(".")} == set()
    assert ".spec.retry.nonRetryable.exitCodes" in fields


def test_the_schema_is_structural() -> None:
    assert {path: sorted(node.keys() - KEYWORDS) for path, node in NODES.items() if node.keys() - KEYWORDS} == {}
    assert [path for path, node in NODES.items() if not node.keys() & {"type", "x-kubernetes-int-or-string"}] == []
    assert [path for path, node in NODES.items() if {"properties", "additionalProperties"} <= node.keys()] == []


def test_every_list_and_every_text_of_the_spec_has_an_end() -> None:
    """Rules cost what the longest value would cost, so nothing that they see may be endless."""
    spec = {path: node for path, node in NODES.items() if path.startswith(".spec") and "{}" not in path}
    assert [path for path, node in spec.items() if node["type"] == "array" and "maxItems" not in node] == []
    texts = {path: node for path, node in spec.items() if node["type"] == "string" and "enum" not in node}
    assert [path for path, node in texts.items() if "maxLength" not in node] == []


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (".spec.parameters", "map"),
        (".spec.template.spec.containers", "map"),
        (".spec.retry.backoff", "atomic"),
        (".spec.retry.nonRetryable.exitCodes", "set"),
        (".status.conditions", "map"),
        (".status.history", "atomic"),
    ],
)
def test_lists_merge_as_their_meaning_asks(path: str, kind: str) -> None:
    assert NODES[path]["x-kubernetes-list-type"] == kind


def test_every_list_says_how_it_merges() -> None:
    assert [
        p for p, node in NODES.items() if node.get("type") == "array" and "x-kubernetes-list-type" not in node
    ] == []


def test_parts_default_to_empty_so_that_their_own_defaults_are_filled_in() -> None:
    assert {NODES[f".spec.{part}"]["default"] == {} for part in ("concurrency", "timeouts", "retry", "history")} == {
        True
    }
    assert NODES[".spec.timeouts.pending"]["default"] == "10m"
    assert NODES[".spec.retry.backoff"]["default"] == ["1m", "5m", "15m", "1h"]


def test_nothing_is_claimed_in_a_status_that_the_operator_did_not_write() -> None:
    assert [path for path, node in NODES.items() if path.startswith(".status") and "default" in node] == []


def test_every_rule_has_a_message_of_its_own() -> None:
    rules = [made for node in NODES.values() for made in node.get("x-kubernetes-validations", ())]
    assert len(rules) > 20
    assert [made["rule"] for made in rules if not made.keys() & {"message", "messageExpression"}] == []


def test_every_zone_of_the_time_zone_database_has_the_form_of_a_zone() -> None:
    assert [zone for zone in available_timezones() if not re.search(TIME_ZONE, zone)] == []


def test_the_table_of_tasks_has_the_columns_that_answer_first_questions() -> None:
    names = [column["name"].upper() for column in VERSION["additionalPrinterColumns"] if not column.get("priority")]
    expected = ["SCHEDULE", "STATE", "ACTIVE", "LAST RUN", "OUTCOME", "RETRIES", "OK", "FAILED", "NEXT", "AGE"]
    assert names == expected


def test_columns_and_selectable_fields_point_at_fields_that_exist() -> None:
    paths = [column["jsonPath"] for column in VERSION["additionalPrinterColumns"]]
    paths += [field["jsonPath"] for field in VERSION["selectableFields"]]
    plain = {path.replace('[?(@.type=="Ready")]', "[]").replace('[?(@.type=="Healthy")]', "[]") for path in paths}
    assert plain - NODES.keys() == {".metadata.creationTimestamp"}
