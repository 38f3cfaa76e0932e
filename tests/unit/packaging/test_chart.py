"""What the chart makes of its values, rendered by Helm itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster import ClusterError
from tests.install import CHART, REPOSITORY

from .conftest import Object, Render, Rendered

RIGHTS = [
    {"apiGroups": ["scheduledtask.dev"], "resources": ["scheduledtasks"], "verbs": ["get", "list", "watch", "patch"]},
    {"apiGroups": ["scheduledtask.dev"], "resources": ["scheduledtasks/status"], "verbs": ["update"]},
    {"apiGroups": ["batch"], "resources": ["cronjobs"], "verbs": ["get", "list", "watch", "create", "patch"]},
    {"apiGroups": ["batch"], "resources": ["cronjobs/status"], "verbs": ["patch"]},
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "list", "watch", "create", "patch", "delete"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch", "patch"]},
    {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]},
]


LEASE_RIGHTS = [
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
    {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "resourceNames": ["scheduledtask-operator"],
        "verbs": ["get", "update"],
    },
]


def container(objects: Rendered) -> Object:
    [only] = objects.only("Deployment")["spec"]["template"]["spec"]["containers"]
    assert isinstance(only, dict)
    return only


class TestSecurity:
    def test_the_pod_satisfies_the_level_restricted(self, default: Rendered) -> None:
        pod = default.only("Deployment")["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container(default)["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }

    def test_the_operator_may_do_exactly_what_it_needs_in_the_whole_cluster(self, default: Rendered) -> None:
        [operator] = [
            role for role in default.of_kind("ClusterRole") if "aggregate" not in str(role["metadata"]["labels"])
        ]
        binding = default.only("ClusterRoleBinding")
        assert operator["rules"] == RIGHTS
        assert binding["roleRef"]["name"] == operator["metadata"]["name"]
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": "scheduledtask-operator", "namespace": "scheduledtask-system"}
        ]

    def test_beside_that_it_may_hold_one_lease_in_its_own_namespace(self, default: Rendered) -> None:
        role, binding = default.only("Role"), default.only("RoleBinding")
        assert role["rules"] == LEASE_RIGHTS
        assert role["metadata"]["namespace"] == binding["metadata"]["namespace"] == "scheduledtask-system"
        assert binding["roleRef"]["name"] == role["metadata"]["name"]
        assert binding["subjects"] == default.only("ClusterRoleBinding")["subjects"]

    def test_in_a_single_namespace_it_may_do_the_same_there_and_nothing_elsewhere(self, render: Render) -> None:
        objects = render(watchNamespace="team", rbac={"aggregateToUserRoles": False})
        [role] = [role for role in objects.of_kind("Role") if role["metadata"]["namespace"] == "team"]
        [binding] = [
            binding for binding in objects.of_kind("RoleBinding") if binding["metadata"]["namespace"] == "team"
        ]
        assert role["rules"] == RIGHTS
        assert binding["roleRef"]["name"] == role["metadata"]["name"]
        assert binding["subjects"][0]["namespace"] == "scheduledtask-system"
        assert "--namespace=team" in container(objects)["args"]
        assert not objects.of_kind("ClusterRole")
        assert not objects.of_kind("ClusterRoleBinding")

    def test_whoever_may_view_or_edit_a_namespace_may_view_or_edit_its_tasks(self, default: Rendered) -> None:
        verbs: dict[str, set[str]] = {"view": set(), "edit": set(), "admin": set()}
        for role in default.of_kind("ClusterRole"):
            for user in verbs:
                if role["metadata"]["labels"].get(f"rbac.authorization.k8s.io/aggregate-to-{user}") == "true":
                    verbs[user] |= {verb for rule in role["rules"] for verb in rule["verbs"]}
        reading = {"get", "list", "watch"}
        assert verbs["view"] == reading
        assert verbs["edit"] == verbs["admin"] == reading | {"create", "update", "patch", "delete", "deletecollection"}

    def test_rights_can_be_left_to_the_administrator(self, render: Render) -> None:
        objects = render(rbac={"create": False, "aggregateToUserRoles": False})
        assert not [item for item in objects if item["apiVersion"].startswith("rbac")]


class TestCustomResourceDefinition:
    def test_the_charts_copy_is_the_generated_one(self) -> None:
        generated = REPOSITORY / "manifests" / "crd.yaml"
        assert (CHART / "files" / "crd.yaml").read_bytes() == generated.read_bytes(), "run `make manifests`"

    def test_it_is_installed_unchanged_and_survives_the_release(self, default: Rendered) -> None:
        source = yaml.safe_load((CHART / "files" / "crd.yaml").read_text())
        installed = default.only("CustomResourceDefinition")
        assert installed["spec"] == source["spec"]
        assert installed["metadata"]["name"] == source["metadata"]["name"]
        assert installed["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"

    def test_it_can_go_with_the_release(self, render: Render) -> None:
        installed = render(crds={"keep": False}).only("CustomResourceDefinition")
        assert "helm.sh/resource-policy" not in installed["metadata"].get("annotations", {})

    def test_it_can_be_left_to_another_release(self, render: Render) -> None:
        assert not render(crds={"install": False}).of_kind("CustomResourceDefinition")


class TestDeployment:
    def test_one_of_all_replicas_works_and_knows_its_name_and_its_lease(self, default: Rendered) -> None:
        assert default.only("Deployment")["spec"]["replicas"] == 1
        assert {"--leader-elect", "--lease-name=scheduledtask-operator"} <= set(container(default)["args"])
        fields = {entry["name"]: entry["valueFrom"]["fieldRef"]["fieldPath"] for entry in container(default)["env"]}
        assert fields == {"POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace"}

    def test_releases_in_one_namespace_hold_leases_of_their_own(self, render: Render) -> None:
        objects = render(fullnameOverride="second")
        assert "--lease-name=second" in container(objects)["args"]
        assert objects.only("Role")["rules"][1]["resourceNames"] == ["second"]

    def test_an_upgrade_starts_the_next_one_before_it_ends_the_last(self, default: Rendered) -> None:
        assert default.only("Deployment")["spec"]["strategy"] == {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
        }

    def test_several_replicas_are_kept_on_several_nodes_and_drained_one_by_one(
        self, default: Rendered, render: Render
    ) -> None:
        objects = render(replicas=3)
        spec = objects.only("Deployment")["spec"]
        assert spec["replicas"] == 3
        [spread] = spec["template"]["spec"]["topologySpreadConstraints"]
        budget = objects.only("PodDisruptionBudget")["spec"]
        assert spread["topologyKey"] == "kubernetes.io/hostname"
        assert spread["whenUnsatisfiable"] == "ScheduleAnyway", "a cluster of one node still gets them all"
        assert spread["labelSelector"] == budget["selector"] == spec["selector"]
        assert budget["maxUnavailable"] == 1
        # One replica would be kept on its node for ever, or not at all.
        assert not default.of_kind("PodDisruptionBudget")

    def test_values_reach_the_program_as_options(self, render: Render) -> None:
        objects = render(log={"format": "text", "level": "debug"}, workers=3)
        assert container(objects)["args"] == [
            "--log-format=text",
            "--log-level=debug",
            "--listen-port=8080",
            "--workers=3",
            "--leader-elect",
            "--lease-name=scheduledtask-operator",
        ]

    def test_webhooks_are_opened_as_far_as_the_values_say_and_no_farther(
        self, default: Rendered, render: Render
    ) -> None:
        secret = {"secretName": "webhook-key", "secretKey": "whsec"}
        objects = render(
            webhooks={
                "enabled": True,
                "ports": [8443],
                "allowInternal": True,
                "default": {"url": "https://hooks.example/x", **secret},
            },
            networkPolicy={"create": True},
        )
        [role] = [role for role in objects.of_kind("ClusterRole") if "aggregate" not in str(role["metadata"]["labels"])]
        assert role["rules"] == [*RIGHTS, {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
        assert "--webhook-allow-internal" in container(objects)["args"]
        assert "--default-webhook-secret-file=/var/run/webhook/whsec" in container(objects)["args"]
        # Not an argument: arguments are listed wherever processes are.
        assert container(objects)["env"][-1] == {"name": "DEFAULT_WEBHOOK_URL", "value": "https://hooks.example/x"}
        [volume] = objects.only("Deployment")["spec"]["template"]["spec"]["volumes"]
        [mount] = container(objects)["volumeMounts"]
        assert (volume["secret"], mount["mountPath"]) == ({"secretName": "webhook-key"}, "/var/run/webhook")
        assert {"ports": [{"protocol": "TCP", "port": 8443}]} in objects.only("NetworkPolicy")["spec"]["egress"]
        assert "volumeMounts" not in container(default)

    def test_the_image_is_the_charts_version_unless_a_digest_pins_it(self, default: Rendered, render: Render) -> None:
        digest = "sha256:" + "0" * 64
        pinned = render(image={"repository": "registry.example/team/operator", "digest": digest})
        assert container(default)["image"] == f"scheduledtask-operator:{chart_file()['appVersion']}"
        assert container(pinned)["image"] == f"registry.example/team/operator@{digest}"

    def test_the_cluster_knows_when_it_starts_works_and_hangs(self, default: Rendered) -> None:
        paths = {
            name: container(default)[name]["httpGet"]["path"]
            for name in ("startupProbe", "livenessProbe", "readinessProbe")
        }
        assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}

    def test_it_goes_where_the_administrator_wants_it(self, render: Render) -> None:
        wishes: dict[str, Any] = {
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "infra", "operator": "Exists"}],
            "affinity": {"nodeAffinity": {}},
            "priorityClassName": "system-cluster-critical",
            "imagePullSecrets": [{"name": "registry"}],
        }
        pod = render(**wishes).only("Deployment")["spec"]["template"]["spec"]
        assert {key: pod[key] for key in wishes} == wishes

    def test_labels_of_ones_own_do_not_break_the_selector(self, render: Render) -> None:
        spec = render(podLabels={"team": "data", "app.kubernetes.io/name": "mine"}).only("Deployment")["spec"]
        assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
        assert spec["template"]["metadata"]["labels"]["team"] == "data"


class TestMonitoring:
    def test_the_service_reaches_the_pod(self, default: Rendered) -> None:
        labels = default.only("Deployment")["spec"]["template"]["metadata"]["labels"]
        service = default.only("Service")["spec"]
        assert service["selector"].items() <= labels.items()
        assert service["ports"][0]["targetPort"] in {port["name"] for port in container(default)["ports"]}

    def test_a_service_monitor_scrapes_that_service(self, render: Render) -> None:
        objects = render(metrics={"serviceMonitor": {"create": True, "labels": {"release": "prometheus"}}})
        monitor, service = objects.only("ServiceMonitor"), objects.only("Service")
        assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
        assert monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]
        assert monitor["metadata"]["labels"]["release"] == "prometheus"

    def test_a_network_policy_lets_in_only_who_reads_the_metrics(self, render: Render) -> None:
        prometheus = [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}]
        objects = render(networkPolicy={"create": True, "metricsFrom": prometheus, "apiServerPorts": [8443]})
        policy = objects.only("NetworkPolicy")["spec"]
        labels = objects.only("Deployment")["spec"]["template"]["metadata"]["labels"]
        assert policy["podSelector"]["matchLabels"].items() <= labels.items()
        assert policy["ingress"] == [{"ports": [{"protocol": "TCP", "port": "http"}], "from": prometheus}]
        assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == {53, 8443}


class TestValues:
    @pytest.mark.parametrize(
        ("values", "complaint"),
        [
            ({"watchNamspace": "team"}, "watchNamspace"),
            ({"watchNamespace": "Team"}, "/watchNamespace"),
            ({"workers": 0}, "/workers"),
            ({"replicas": -1}, "/replicas"),
            ({"log": {"level": "verbose"}}, "/log/level"),
            ({"image": {"digest": "latest"}}, "/image/digest"),
            ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
            ({"imagePullSecrets": ["registry"]}, "/imagePullSecrets/0"),
            ({"networkPolicy": {"apiServerPorts": []}}, "/networkPolicy/apiServerPorts"),
            ({"webhooks": {"default": {"url": "hooks.example"}}}, "/webhooks/default/url"),
            ({"metrics": {"service": {"port": 0}}}, "/metrics/service/port"),
            ({"metrics": {"service": {"create": False}, "serviceMonitor": {"create": True}}}, "metrics.service.create"),
        ],
    )
    def test_a_mistake_is_refused_and_named(self, render: Render, values: dict[str, Any], complaint: str) -> None:
        with pytest.raises(ClusterError, match=complaint):
            render(**values)

    def test_every_value_has_a_type_in_the_schema(self) -> None:
        schema = json.loads((CHART / "values.schema.json").read_text())
        assert set(values_file()) == set(schema["properties"]) - {"global"}

        def check(values: Object, part: Object, path: str) -> None:
            for name, value in values.items():
                described = part["properties"].get(name)
                assert described, f"{path}{name} is not in the schema"
                if isinstance(value, dict) and "properties" in described:
                    assert described["additionalProperties"] is False, f"{path}{name} takes any name"
                    check(value, described, f"{path}{name}.")

        check(values_file(), schema, "")


def test_one_version_stands_everywhere() -> None:
    pyproject = (REPOSITORY / "pyproject.toml").read_text()
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    version = chart_file()["version"]
    assert chart_file()["appVersion"] == version
    assert f'\nversion = "{version}"\n' in pyproject
    assert f'image.version="{version}"' in dockerfile


def chart_file() -> Object:
    return read(CHART / "Chart.yaml")


def values_file() -> Object:
    return read(CHART / "values.yaml")


def read(path: Path) -> Object:
    content = yaml.safe_load(path.read_text())
    assert isinstance(content, dict)
    return content
