"""Writing image archives (OCI image layout in a tar file) without a builder: one layer, always the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path
from typing import Any

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def architecture() -> str:
    """This machine's architecture as image configurations name it."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def write(archive: Path, reference: str, layer: Path, config: dict[str, Any]) -> str:
    """Write an archive of one image, named `reference`, whose only layer is the tar file `layer`.

    `config` is the part of the image configuration that tells how to run it (``Entrypoint``, ``Env``, …).
    Returns the digest of the image's manifest.
    """
    layer_digest = _digest_of_file(layer)
    described = {
        "architecture": architecture(),
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
        "history": [{"created_by": "tests.cluster"}],  # buildah counts an entry for each layer
    }
    blobs = {}

    def blob(content: Any, media_type: str) -> dict[str, Any]:
        data = json.dumps(content, sort_keys=True).encode()
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return {"mediaType": f"application/vnd.oci.image.{media_type}", "digest": digest, "size": len(data)}

    layer_entry = {
        "mediaType": "application/vnd.oci.image.layer.v1.tar",
        "digest": layer_digest,
        "size": layer.stat().st_size,
    }
    config_entry = blob(described, "config.v1+json")
    manifest_type = "application/vnd.oci.image.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": manifest_type, "config": config_entry, "layers": [layer_entry]}
    manifest_entry = blob(manifest, "manifest.v1+json")
    names = {"org.opencontainers.image.ref.name": reference.rpartition(":")[2]}
    index = {"schemaVersion": 2, "manifests": [{**manifest_entry, "annotations": names}]}
    with tarfile.open(archive, "w") as tar:
        _add(tar, "oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode())
        _add(tar, "index.json", json.dumps(index, sort_keys=True).encode())
        for digest, data in blobs.items():
            _add(tar, "blobs/" + digest.replace(":", "/"), data)
        entry = tarfile.TarInfo("blobs/" + layer_digest.replace(":", "/"))
        entry.size = layer.stat().st_size
        with layer.open("rb") as file:
            tar.addfile(entry, file)
    return str(manifest_entry["digest"])


def manifest_digest(archive: Path) -> str:
    """The digest of the first image in an archive."""
    with tarfile.open(archive) as tar:
        file = tar.extractfile("index.json")
        assert file is not None, archive
        return str(json.load(file)["manifests"][0]["digest"])


def layer_with_file(layer: Path, source: Path, path: str) -> None:
    """Write a layer that holds one executable file, owned by root, without a time."""
    with tarfile.open(layer, "w") as tar, source.open("rb") as file:
        entry = tarfile.TarInfo(path.lstrip("/"))
        entry.size, entry.mode = source.stat().st_size, 0o755
        tar.addfile(entry, file)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))


def _digest_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
