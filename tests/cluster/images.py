"""Building images from ordinary Dockerfiles, without a container engine and without a network."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from . import bases, packages, wheels
from .builds import Say
from .paths import ClusterError, cache, locked
from .processes import CONFINED


@dataclass(frozen=True)
class Image:
    """A built image: its full reference, its id, the size in bytes of its OCI archive (compressed), and that."""

    reference: str
    id: str
    size: int
    archive: Path


def full_reference(tag: str) -> str:
    """The reference under which Kubernetes looks for the image that a manifest calls `tag`.

    ``app:1`` is ``docker.io/library/app:1``, and without a version it is ``:latest``: the rules of the distribution
    project's reference package, by which containerd goes.
    """
    name, version = (tag, "latest") if ":" not in tag.rpartition("/")[2] else tuple(tag.rsplit(":", 1))
    first, _, rest = name.partition("/")
    if not rest:
        return f"docker.io/library/{name}:{version}"
    if first != "localhost" and "." not in first and ":" not in first:
        return f"docker.io/{name}:{version}"
    return f"{name}:{version}"


def lock_files(dockerfile: Path, context: Path) -> list[Path]:
    """The requirement files with hashes that a Dockerfile copies from its context: what its build will install."""
    sources = []
    for line in re.sub(r"\\\n", " ", dockerfile.read_text()).splitlines():
        words = line.split()
        if words[:1] == ["COPY"] and not any(word.startswith("--from") for word in words):
            sources += [context / word for word in words[1:-1] if word.endswith(".txt")]
    return [source for source in sources if source.is_file() and "--hash=" in source.read_text()]


def find(tag: str) -> Image:
    """The image that was built as `tag`. Raises ClusterError when none was."""
    record = _record(full_reference(tag))
    if not record.exists():
        raise ClusterError(f"no image {tag} was built here: python -m tests.cluster build-image --tag {tag} …")
    content = json.loads(record.read_text())
    return Image(content["reference"], content["id"], content["size"], Path(content["archive"]))


def build(dockerfile: Path, tag: str, context: Path, requirements: Sequence[Path] | None, say: Say) -> Image:
    """Build `dockerfile` as `tag`; layers that have not changed are taken from earlier builds.

    The build gets ``BASE_IMAGE`` and ``BUILD_IMAGE`` as arguments, see `bases`, and the wheels of `requirements`, which
    default to the lock files that the Dockerfile copies. Raises ClusterError with the end of the build's output.
    """
    packages.ensure(packages.IMAGES, say)
    locks = lock_files(dockerfile, context) if requirements is None else requirements
    found = wheels.ensure(locks, say)
    started = time.monotonic()
    with locked("buildah"):
        _buildah("rm", "--all")  # what builds that were killed have left
        arguments = [
            f"--build-arg=BASE_IMAGE={_base(bases.RUNTIME, say)}",
            f"--build-arg=BUILD_IMAGE={_base(bases.BUILD, say)}",
        ]
        identifier = _buildah(
            "bud", "--quiet", "--isolation=chroot", "--pull-never", "--layers", "--format=oci", "--timestamp=0",
            f"--volume={found}:{bases.WHEELS}:ro", *arguments, f"--tag={full_reference(tag)}", f"--file={dockerfile}",
            str(context),
        ).splitlines()[-1]  # fmt: skip
        image = _export(full_reference(tag), identifier)
    seconds = time.monotonic() - started
    say(f"image {tag}: {image.size / 1e6:.0f} MB compressed, {identifier[:12]}, {seconds:.1f} s")
    return image


def _export(reference: str, identifier: str) -> Image:
    """Write the archive of an image, unless the archive of this tag holds the very same image already."""
    record = _record(reference)
    if record.exists():
        image = find(reference)
        if image.id == identifier and image.archive.exists():
            return image
    record.parent.mkdir(parents=True, exist_ok=True)
    archive = record.with_suffix(".tar")
    unfinished = archive.with_suffix(".part")
    unfinished.unlink(missing_ok=True)
    version = reference.rpartition(":")[2]
    _buildah("push", "--quiet", identifier, f"oci-archive:{unfinished}:{version}")
    unfinished.rename(archive)
    image = Image(reference, identifier, archive.stat().st_size, archive)
    record.write_text(json.dumps({**asdict(image), "archive": str(archive)}))
    return image


def _record(reference: str) -> Path:
    return cache() / "images" / "built" / (re.sub(r"[^a-z0-9._-]", "_", reference) + ".json")


def _base(base: bases.Base, say: Say) -> str:
    """The reference of a base image, which is in buildah's storage afterwards."""
    if not _buildah("images", "--quiet", "--filter", f"reference={base.reference}"):
        archive = bases.ensure(base, say)
        version = base.reference.rpartition(":")[2]
        identifier = _buildah("pull", "--quiet", f"oci-archive:{archive}:{version}").splitlines()[-1]
        _buildah("tag", identifier, base.reference)
    return base.reference


def _buildah(*arguments: str) -> str:
    storage = cache() / "buildah"
    storage.mkdir(parents=True, exist_ok=True)
    # What buildah remembers of its mounts is of no use: they end with each call's namespaces.
    run = cache() / "buildah-run"
    shutil.rmtree(run, ignore_errors=True)
    options = ["--root", str(storage), "--runroot", str(run), "--storage-driver=overlay"]
    command = [*CONFINED, "--net", "buildah", *options, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    shutil.rmtree(run, ignore_errors=True)
    if done.returncode:
        raise ClusterError(f"buildah {arguments[0]} failed:\n{(done.stdout + done.stderr).strip()[-4000:]}")
    return done.stdout.strip()
