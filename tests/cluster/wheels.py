"""The wheels that an image build installs, fetched on the host by hash: the build itself has no network."""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .bases import PYTHON_VERSION
from .builds import Say
from .paths import ClusterError, cache, locked

_OLDEST_GLIBC, _NEWEST_GLIBC = 5, 41  # of 2.x: what manylinux starts with, and what the bases' Debian has


def platforms(machine: str) -> list[str]:
    """The platform tags of wheels that work in the base images, the newest first (PEP 600, PEP 599)."""
    versions = range(_NEWEST_GLIBC, _OLDEST_GLIBC - 1, -1)
    return [f"manylinux_2_{minor}_{machine}" for minor in versions] + [f"manylinux2014_{machine}"]


def key(contents: Sequence[bytes], machine: str) -> str:
    """Changes with the contents of the requirement files and with what the wheels must fit."""
    digest = hashlib.sha256(f"{PYTHON_VERSION} {machine}".encode())
    for content in contents:
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:16]


def ensure(requirements: Sequence[Path], say: Say) -> Path:
    """A folder with the wheels of the given requirement files, each of which must carry hashes."""
    machine = platform.machine()
    folder = cache() / "wheels" / key([file.read_bytes() for file in requirements], machine)
    with locked("wheels"):
        if not folder.exists():
            unfinished = folder.with_name(folder.name + ".part")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            for file in requirements:
                say(f"fetching the wheels of {file}")
                _download(file, unfinished, machine)
            unfinished.rename(folder)
    return folder


def _download(file: Path, folder: Path, machine: str) -> None:
    tags = [argument for tag in platforms(machine) for argument in ("--platform", tag)]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--only-binary=:all:"]
    fit = ["--python-version", PYTHON_VERSION, "--implementation", "cp", *tags]
    done = subprocess.run(
        [*pip, *fit, "--requirement", str(file), "--dest", str(folder)], capture_output=True, text=True
    )
    if done.returncode:
        raise ClusterError(f"pip could not download the wheels of {file}:\n{done.stderr.strip()}")
