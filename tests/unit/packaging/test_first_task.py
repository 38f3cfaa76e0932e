"""The tasks that documents and Helm's notes tell people to paste are tasks, with no field misspelt or mistyped."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any

import pytest
import yaml

from scheduledtask.api.spec import ScheduledTaskSpec
from tests.install import CHART, REPOSITORY


def in_readme() -> str:
    [block] = re.findall(r"```yaml\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    return str(block)


def in_notes() -> str:
    notes = (CHART / "templates" / "NOTES.txt").read_text()
    [block] = re.findall(r"<<'YAML'\n(.*?)\n  YAML", notes, re.DOTALL)
    return str(block)


def in_first_job(name: str) -> str:
    text = (REPOSITORY / "docs" / "your-first-job.md").read_text()
    [block] = re.findall(rf"cat > {name}\.yaml <<'EOF'\n(.*?)\nEOF", text, re.DOTALL)
    return str(block)


@pytest.mark.parametrize(
    "source", [in_readme, in_notes, partial(in_first_job, "hello"), partial(in_first_job, "greet")]
)
def test_it_can_be_pasted(source: Any) -> None:
    task = yaml.safe_load(source())
    assert (task["apiVersion"], task["kind"]) == ("scheduledtask.dev/v1alpha1", "ScheduledTask")
    # Strictly: the API server takes no text for a number.
    spec = ScheduledTaskSpec.model_validate_json(json.dumps(task["spec"]), strict=True)
    understood = spec.model_dump(by_alias=True, exclude_unset=True)
    assert names(understood) == names(task["spec"])


def names(value: Any) -> Any:
    """The field names of a document at every depth, without what stands in them."""
    if isinstance(value, dict):
        return {name: names(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [names(part) for part in value]
    return None
