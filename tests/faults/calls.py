"""The operator's calls to the API server, as the proxy sees them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

_PATH = re.compile(
    r"/(?:api|apis/[^/]+)/[^/]+"
    r"(?:/namespaces/[^/]+)?"
    r"/(?P<resource>[^/]+)(?:/(?P<name>[^/]+)(?:/(?P<part>[^/]+))?)?"
)
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_OF_JOB = "batch.kubernetes.io/job-name="
_OF_TASKS = re.compile(r"scheduledtask\.dev/task in \((.*)\)")
_RANDOM_ENDING = {"pods": re.compile(r"-\d+-[a-z0-9]{5}$"), "events": re.compile(r"\.[0-9a-f]{16}$")}


@dataclass(frozen=True)
class Call:
    """What one call asks for: equal in every run of the same scenario, so that calls of two runs can be compared."""

    verb: str
    """As in RBAC: get, list, watch, create, update, patch, delete."""
    resource: str
    """The plural, with a subresource behind a slash: scheduledtasks/status."""
    name: str = ""
    """Of the object, without an ending that nobody can know before; of the Job where its pods are listed; of the tasks
    where their Jobs are."""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource} {self.name}".rstrip()

    @property
    def writes(self) -> bool:
        return self.verb not in ("get", "list", "watch")


def read_call(method: str, path: str, query: Mapping[str, str], body: bytes = b"") -> Call:
    """What a request asks for. What is no resource (discovery, say) is a get of its path."""
    found = _PATH.fullmatch(path)
    if found is None:
        return Call("get", path)
    part = f"/{found['part']}" if found["part"] else ""
    name = found["name"] or ""
    verb = _VERBS.get(method, "get" if name else "list")
    if verb == "list" and query.get("watch") in ("true", "1"):
        verb = "watch"
    selector = query.get("labelSelector", "")
    if selector.startswith(_OF_JOB):
        name = selector.removeprefix(_OF_JOB)
    if of_tasks := _OF_TASKS.fullmatch(selector):
        name = of_tasks[1]
    if verb == "create":
        name = json.loads(body)["metadata"]["name"]
    if found["resource"] in _RANDOM_ENDING:
        name = _RANDOM_ENDING[found["resource"]].sub("", name)
    return Call(verb, found["resource"] + part, name)
