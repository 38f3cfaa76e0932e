"""The base images, made on this machine from the Debian mirror that it uses itself.

`BUILD` has Python and pip, and tells pip to look only at the wheels that the build mounts. `RUNTIME` has Python and no
more than that needs: no pip, no perl, no package database.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from . import oci
from .builds import Say
from .paths import ClusterError, cache, locked
from .processes import CONFINED

SUITE = "trixie"
PYTHON_VERSION = "3.13"  # the suite's own
WHEELS = "/mnt"  # where a build finds its wheels: a folder that each base has, so that mounting leaves no trace

_PIP_CONFIGURATION = f"""[global]
no-index = true
find-links = {WHEELS}
disable-pip-version-check = true
root-user-action = ignore
"""
_UNFINISHED = "unfinished-"
_UNREAD = ("doc", "man", "locale", "info", "lintian", "bug")
_SUPERFLUOUS = (
    "usr/lib/*/gconv",
    "usr/lib/*/perl-base",
    "usr/bin/perl*",
    "usr/bin/openssl",
    "usr/bin/localedef",
    "usr/share/perl*",
    "usr/share/debconf",
    "usr/share/bash-completion",
    f"usr/lib/python{PYTHON_VERSION}/test",
    f"usr/lib/python{PYTHON_VERSION}/pydoc_data",
    f"usr/lib/python{PYTHON_VERSION}/idlelib",
    f"usr/lib/python{PYTHON_VERSION}/ensurepip",
    "var/lib/dpkg/info",
    "var/cache/*",
    "var/lib/apt",
)


@dataclass(frozen=True)
class Base:
    """A recipe: Debian packages on top of an mmdebstrap variant, then shell commands with the root folder in ``$1``."""

    name: str
    variant: str
    packages: tuple[str, ...]
    hooks: tuple[str, ...]

    @property
    def reference(self) -> str:
        """The image's name; its tag changes with the recipe."""
        recipe = json.dumps([asdict(self), SUITE, _UNREAD, oci.architecture()])
        return f"localhost/{self.name}:{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"

    @property
    def archive(self) -> Path:
        """Where the finished image lies."""
        return cache() / "images" / f"{self.name}-{self.reference.rpartition(':')[2]}.tar"


_EVERYWHERE = (': > "$1/etc/resolv.conf"', 'echo localhost > "$1/etc/hostname"', 'ln -sf python3 "$1/usr/bin/python"')
BUILD = Base(
    "python-build",
    "minbase",
    ("python3", "python3-pip", "python3-venv", "ca-certificates"),
    (
        *_EVERYWHERE,
        'rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED',
        f"printf %s '{_PIP_CONFIGURATION}' > \"$1/etc/pip.conf\"",
    ),
)
RUNTIME = Base(
    "python-runtime",
    "essential",
    ("python3", "ca-certificates"),
    (*_EVERYWHERE, 'cd "$1" && rm -rf ' + " ".join(_SUPERFLUOUS)),
)


def ensure(base: Base, say: Say) -> Path:
    """The archive of a base image, made on first use: about a minute. Needs root, for mmdebstrap and its mounts."""
    if not base.archive.exists():
        with locked("bases"):
            if not base.archive.exists():
                _make(base, say)
    return base.archive


def command(base: Base, layer: Path, mirror: str | None) -> list[str]:
    """The mmdebstrap command line that writes a base's root file system to `layer`."""
    return [
        "mmdebstrap",
        "--mode=root",
        f"--variant={base.variant}",
        f"--include={','.join(base.packages)}",
        '--aptopt=APT::Install-Recommends "false"',
        *(f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in _UNREAD),
        *(f"--customize-hook={hook}" for hook in base.hooks),
        SUITE,
        str(layer),
        *([mirror] if mirror else []),
    ]


def debian_mirror(index_targets: str) -> str | None:
    """The machine's own Debian mirror, from what ``apt-get indextargets`` prints; None where it has none."""
    for line in index_targets.splitlines():
        uri, _, origin = line.partition(" ")
        if origin == "Debian Debian":
            return uri
    return None


def _make(base: Base, say: Say) -> None:
    started = time.monotonic()
    say(f"making the base image {base.name} from Debian {SUITE}: about a minute")
    form = "$(REPO_URI) $(ORIGIN) $(LABEL)"
    targets = subprocess.run(["apt-get", "indextargets", "--format", form], capture_output=True, text=True).stdout
    base.archive.parent.mkdir(parents=True, exist_ok=True)
    for unfinished in base.archive.parent.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(unfinished)
    with tempfile.TemporaryDirectory(dir=base.archive.parent, prefix=_UNFINISHED) as folder:
        layer, archive = Path(folder) / "layer.tar", Path(folder) / "image.tar"
        environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000", "TMPDIR": folder}
        done = subprocess.run(
            [*CONFINED, *command(base, layer, debian_mirror(targets))], capture_output=True, text=True, env=environment
        )
        if done.returncode:
            raise ClusterError(f"mmdebstrap could not make {base.name}:\n{done.stderr.strip()[-3000:]}")
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        oci.write(archive, base.reference, layer, {"Env": [f"PATH={path}"], "Cmd": ["python3"]})
        for earlier in base.archive.parent.glob(f"{base.name}-*.tar"):
            earlier.unlink()
        archive.rename(base.archive)
    size = base.archive.stat().st_size / 1e6
    say(f"base image {base.name}: {size:.0f} MB, made in {time.monotonic() - started:.0f} s")
