"""The API server's no, in the words of the task."""

from datetime import timedelta

import pytest

from scheduledtask.api.status import Condition
from scheduledtask.domain.refusal import refusal
from tests.unit.builders import NOON

INVALID = 'CronJob.batch "report" is invalid: spec.jobTemplate.spec.template.spec.containers[0].image: Required value'
UNKNOWN = (
    "failed to create typed patch object (match-history/report; batch/v1, Kind=CronJob): "
    ".spec.jobTemplate.spec.template.spec.contaners: field not declared in schema"
)


@pytest.mark.parametrize(
    ("code", "message", "final", "words"),
    [
        (422, INVALID, True, "spec.template.spec.containers[0].image: Required value"),
        (400, "json: cannot unmarshal string into int", True, "cannot unmarshal"),
        (500, UNKNOWN, True, "spec.template.spec.contaners: field not declared in schema"),
        (403, 'admission webhook "policy" denied the request', False, "denied the request"),
        (403, "exceeded quota: jobs", False, "exceeded quota"),
        (413, "Request entity too large: limit is 3145728", True, "too large"),
        (500, "etcdserver: request is too large", True, "too large"),
        (422, "spec.jobTemplate.spec.activeDeadlineSeconds: too long", True, "spec.timeouts.run: too long"),
        (422, "spec.startingDeadlineSeconds: too long", True, "spec.startingDeadline: too long"),
    ],
)
def test_an_answer_to_the_content_is_told(code: int, message: str, final: bool, words: str) -> None:
    told = refusal(code, message, "digest", NOON)
    assert told is not None
    assert (told.digest, told.final) == ("digest", final)
    assert words in told.message
    assert "jobTemplate" not in told.message


@pytest.mark.parametrize("code", [401, 404, 409, 429, 500, 503, 504])
def test_a_server_in_trouble_says_nothing_of_the_task(code: int) -> None:
    assert refusal(code, "try again", "digest", NOON) is None


def test_a_long_answer_fits_into_a_condition() -> None:
    told = refusal(422, "spec.template: Invalid value: " + "ü" * 100_000, "digest", NOON)
    assert told is not None
    assert told.message.startswith("The API server refuses the CronJob: spec.template")
    Condition(type="Ready", status="False", reason="Refused", message=told.message, last_transition_time=NOON)


def test_its_time_is_in_whole_seconds_as_all_decisions_are() -> None:
    told = refusal(403, "exceeded quota", "digest", NOON + timedelta(microseconds=700_000))
    assert told is not None
    assert told.time == NOON
