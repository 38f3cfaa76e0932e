"""What the API server checks of a pod template: the mistakes that would otherwise show only later.

Everything else in it is kept as it is and answered by the API server when the operator applies the CronJob.
"""

from typing import Any

from scheduledtask.api.markers import PRESERVE, map_by, rule, rules

_LABELS = {"type": "object", "additionalProperties": {"type": "string"}}

# The API server's own message about a bad quantity names no field, so it is better caught here. The pattern is that
# of apimachinery's resource.Quantity.
_QUANTITIES = {
    "type": "object",
    "additionalProperties": {
        "pattern": r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))"
        r"(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$",
        "x-kubernetes-int-or-string": True,
    },
}

_CONTAINER = {
    "type": "object",
    "required": ["name", "image"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 63, "description": "The name of the container."},
        "image": {"type": "string", "minLength": 1, "maxLength": 1024, "description": "The image that it runs."},
        "resources": {
            "type": "object",
            "description": "What the container needs and may use, as in pod.spec.containers.resources.",
            "properties": {
                "limits": {**_QUANTITIES, "description": "The most it may use, such as cpu: 500m, memory: 128Mi."},
                "requests": {**_QUANTITIES, "description": "What is set aside for it, such as cpu: 100m."},
            },
            **PRESERVE,
        },
    },
    **PRESERVE,
}

POD_TEMPLATE: dict[str, Any] = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "metadata": {
            "type": "object",
            "description": "Labels and annotations of the pods.",
            "properties": {
                "labels": {**_LABELS, "description": "Labels of the pods."},
                "annotations": {**_LABELS, "description": "Annotations of the pods."},
            },
        },
        "spec": {
            "type": "object",
            "description": "The PodSpec of each attempt. Its fields: kubectl explain pod.spec.",
            "required": ["containers"],
            "properties": {
                "containers": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": 64,
                    "description": "The containers of the pod. The program of the task is in the first one.",
                    "items": _CONTAINER,
                    **map_by("name"),
                },
                "restartPolicy": {
                    "type": "string",
                    "maxLength": 32,
                    "description": "Never, which is also what is filled in: each attempt is a pod of its own.",
                    **rules(
                        rule(
                            "self == 'Never'",
                            '"{self}" can\'t be: each attempt is a pod of its own. Leave restartPolicy out or write '
                            "Never, and say in spec.retry how often to try",
                        )
                    ),
                },
            },
            **PRESERVE,
        },
    },
}
