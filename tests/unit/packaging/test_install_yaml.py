"""manifests/install.yaml: the chart for people without Helm."""

from __future__ import annotations

import yaml

from tests import install

FILE = install.REPOSITORY / "manifests" / "install.yaml"


def test_it_is_what_the_chart_renders_today() -> None:
    assert FILE.read_text() == install.install_yaml(), "run `make manifests`"


def test_its_namespace_comes_first_and_enforces_the_level_restricted() -> None:
    objects = [item for item in yaml.safe_load_all(FILE.read_text()) if item]
    namespace = objects[0]
    assert namespace["kind"] == "Namespace"
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    placed = {item["metadata"]["namespace"] for item in objects if "namespace" in item["metadata"]}
    assert placed == {namespace["metadata"]["name"]}
