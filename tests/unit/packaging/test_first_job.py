"""docs/your-first-job.md, followed to the letter as far as that goes without a cluster."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from scheduledtask.api.spec import ScheduledTaskSpec
from tests.install import REPOSITORY
from tests.unit.packaging.test_first_task import names

DOCUMENT = REPOSITORY / "docs" / "your-first-job.md"
END = "end-of-a-step"
IN_THE_CLUSTER = re.compile(r"^(docker|kind|kubectl) ", re.MULTILINE)


def steps() -> Iterator[tuple[str, str | None]]:
    """The blocks to paste, each with what it prints where that is shown."""
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    for (kind, content), (next_kind, following) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if kind == "bash":
            yield content, following if next_kind == "text" else None


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[str, str, str]]]:
    """The folder after all steps, and of each step with a shown output: the step, what is shown, what was printed."""
    folder = tmp_path_factory.mktemp("empty")
    script = ["set -e", f"export OPERATOR={REPOSITORY}"]
    shown: list[tuple[str, str]] = []
    for step, output in steps():
        if IN_THE_CLUSTER.search(step):
            continue
        if step.startswith("python3 -m venv"):  # the libraries are those of the tests
            step = f"ln -s {sys.prefix} .venv\n"
        script += [step, f"echo {END}"]
        shown.append((step, output or ""))
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    printed = done.stdout.split(f"{END}\n")
    assert len(printed) == len(shown) + 1
    return folder / "first-job", [(step, said, out) for (step, said), out in zip(shown, printed, strict=False)]


def test_what_is_printed_is_what_is_shown(followed: tuple[Path, list[tuple[str, str, str]]]) -> None:
    _, outputs = followed
    assert sum(bool(shown) for _, shown, _ in outputs) == 4
    for step, shown, printed in outputs:
        if shown:
            pattern = ".*".join(map(re.escape, shown.strip().split("…")))
            assert re.fullmatch(pattern, printed.strip()), f"{step}\nprinted:\n{printed}"


@pytest.mark.parametrize("name", ["hello", "greet"])
def test_the_tasks_are_tasks_with_no_field_misspelt(
    followed: tuple[Path, list[tuple[str, str, str]]], name: str
) -> None:
    task = yaml.safe_load((followed[0] / f"{name}.yaml").read_text())
    assert (task["apiVersion"], task["kind"]) == ("scheduledtask.dev/v1alpha1", "ScheduledTask")
    understood = ScheduledTaskSpec.model_validate(task["spec"]).model_dump(by_alias=True, exclude_unset=True)
    assert names(understood) == names(task["spec"])


def test_the_images_copy_what_is_there(followed: tuple[Path, list[tuple[str, str, str]]]) -> None:
    folder, _ = followed
    copied = [
        source
        for dockerfile in folder.glob("Dockerfile*")
        for source in re.findall(r"^COPY (?!--from)(\S+) ", dockerfile.read_text(), re.MULTILINE)
    ]
    assert sorted(copied) == ["greet.py", "hello.py", "sdk/requirements.txt", "sdk/scheduledtask_sdk"]
    assert [source for source in copied if not (folder / source).exists()] == []


def test_what_is_done_in_the_cluster_speaks_of_what_was_made(followed: tuple[Path, list[tuple[str, str, str]]]) -> None:
    in_cluster = "\n".join(step for step, _ in steps() if IN_THE_CLUSTER.search(step))
    for name in ("hello", "greet"):
        task = yaml.safe_load((followed[0] / f"{name}.yaml").read_text())
        [container] = task["spec"]["template"]["spec"]["containers"]
        assert f"docker build -t {container['image']} " in in_cluster
        assert f"kubectl apply -f {name}.yaml" in in_cluster
        assert f"kubectl wait stask/{task['metadata']['name']} " in in_cluster
