"""The models of `ScheduledTask.spec` read what users write and write what they read."""

from typing import Any

import pytest
from pydantic import ValidationError

from scheduledtask.api.spec import ScheduledTaskSpec

TEMPLATE: dict[str, Any] = {"spec": {"containers": [{"name": "job", "image": "job:1", "args": ["run"]}]}}
COMPLETE: dict[str, Any] = {
    "schedule": "H * * * *",
    "timeZone": "Europe/Berlin",
    "suspend": True,
    "pauseUntil": "2026-12-01T00:00:00Z",
    "pauseReason": "moving house",
    "startingDeadline": "5m",
    "catchUp": "None",
    "concurrency": {"policy": "Queue", "group": "ticket-miner", "priority": -7},
    "timeouts": {"run": "2h", "attempt": "30m", "pending": "10m"},
    "retry": {
        "maxAttempts": 4,
        "backoff": ["0s", "1m30s", "1h"],
        "nonRetryable": {"exitCodes": [65, 77], "messages": ["not found"]},
        "retryable": {"messages": ["timeout"]},
        "beyondNextSlot": True,
    },
    "parameters": [
        {
            "name": "backfill_days",
            "type": "integer",
            "description": "How far back to go.",
            "default": "1",
            "required": True,
            "enum": ["1", "7"],
            "minimum": 0,
            "maximum": 30,
        },
        {"name": "label", "type": "string", "required": False, "pattern": "[a-z]+"},
    ],
    "history": {"runs": 20, "succeededJobs": 0, "failedJobs": 5},
    "alerts": {
        "consecutiveFailures": 2,
        "noSuccessFor": "26h",
        "missedSlots": 3,
        "webhook": {
            "url": "https://example.test/hook",
            "secretRef": {"name": "hook", "key": "secret"},
            "events": ["Completion"],
        },
    },
    "template": TEMPLATE,
}


def test_a_complete_spec_comes_back_as_it_was() -> None:
    spec = ScheduledTaskSpec.model_validate(COMPLETE)
    assert spec.model_dump(mode="json", by_alias=True, exclude_none=True) == COMPLETE


def test_a_spec_with_its_template_alone_is_a_task_on_demand_with_every_default() -> None:
    spec = ScheduledTaskSpec.model_validate({"template": TEMPLATE})
    assert spec.schedule is None
    assert (spec.time_zone, spec.catch_up, spec.concurrency.policy) == ("Etc/UTC", "Latest", "Forbid")
    assert ScheduledTaskSpec.model_validate(spec.model_dump(mode="json", by_alias=True)) == spec


@pytest.mark.parametrize(
    "wrong",
    [
        {"retry": {"maxAttempts": 0}},
        {"retry": {"backoff": []}},
        {"retry": {"backoff": ["-1m"]}},
        {"retry": {"nonRetryable": {"exitCodes": [0]}}},
        {"retry": {"nonRetryable": {"messages": [""]}}},
        {"startingDeadline": "9s"},
        {"timeouts": {"run": "0s"}},
        {"concurrency": {"policy": "forbid"}},
        {"pauseUntil": "2026-12-01T00:00:00"},
        {"parameters": [{"name": "Backfill"}]},
    ],
    ids=str,
)
def test_what_the_api_server_refuses_field_by_field_the_models_refuse_too(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ScheduledTaskSpec.model_validate({"template": TEMPLATE, **wrong})


def test_a_spec_can_not_be_changed() -> None:
    spec = ScheduledTaskSpec.model_validate({"template": TEMPLATE})
    with pytest.raises(ValidationError, match="frozen"):
        spec.suspend = True
