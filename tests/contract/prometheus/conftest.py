"""Prometheus' own parser and engine, built from its Go module: all of promtool takes ten times as long to build."""

import functools
import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import install
from tests.cluster import gotoolchain
from tests.cluster.paths import cache, locked

SOURCE = Path(__file__).parent / "reference"


@pytest.fixture(scope="module")
def reference() -> Path:
    """The reference program, built once per source and go.sum."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(SOURCE.iterdir()))).hexdigest()[:16]
    program = cache() / "prometheus-reference" / digest
    program.parent.mkdir(parents=True, exist_ok=True)
    with locked("prometheus-reference"):
        if not program.exists():
            go = gotoolchain.find(print).command
            part = program.with_suffix(".part")
            subprocess.run([go, "build", "-o", str(part), "."], cwd=SOURCE, check=True)
            part.replace(program)
    return program


def ask(program: Path, mode: str, text: str) -> str:
    return subprocess.run([program, mode], input=text, capture_output=True, text=True, check=True).stdout


@functools.cache
def rendered() -> dict[str, Any]:
    """What the chart makes for Prometheus and Grafana, by kind."""
    values = {"metrics": {"prometheusRule": {"create": True}, "dashboard": {"create": True}}}
    return {item["kind"]: item for item in yaml.safe_load_all(install.render(values)) if item}
