"""The operator as a user gets it: its image from the Dockerfile, its objects from the chart, by Helm.

`python -m tests.install` prints manifests/install.yaml.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import Cluster, ClusterError, builds
from tests.cluster.builds import Say
from tests.cluster.waiting import until

REPOSITORY = Path(__file__).parents[1]
CHART = REPOSITORY / "charts" / "scheduledtask-operator"
CRD = REPOSITORY / "manifests" / "crd.yaml"
RELEASE = "scheduledtask-operator"
NAMESPACE = "scheduledtask-system"

Values = Mapping[str, Any]

# `helm template` asks no cluster for its version, and the one it assumes is older than the chart takes.
_KUBERNETES_VERSION = "1.34.0"

_INSTALL_HEADER = """\
# Generated from charts/scheduledtask-operator by `make manifests`. Set the Deployment's image to where your cluster
# finds it, then: kubectl apply --server-side -f manifests/install.yaml
"""


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def helm(*arguments: str | Path, values: Values | None = None, environment: Mapping[str, str] | None = None) -> str:
    """Run Helm, `values` before those of the chart, and return what it prints. Raises ClusterError with its message."""
    command = [builds.ensure(["helm"], _say)["helm"], *arguments]
    if values is not None:
        command += ["--values", "-"]
    done = subprocess.run(
        command,
        input=json.dumps(values) if values is not None else None,
        capture_output=True,
        text=True,
        env=environment,
    )
    if done.returncode:
        raise ClusterError(f"helm {arguments[0]}: {done.stderr.strip()}")
    return done.stdout


def render(values: Values, namespace: str = NAMESPACE) -> str:
    """The chart's objects as YAML documents, without a cluster. Raises ClusterError for values that it refuses."""
    return helm(
        "template", RELEASE, CHART, "--namespace", namespace, "--kube-version", _KUBERNETES_VERSION, values=values
    )


def restricted_namespace(name: str) -> dict[str, Any]:
    """A Namespace in which Pod Security admission refuses every pod that is not `restricted`."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def install_yaml() -> str:
    """What manifests/install.yaml holds: the chart with its default values, and the namespace it goes into."""
    namespace = yaml.safe_dump(restricted_namespace(NAMESPACE), sort_keys=False)
    return f"{_INSTALL_HEADER}---\n{namespace}{render({})}"


def serve_definition(cluster: Cluster) -> None:
    """Apply the CustomResourceDefinition, and return when the API server serves ScheduledTasks."""
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRD))

    # Not `kubectl wait`, nor a JSONPath: both fail where there are no conditions at all yet.
    def is_served() -> bool:
        definition = json.loads(cluster.kubectl("get", "-f", str(CRD), "-o", "json"))
        conditions = definition.get("status", {}).get("conditions") or ()
        return any((known["type"], known["status"]) == ("Established", "True") for known in conditions)

    until("ScheduledTasks are served", is_served)


def build_operator_image(cluster: Cluster, say: Say = _say) -> None:
    """Build the operator's image as the chart calls it, and load it into the node of `cluster`."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    tag = f"scheduledtask-operator:{chart['appVersion']}"
    cluster.build_image(REPOSITORY / "Dockerfile", tag, say=say)
    cluster.load_image(tag, say=say)


def install_chart(
    cluster: Cluster, namespace: str = NAMESPACE, release: str = RELEASE, values: Values | None = None
) -> None:
    """Install the operator, or upgrade it, in a `restricted` namespace made for it; returns when it is ready.

    Its image must be on the node, see build_operator_image. Raises ClusterError, with the operator's last words, when
    it isn't ready within two minutes.
    """
    cluster.kubectl("apply", "-f", "-", input=json.dumps(restricted_namespace(namespace)))
    # An image that was built anew has the same tag: only a changed pod makes the Deployment roll.
    values = {"podAnnotations": {"scheduledtask.dev/installed": str(time.time_ns())}, **(values or {})}
    selector = f"app.kubernetes.io/instance={release}"
    try:
        helm(
            *("upgrade", "--install", release, CHART, "--namespace", namespace, "--wait", "--timeout", "2m"),
            values=values,
            environment=cluster.environment(),
        )
        # Helm does not wait until the pods of before are told to end.
        cluster.kubectl("rollout", "status", "deployment", "-n", namespace, "-l", selector, "--timeout=60s")
    except ClusterError as error:
        log = cluster.kubectl("logs", "-n", namespace, "-l", selector, "--tail=30", check=False)
        raise ClusterError(f"{error}\nThe operator's log:\n{log}") from None


def uninstall_chart(cluster: Cluster, namespace: str = NAMESPACE, release: str = RELEASE) -> None:
    """Remove the release; the custom resource definition and all tasks stay."""
    helm("uninstall", release, "--namespace", namespace, "--wait", environment=cluster.environment())


if __name__ == "__main__":
    print(install_yaml(), end="")
