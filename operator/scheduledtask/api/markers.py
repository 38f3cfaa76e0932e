"""What a JSON schema can't say and a Kubernetes one can: list types and validation rules.

Markers go into `json_schema_extra` of a field or a model and reach the custom resource definition as they are.
"""

import re
from collections.abc import Mapping
from typing import Any

Rule = dict[str, str]

SET: dict[str, Any] = {"x-kubernetes-list-type": "set"}
PRESERVE: dict[str, Any] = {"x-kubernetes-preserve-unknown-fields": True}


def map_by(key: str) -> dict[str, Any]:
    """Mark a list of objects as a map whose key is a field of them: unique, and merged by it in server-side apply."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


def rule(expression: str, message: str, *, field: str | None = None, **values: str) -> Rule:
    """A rule in CEL (Common Expression Language) that the API server checks at admission.

    `expression` sees the value as `self`. `message` says what is wrong and how to mend it; in it `{self}`,
    `{self.name}` and the names of `values`, which are CEL expressions, stand for the string that they yield. (Numbers
    can't stand there: what a number takes as a string has no limit that the API server's estimate of cost knows.)
    `field` is the child at fault, where it is not the value itself.
    Rules are Kubernetes' own: https://kubernetes.io/docs/reference/using-api/cel/.
    """
    parts = [_part(text, values) for text in re.split(r"(\{[\w.]+\})", message) if text]
    made = {"rule": expression}
    made |= {"messageExpression": " + ".join(parts)} if "{" in message else {"message": message}
    return made | ({"fieldPath": f".{field}"} if field else {})


def rules(*checked: Rule) -> dict[str, Any]:
    """Mark a value with the rules that it must keep."""
    return {"x-kubernetes-validations": list(checked)}


def raw(pattern: str) -> str:
    """A regular expression as a CEL literal. It must not hold a single quote."""
    return f"r'{pattern}'"


def _part(text: str, values: Mapping[str, str]) -> str:
    """A CEL expression of type string for literal text, or for a name in braces."""
    if text.startswith("{"):
        name = text.strip("{}")
        return values.get(name, name)
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
