"""PersistentVolumes for tests: folders of the cluster's own, of the storage class `local`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Kubectl = Callable[..., str]


def persistent_volume(name: str, size: str, folder: Path) -> dict[str, Any]:
    """The PersistentVolume of a folder on the cluster's only node."""
    anywhere = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "Exists"}]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": size},
            "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "local",
            "local": {"path": str(folder)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [anywhere]}},
        },
    }


def make(directory: Path, kubectl: Kubectl, name: str, size: str) -> Path:
    """Make the volume `name`, or free it from the claim that it was released by. Returns its folder on the host."""
    folder = directory / "volumes" / name
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o1777)  # as /tmp: pods run as users that nobody has chosen yet
    if kubectl("get", "pv", name, "--ignore-not-found", "--output=jsonpath={.status.phase}") == "Released":
        kubectl("delete", "pv", name)
    kubectl("apply", "--filename=-", input=json.dumps(persistent_volume(name, size, folder)))
    return folder
