"""A good manifest, and ways to change it."""

import copy
import json
from typing import Any

from scheduledtask.api.crd import GROUP, VERSION
from tests.cluster import Cluster, ClusterError

Manifest = dict[str, Any]

CONTAINER = {"name": "job", "image": "job:1"}
MINIMAL: Manifest = {
    "apiVersion": f"{GROUP}/{VERSION}",
    "kind": "ScheduledTask",
    "metadata": {"name": "refresh"},
    "spec": {"schedule": "H * * * *", "template": {"spec": {"containers": [CONTAINER]}}},
}


def spec(**fields: Any) -> Manifest:
    return {"spec": fields}


def parameter(**fields: Any) -> Manifest:
    return spec(parameters=[{"name": "days", **fields}])


def pod(**fields: Any) -> Manifest:
    return spec(template={"spec": fields})


def changed(manifest: Manifest, change: Manifest) -> Manifest:
    """The manifest with the change merged into it, as a JSON merge patch does."""
    merged = copy.deepcopy(manifest)
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = changed(merged[key], value)
        else:
            merged[key] = value
    return merged


def apply(cluster: Cluster, namespace: str, manifest: Manifest, *options: str) -> str:
    """Apply as users do; returns what kubectl said, refusals included."""
    try:
        return cluster.kubectl("apply", "-n", namespace, "-f", "-", *options, input=json.dumps(manifest))
    except ClusterError as refused:
        return f"refused: {refused}"
