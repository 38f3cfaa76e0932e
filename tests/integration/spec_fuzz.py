"""Specs that nobody would write on purpose: valid ones, ones just beside the mark, and hostile ones.

A spec is a small valid one in which a few fields are replaced. Which fields there are comes from the CRD itself, so
that a new one is covered without a word here; what a pod template may hold comes from a table.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

FieldPath = tuple[str | int, ...]
CRD = Path(__file__).parents[2] / "manifests/crd.yaml"


def _nested(depth: int) -> Any:
    value: Any = "bottom"
    for level in range(depth):
        value = {"deeper": value} if level % 2 else [value]
    return value


SCHEDULES = [
    *[
        "* * * * *",
        "H * * * *",
        "0 3 * * 1-5",
        "*/7 9-16 1,15 * *",
        "@hourly",
        "@every 90m",
        "  5  4 * * sun ",
        "+5 * * * *",
    ],
    *[
        "0 0 30 2 *",
        "60 * * * *",
        "* * * *",
        "* * * * * *",
        "@every 1s",
        "@every -1h",
        "@reboot",
        "TZ=UTC * * * * *",
        ",",
    ],
    *["H(5-1) * * * *", "H/0 * * * *", "H(0-99) * * * *", "1-70/3 * * * *", "*/0 * * * *", "5-1 * * * *", "? ? ? ? ?"],
    *["0 0 * * 7", "0 0 * jan-dec *", "0 0 L * *", "٣ * * * *", "0 0 1 1 *\n", "@every 9999999h", "@every 1.5m"],
]
STRINGS = [
    *[
        "",
        "0",
        "-1",
        "1e999",
        "null",
        "true",
        "{}",
        "[a-z",
        "(a+)+$",
        "(?=x)",
        "../../etc",
        "'; --",
        "%s{0}$(X)",
        "default",
        "1name",
        "PATH",
        "TASK_NAME",
    ],
    *[
        "0s",
        "1s",
        "10s",
        "1m",
        "90m",
        "2h",
        "1h1h",
        "-5m",
        "1.5h",
        "999999999h",
        "1d",
        "1us",
        "0.5s",
        "9223372036854775807ns",
    ],
    *[
        "Etc/UTC",
        "Europe/Berlin",
        "europe/berlin",
        "Local",
        "Mars/Olympus",
        "posixrules",
        "Etc/GMT+14",
        "US/Pacific-New",
    ],
    *["2026-12-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "2026-02-30T00:00:00Z", "tomorrow"],
    *[
        "https://hooks.example/x",
        "http://[::1",
        "https://a:b@c/",
        "ftp://x",
        "https://127.0.0.1",
        "Forbid",
        "forbid",
        "Failure",
    ],
    *(" ", "\n", "\x00", "\t\x0b", "\u202e", "\ufeff", "e\u0301", "İ", "💥" * 64, "a" * 300, "A" * 70_000),
]
NUMBERS: list[Any] = [
    *(-(2**63), -(2**31), -1000, -1, 0, 1, 2, 63, 100, 101, 255, 256, 2**31, 2**53, 2**63, 10**30, 1.5, 1e308),
]
SHAPES: list[Any] = [None, True, False, [], {}, [None], {"": ""}, [[]], _nested(5), _nested(300), ["x"] * 300, [1, 1]]
HOSTILE = st.sampled_from([*STRINGS, *NUMBERS, *SHAPES]) | st.text(max_size=30)

_CONTAINER: dict[str, Any] = {"name": "main", "image": "none.invalid/none", "command": ["run"]}
_POD: list[tuple[FieldPath, list[Any]]] = [
    (
        ("metadata", "labels"),
        [{"scheduledtask.dev/task": "another"}, {"a/b/c": "x"}, {"x": "y" * 64}, {"batch.kubernetes.io/job-name": "z"}],
    ),
    (
        ("metadata", "annotations"),
        [{"x": "y" * 200_000}, {"x": "y" * 300_000}, {"scheduledtask.dev/trigger": "Manual"}],
    ),
    (("metadata", "name"), ["x", "X!"]),
    (("spec", "restartPolicy"), ["Never", "OnFailure", "Always", "Sometimes"]),
    (("spec", "activeDeadlineSeconds"), [-1, 0, 1, 2**31, 2**40]),
    (("spec", "terminationGracePeriodSeconds"), [-1, 0, 10**9]),
    (
        ("spec", "containers"),
        [
            [],
            [_CONTAINER, _CONTAINER],
            [_CONTAINER, None],
            [{**_CONTAINER, "name": f"c{number}"} for number in range(60)],
        ],
    ),
    (
        ("spec", "initContainers"),
        [[_CONTAINER], [{**_CONTAINER, "name": "side", "restartPolicy": "Always"}], [None], "x"],
    ),
    (("spec", "ephemeralContainers"), [[{**_CONTAINER, "name": "e"}]]),
    (
        ("spec", "volumes"),
        [[{"name": "v"}], [{"name": "v", "emptyDir": {}}] * 2, [{"name": "v", "hostPath": {"path": ".."}}]],
    ),
    (("spec", "nodeSelector"), [{"x": 1}, {"x": None}, {"bad key!": "x"}]),
    (("spec", "tolerations"), [[{"operator": "Exists", "value": "x"}]]),
    (("spec", "priorityClassName"), ["system-node-critical", "none"]),
    (("spec", "serviceAccountName"), ["none", "A" * 300]),
    (("spec", "hostNetwork"), [True, "yes"]),
    (("spec", "unknownField"), [1, _nested(50)]),
    (("spec", "containers", 0, "args"), [["x" * 300_000], ["x" * 1_000_000], ["$(PARAM_X)", "\x00"], [1], "x", [None]]),
    (
        ("spec", "containers", 0, "env"),
        [
            [{"name": "TASK_NAME", "value": "mine"}],
            [{"name": ""}],
            [{"name": "A", "value": 1}],
            [{}],
            [None],
            "x",
            {"a": 1},
        ],
    ),
    (
        ("spec", "containers", 0, "ports"),
        [[{"containerPort": 0}], [{"containerPort": 70_000}], [{"containerPort": 80}] * 2],
    ),
    (
        ("spec", "containers", 0, "resources"),
        [
            {"limits": {"cpu": "1", "memory": "1Gi"}},
            {"limits": {"cpu": "-1"}},
            {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}},
            {"limits": {"cpu": "1 core"}},
        ],
    ),
    (
        ("spec", "containers", 0, "livenessProbe"),
        [{"exec": {"command": []}, "periodSeconds": -1}, {"httpGet": {"port": "no such"}}],
    ),
    (("spec", "containers", 0, "volumeMounts"), [[{"name": "absent", "mountPath": "/x"}], [{"mountPath": ""}]]),
    (("spec", "containers", 0, "imagePullPolicy"), ["Sometimes", ""]),
    (("spec", "containers", 0, "terminationMessagePolicy"), ["Never", "File"]),
    (
        ("spec", "containers", 0, "securityContext"),
        [{"privileged": True, "allowPrivilegeEscalation": False}, {"runAsUser": -1}],
    ),
]


def specs() -> st.SearchStrategy[dict[str, Any]]:
    """A valid spec with up to four fields replaced."""
    replaced = st.one_of(_of_schema(), _of_pod(), _of_pod(hostile=True), _schedules())
    return st.lists(replaced, max_size=4).map(_built)


def _schedules() -> st.SearchStrategy[tuple[FieldPath, Any]]:
    return st.tuples(st.just(("schedule",)), st.sampled_from(SCHEDULES))


def _of_pod(hostile: bool = False) -> st.SearchStrategy[tuple[FieldPath, Any]]:
    rows = st.sampled_from(_POD)
    return rows.flatmap(
        lambda row: st.tuples(st.just(("template", *row[0])), HOSTILE if hostile else st.sampled_from(row[1]))
    )


def _of_schema() -> st.SearchStrategy[tuple[FieldPath, Any]]:
    (version,) = yaml.safe_load(CRD.read_text())["spec"]["versions"]
    fields = sorted(
        _fields(version["schema"]["openAPIV3Schema"]["properties"]["spec"], ()), key=lambda row: repr(row[0])
    )
    return st.sampled_from(fields).flatmap(lambda row: st.tuples(st.just(row[0]), _near(row[1]) | HOSTILE))


def _fields(schema: dict[str, Any], path: FieldPath) -> Iterator[tuple[FieldPath, dict[str, Any]]]:
    """Each field of a schema, at any depth; of a list its first element."""
    if path:
        yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from _fields(field, (*path, name))
    if "items" in schema:
        yield from _fields(schema["items"], (*path, 0))


def _near(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values of the right type, some of them beside the mark."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "boolean":
            return st.booleans()
        case "integer":
            low, high = schema.get("minimum", 0), schema.get("maximum", 100)
            return st.sampled_from([low - 1, low, low + 1, high, high + 1])
        case "array":
            return st.lists(_near(schema["items"]), max_size=4)
        case "object":
            known = schema.get("properties", {})
            return st.fixed_dictionaries({}, optional={name: _near(field) for name, field in known.items()})
        case _:
            return st.sampled_from(STRINGS)


def _built(replaced: list[tuple[FieldPath, Any]]) -> dict[str, Any]:
    spec: dict[str, Any] = {"schedule": "0 0 1 1 *", "template": {"spec": {"containers": [dict(_CONTAINER)]}}}
    for path, value in replaced:
        _put(spec, path, value)
    return spec


def _put(target: Any, path: FieldPath, value: Any) -> None:
    """Set the value at the path, and what is missing on the way; not where something else stands in the way."""
    for step, following in pairwise(path):
        empty: Any = [] if isinstance(following, int) else {}
        if isinstance(step, int):
            if not isinstance(target, list):
                return
            if not target:
                target.append(empty)
            target[0] = _copied(target[0])
            target = target[0]
        else:
            if not isinstance(target, dict):
                return
            target[step] = _copied(target.get(step, empty))
            target = target[step]
    last = path[-1]
    if isinstance(last, int) and isinstance(target, list):
        target[:1] = [value]
    elif isinstance(last, str) and isinstance(target, dict):
        target[last] = value


def _copied(value: Any) -> Any:
    return dict(value) if isinstance(value, dict) else list(value) if isinstance(value, list) else value
