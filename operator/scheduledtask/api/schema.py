"""Structural schemas, as the API server wants them, from pydantic models.

What the two forms of JSON schema differ in is described at
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema.
"""

from datetime import timedelta
from enum import Enum
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from scheduledtask.api.duration import format_duration

Schema = dict[str, Any]

_DEFINITIONS = "#/$defs/"


def structural_schema(model: type[BaseModel], *, with_defaults: bool) -> Schema:
    """The structural schema of a model: no references, no titles, null only as absence, every list with its type.

    `with_defaults` says whether the API server fills in what is absent: it does so for what users write.
    """
    generated = model.model_json_schema(by_alias=True, mode="validation", schema_generator=_WireDefaults)
    definitions = generated.pop("$defs", {})
    return _structural(generated, definitions, with_defaults=with_defaults)


def _structural(node: Schema, definitions: Schema, *, with_defaults: bool) -> Schema:
    node = _inlined(node, definitions)
    kept = {key: value for key, value in node.items() if key not in ("title", "const", "additionalProperties")}
    if kept.get("default", ...) in (None, []) or not with_defaults:
        kept.pop("default", None)
    if "const" in node:
        kept |= {"enum": [node["const"]]}
    if "x-kubernetes-validations" in node:
        # One mistake, one message: the rule says the same as the pattern, and how to mend it.
        kept.pop("pattern", None)
    if node.get("type") == "array":
        kept.setdefault("x-kubernetes-list-type", "atomic")

    def child(schema: Schema) -> Schema:
        return _structural(schema, definitions, with_defaults=with_defaults)

    if "properties" in node:
        kept["properties"] = {name: child(schema) for name, schema in node["properties"].items()}
    elif isinstance(node.get("additionalProperties"), dict):
        kept["additionalProperties"] = child(node["additionalProperties"])
    if "items" in node:
        kept["items"] = child(node["items"])
    return kept


def _inlined(node: Schema, definitions: Schema) -> Schema:
    """A node with what it refers to put in its place. What stands beside a reference wins, descriptions above all."""
    if "$ref" in node:
        target = definitions[node["$ref"].removeprefix(_DEFINITIONS)]
        return _inlined({**target, **{key: value for key, value in node.items() if key != "$ref"}}, definitions)
    if "anyOf" in node:
        (present,) = (choice for choice in node["anyOf"] if choice != {"type": "null"})
        return _inlined({**present, **{key: value for key, value in node.items() if key != "anyOf"}}, definitions)
    return node


class _WireDefaults(GenerateJsonSchema):
    """Defaults as they stand on the wire.

    A part that is all defaults becomes `{}`: so the API server creates it, and then fills in each of its fields.
    """

    def encode_default(self, dft: Any) -> Any:
        match dft:
            case BaseModel():
                return dft.model_dump(mode="json", by_alias=True, exclude_defaults=True)
            case timedelta():
                return format_duration(dft)
            case Enum():
                return dft.value
            case tuple():
                return [self.encode_default(item) for item in dft]
            case _:
                return super().encode_default(dft)
