"""The custom resource definition of ScheduledTask. `python -m scheduledtask.api.crd` prints it as YAML."""

from typing import Any

import yaml

from scheduledtask.api.markers import rule, rules
from scheduledtask.api.schema import structural_schema
from scheduledtask.api.spec import ScheduledTaskSpec
from scheduledtask.api.status import ScheduledTaskStatus

GROUP = "scheduledtask.dev"
VERSION = "v1alpha1"
PLURAL = "scheduledtasks"
KIND = "ScheduledTask"

_HEADER = (
    "# Made by `make manifests` (python -m scheduledtask.api.crd) from the models in operator/scheduledtask/api.\n"
)

# A run's pod has the host name <task>-<unix minutes>-0, which must be one DNS label of at most 63 characters; CronJobs
# allow 52 for the same reason (validateIndexedJob and ValidateCronJobCreate in kubernetes/pkg/apis/batch/validation).
_NAME_RULES = rules(
    rule(
        "self.metadata.name.size() <= 52",
        'the name "{self.metadata.name}" is too long for a CronJob: shorten it to 52 characters',
        field="metadata.name",
    ),
    rule(
        "!self.metadata.name.contains('.')",
        'the name "{self.metadata.name}" holds a dot, and host names of pods are made of it: write - instead',
        field="metadata.name",
    ),
)

_SELECTABLE = (".spec.concurrency.group", ".spec.suspend", ".status.state", ".status.lastOutcome")


def _column(name: str, path: str, kind: str, description: str, *, wide: bool = False) -> dict[str, Any]:
    column = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return column | {"priority": 1} if wide else column


def _condition(kind: str, field: str) -> str:
    return f'.status.conditions[?(@.type=="{kind}")].{field}'


_COLUMNS = (
    _column("Schedule", ".spec.schedule", "string", "When it runs, as written; empty: on demand only."),
    _column("State", ".status.state", "string", "What it is doing."),
    _column("Active", ".status.activeRuns", "integer", "Runs that have not ended."),
    _column("Last Run", ".status.lastRunTime", "date", "How long ago the latest run started."),
    _column("Outcome", ".status.lastOutcome", "string", "How the latest run that ended did end."),
    _column("Retries", ".status.retryCount", "integer", "Attempts beyond the first, of all runs together."),
    _column("OK", ".status.successCount", "integer", "Runs that succeeded."),
    _column("Failed", ".status.failureCount", "integer", "Runs that failed."),
    # A column of type date shows nothing for a time to come.
    _column("Next", ".status.nextRunTime", "string", "The next slot."),
    _column("Age", ".metadata.creationTimestamp", "date", "How long ago it was created."),
    _column("Time Zone", ".spec.timeZone", "string", "Where the schedule is read.", wide=True),
    _column("Resolved", ".status.resolvedSchedule", "string", "The schedule with H resolved.", wide=True),
    _column("Ready", _condition("Ready", "status"), "string", "Whether the schedule is in place.", wide=True),
    _column("Reason", _condition("Ready", "reason"), "string", "Why it is ready, or is not.", wide=True),
    _column("Healthy", _condition("Healthy", "status"), "string", "Whether its runs succeed.", wide=True),
    _column("Last Success", ".status.lastSuccessTime", "date", "How long ago a run succeeded.", wide=True),
    _column("Duration", ".status.lastDuration", "string", "How long the last ended run took.", wide=True),
    _column("Last Error", ".status.lastError.reason", "string", "Why the last failed run failed.", wide=True),
    _column("Skipped", ".status.skippedCount", "integer", "Slots that were skipped.", wide=True),
    _column("Missed", ".status.missedCount", "integer", "Slots that were missed.", wide=True),
)


def custom_resource_definition() -> dict[str, Any]:
    """The CustomResourceDefinition as plain data, always the same for the same models."""
    schema = {
        "type": "object",
        "description": "ScheduledTask says what to run, when, how often to retry and what must not overlap. One "
        "CronJob of the same name runs it; outcomes and retries come back into its status.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": f"The version of this API: {GROUP}/{VERSION}."},
            "kind": {"type": "string", "description": f"The kind of the object: {KIND}."},
            # More than the name must not be said of metadata; its description is the API server's own.
            "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 253}}},
            "spec": structural_schema(ScheduledTaskSpec, with_defaults=True),
            # What the operator did not write is not known: a default would claim that it is.
            "status": structural_schema(ScheduledTaskStatus, with_defaults=False),
        },
        **_NAME_RULES,
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["stask"],
                "categories": ["all"],
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": list(_COLUMNS),
                    "selectableFields": [{"jsonPath": path} for path in _SELECTABLE],
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


class _Dumper(yaml.SafeDumper):
    """Without anchors, which some tools can't read; and the string None quoted, which looks like a null."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if text == "None" else None),
)


def manifest() -> str:
    """The CustomResourceDefinition as YAML, with a comment that tells how to make it."""
    return _HEADER + yaml.dump(
        custom_resource_definition(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120
    )


if __name__ == "__main__":
    print(manifest(), end="")
