"""The CronJob that a task becomes: what each field of the spec says to Kubernetes."""

import copy
import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduledtask.api.status import Trigger
from scheduledtask.domain.shape import NEVER, cron_job_body, digest_of, run_job_body, slot_job_body
from tests.unit.builders import KEY, NOON, a_cron_job, a_task
from tests.unit.world import World

Body = dict[str, Any]


def body_of(**fields: Any) -> Body:
    task = a_task(**fields)
    assert task.spec is not None
    return cron_job_body(task, task.spec, task.spec.schedule, suspended=False)


def job_of(**fields: Any) -> Body:
    job: Body = body_of(**fields)["spec"]["jobTemplate"]["spec"]
    return job


def pod_of(**fields: Any) -> Body:
    pod: Body = job_of(**fields)["template"]["spec"]
    return pod


def container_of(**container: Any) -> Body:
    """The container of a task without parameters, made from one with these fields."""
    made: Body = pod_of(template={"spec": {"containers": [{"name": "job", "image": "job:1", **container}]}})
    first: Body = made["containers"][0]
    return first


def environment_of(**fields: Any) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in pod_of(**fields)["containers"][0]["env"] if "value" in entry}


class TestTheCronJob:
    @pytest.mark.parametrize(
        ("fields", "field", "value"),
        [
            ({"schedule": "5 4 * * *"}, "schedule", "5 4 * * *"),
            ({"schedule": None}, "schedule", NEVER),
            ({"schedule": None}, "suspend", True),
            ({}, "suspend", False),
            ({"timeZone": "Europe/Berlin"}, "timeZone", "Europe/Berlin"),
            ({}, "timeZone", "Etc/UTC"),
            ({}, "concurrencyPolicy", "Forbid"),
            ({"concurrency": {"policy": "Allow"}}, "concurrencyPolicy", "Allow"),
            ({"concurrency": {"policy": "Replace"}}, "concurrencyPolicy", "Replace"),
            ({"concurrency": {"policy": "Queue"}}, "concurrencyPolicy", "Allow"),
            ({"concurrency": {"policy": "Replace", "group": "miner"}}, "concurrencyPolicy", "Replace"),
            ({"startingDeadline": "5m"}, "startingDeadlineSeconds", 300),
            ({"startingDeadline": "5m", "catchUp": "None"}, "startingDeadlineSeconds", 300),
            ({"catchUp": "None"}, "startingDeadlineSeconds", 300),
            ({"catchUp": "None", "schedule": "@every 90m"}, "startingDeadlineSeconds", None),
            ({}, "startingDeadlineSeconds", None),
            ({"history": {"succeededJobs": 0, "failedJobs": 0}}, "successfulJobsHistoryLimit", 500),
            ({"history": {"succeededJobs": 0, "failedJobs": 0}}, "failedJobsHistoryLimit", 500),
        ],
    )
    def test_its_fields_follow_the_spec(self, fields: Body, field: str, value: object) -> None:
        assert body_of(**fields)["spec"].get(field) == value

    def test_a_suspended_task_suspends_it(self) -> None:
        task = a_task()
        assert task.spec is not None
        assert cron_job_body(task, task.spec, "0 * * * *", suspended=True)["spec"]["suspend"] is True

    def test_it_belongs_to_the_task_and_says_so_down_to_the_pods(self) -> None:
        body = body_of(template={"metadata": {"labels": {"team": "mining"}}, "spec": {"containers": []}})
        owner = body["metadata"]["ownerReferences"]
        template = body["spec"]["jobTemplate"]
        assert [(entry["kind"], entry["uid"], entry["controller"]) for entry in owner] == [
            ("ScheduledTask", "task-uid", True)
        ]
        assert body["metadata"]["labels"]["scheduledtask.dev/task"] == KEY.name
        assert template["metadata"]["labels"] == {"scheduledtask.dev/task": KEY.name}
        assert template["spec"]["template"]["metadata"]["labels"] == {
            "team": "mining",
            "scheduledtask.dev/task": KEY.name,
        }

    def test_its_label_of_the_task_is_not_the_authors_to_change(self) -> None:
        labels = {"scheduledtask.dev/task": "another"}
        job = job_of(template={"metadata": {"labels": labels}, "spec": {"containers": []}})
        assert job["template"]["metadata"]["labels"] == {"scheduledtask.dev/task": KEY.name}


class TestTheJob:
    def test_one_job_is_a_run_and_its_pods_are_the_attempts(self) -> None:
        job = job_of(retry={"maxAttempts": 5})
        assert (job["completionMode"], job["completions"], job["parallelism"]) == ("Indexed", 1, 1)
        assert (job["backoffLimitPerIndex"], job["podReplacementPolicy"]) == (4, "Failed")

    def test_one_attempt_means_no_retry(self) -> None:
        assert job_of(retry={"maxAttempts": 1})["backoffLimitPerIndex"] == 0

    def test_a_drained_node_costs_no_attempt_and_some_exit_codes_end_the_run(self) -> None:
        rules = job_of(retry={"nonRetryable": {"exitCodes": [78, 65]}})["podFailurePolicy"]["rules"]
        assert rules == [
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [65, 78]}},
        ]

    def test_without_such_exit_codes_there_is_no_rule_for_them(self) -> None:
        rules = job_of(retry={"nonRetryable": {"exitCodes": []}})["podFailurePolicy"]["rules"]
        assert [entry["action"] for entry in rules] == ["Ignore"]

    @pytest.mark.parametrize(
        ("timeouts", "of_the_run", "of_an_attempt"),
        [({}, None, None), ({"run": "2h"}, 7200, None), ({"attempt": "30m"}, None, 1800)],
    )
    def test_timeouts(self, timeouts: Body, of_the_run: int | None, of_an_attempt: int | None) -> None:
        job = job_of(timeouts=timeouts)
        assert job.get("activeDeadlineSeconds") == of_the_run
        assert job["template"]["spec"].get("activeDeadlineSeconds") == of_an_attempt


class TestThePod:
    def test_what_a_run_needs_and_the_author_left_open_is_filled_in(self) -> None:
        pod = pod_of()
        assert pod["restartPolicy"] == "Never"
        assert pod["containers"][0]["terminationMessagePolicy"] == "FallbackToLogsOnError"

    def test_what_the_author_said_stays(self) -> None:
        container = {"name": "job", "image": "job:1", "terminationMessagePolicy": "File"}
        spec = {"containers": [container], "activeDeadlineSeconds": 5, "nodeName": "here"}
        pod = pod_of(template={"spec": spec}, timeouts={"attempt": "1m"})
        assert (pod["activeDeadlineSeconds"], pod["nodeName"]) == (5, "here")
        assert pod["containers"][0]["terminationMessagePolicy"] == "File"

    @pytest.mark.parametrize("nothing", [None, []])
    def test_init_containers_get_the_environment_too_and_may_be_null(self, nothing: list[Any] | None) -> None:
        init = {"name": "init", "image": "job:1"}
        template = {"spec": {"containers": [{"name": "job", "image": "job:1"}], "initContainers": [init]}}
        assert "TASK_RUN" in [entry["name"] for entry in pod_of(template=template)["initContainers"][0]["env"]]
        template["spec"]["initContainers"] = nothing  # type: ignore[assignment]
        assert not pod_of(template=template).get("initContainers")

    @pytest.mark.parametrize("field", ["terminationMessagePolicy"])
    def test_null_is_absent(self, field: str) -> None:
        assert container_of(**{field: None})[field] is not None

    def test_a_null_deadline_is_absent(self) -> None:
        spec = {"containers": [{"name": "job", "image": "job:1"}], "activeDeadlineSeconds": None, "restartPolicy": None}
        pod = pod_of(template={"spec": spec}, timeouts={"attempt": "1m"})
        assert (pod["activeDeadlineSeconds"], pod["restartPolicy"]) == (60, "Never")

    def test_the_template_of_the_task_is_left_as_it_is(self) -> None:
        template = {"metadata": {}, "spec": {"containers": [{"name": "job", "image": "job:1", "env": []}]}}
        before = copy.deepcopy(template)
        body_of(template=template)
        assert template == before


class TestTheEnvironment:
    def test_it_tells_the_program_where_it_is(self) -> None:
        environment = container_of()["env"]
        assert [entry["name"] for entry in environment] == [
            "TASK_NAME",
            "TASK_NAMESPACE",
            "TASK_RUN",
            "TASK_FAILED_ATTEMPTS",
            "TASK_MAX_ATTEMPTS",
            "TASK_PARAMETERS",
        ]
        assert environment_of(retry={"maxAttempts": 3}) == {
            "TASK_NAME": "report",
            "TASK_NAMESPACE": "match-history",
            "TASK_MAX_ATTEMPTS": "3",
            "TASK_PARAMETERS": "{}",
        }

    def test_the_authors_variables_come_last_so_that_they_may_refer_to_it(self) -> None:
        environment = container_of(env=[{"name": "OUT", "value": "/data/$(TASK_RUN)"}])["env"]
        assert environment[-1] == {"name": "OUT", "value": "/data/$(TASK_RUN)"}
        assert len(environment) == 7

    def test_an_authors_variable_of_the_same_name_wins_and_stands_once(self) -> None:
        environment = container_of(env=[{"name": "TASK_NAME", "value": "mine"}])["env"]
        assert [entry for entry in environment if entry["name"] == "TASK_NAME"] == [
            {"name": "TASK_NAME", "value": "mine"}
        ]

    @pytest.mark.parametrize("nothing", [None, []])
    def test_an_environment_of_nothing_is_none(self, nothing: list[Any] | None) -> None:
        assert len(container_of(env=nothing)["env"]) == 6

    def test_parameters_have_their_defaults(self) -> None:
        parameters = [
            {"name": "days", "type": "integer", "default": "1"},
            {"name": "label", "default": ""},
            {"name": "unset"},
        ]
        environment = environment_of(parameters=parameters)
        assert (environment["PARAM_DAYS"], environment["PARAM_LABEL"]) == ("1", "")
        assert "PARAM_UNSET" not in environment
        assert json.loads(environment["TASK_PARAMETERS"]) == {"days": "1", "label": ""}

    @pytest.mark.parametrize("value", ["$(TASK_NAME)", "$$(TASK_NAME)", "$", "$$", "a$b", "%d", "$(", '"', "\\", "ü\n"])
    def test_a_default_arrives_as_it_was_written(self, value: str) -> None:
        environment = environment_of(parameters=[{"name": "text", "default": value}])
        assert expanded(environment["PARAM_TEXT"]) == value
        assert json.loads(expanded(environment["TASK_PARAMETERS"])) == {"text": value}


@given(st.text(alphabet="$()ab"))
def test_any_default_arrives_as_it_was_written(value: str) -> None:
    assert expanded(environment_of(parameters=[{"name": "text", "default": value}])["PARAM_TEXT"]) == value


class TestTheDigest:
    def test_equal_bodies_have_equal_digests_in_whatever_order(self) -> None:
        body = body_of()
        assert digest_of(body) == digest_of(dict(reversed(body.items()))) == digest_of(json.loads(json.dumps(body)))

    @pytest.mark.parametrize(
        "fields",
        [{"schedule": "1 * * * *"}, {"timeouts": {"run": "1h"}}, {"template": {"spec": {"containers": []}}}],
    )
    def test_other_bodies_have_others(self, fields: Body) -> None:
        assert digest_of(body_of(**fields)) != digest_of(body_of())

    @pytest.mark.parametrize(
        "fields", [{"pauseReason": "holiday"}, {"alerts": {"consecutiveFailures": 1}}, {"history": {"runs": 3}}]
    )
    def test_what_concerns_only_the_operator_changes_nothing(self, fields: Body) -> None:
        assert digest_of(body_of(**fields)) == digest_of(body_of())


ODD_TEMPLATES: list[Body] = [
    {"spec": None},
    {"metadata": None, "spec": {"containers": []}},
    {"metadata": {"labels": None}, "spec": {"containers": None}},
    {"metadata": [], "spec": {"containers": []}},
    {"metadata": {"labels": ["a"]}, "spec": {"containers": []}},
    {"spec": {"containers": [None]}},
    {"spec": {"containers": ["job"]}},
    {"spec": {"containers": {"name": "job"}}},
    {"spec": {"containers": 5}},
    {"spec": {"containers": [{"env": [None]}]}},
    {"spec": {"containers": [{"env": "TASK=1"}]}},
    {"spec": {"containers": [{"env": {"TASK": "1"}}]}},
    {"spec": {"containers": [{"env": 5}]}},
    {"spec": {"containers": [{"env": [{"name": ["a"]}]}]}},
    {"spec": {"containers": [{"env": [{"name": None}]}]}},
    {"spec": {"containers": [], "initContainers": "none"}},
    {},
]


@pytest.mark.parametrize("template", ODD_TEMPLATES, ids=json.dumps)
@pytest.mark.parametrize("now", [NOON])
def test_a_template_that_is_none_is_told_or_left_for_the_api_server_to_tell(template: Body, now: datetime) -> None:
    planned = World(a_task(template=template)).plan(now)
    if planned.apply is None:
        assert planned.status is not None
        ready = planned.status.conditions[0]
        assert (ready.status, ready.reason) == ("False", "InvalidSpec")
        assert "spec.template" in ready.message


def expanded(value: str) -> str:
    """What Kubernetes makes of `$` in a value whose references lead nowhere (third_party/forked/golang/expansion)."""
    out, position = "", 0
    while position < len(value):
        if value[position] == "$" and position + 1 < len(value):
            following = value[position + 1]
            if following == "$":
                out, position = out + "$", position + 2
                continue
            assert following != "(" or ")" not in value[position:], "a reference would be expanded"
        out, position = out + value[position], position + 1
    return out


class TestTheJobOfACommand:
    def test_it_is_the_cron_jobs_but_for_its_parameters_and_who_asked(self) -> None:
        task = a_task(parameters=[{"name": "days", "default": "1"}, {"name": "region"}])
        assert task.spec is not None
        values = {"days": "7", "region": "$(HOME)"}
        job = run_job_body(task, task.spec, a_cron_job(), "report-x", Trigger.MANUAL, values)
        native = cron_job_body(task, task.spec, "0 * * * *", suspended=False)["spec"]["jobTemplate"]
        own, theirs = (body["spec"]["template"]["spec"]["containers"][0] for body in (job, native))
        environment = {entry["name"]: entry.get("value") for entry in own.pop("env")}
        del theirs["env"]
        assert job["spec"] == native["spec"], "all else is the same"
        assert job["metadata"]["labels"] == native["metadata"]["labels"]
        assert (environment["PARAM_DAYS"], environment["PARAM_REGION"]) == ("7", "$$(HOME)")
        assert json.loads(environment["TASK_PARAMETERS"].replace("$$", "$")) == values
        assert environment["TASK_TRIGGER"] == "Manual"

    def test_it_belongs_to_the_cron_job_and_notes_what_it_was_given(self) -> None:
        task = a_task()
        assert task.spec is not None
        metadata = run_job_body(task, task.spec, a_cron_job(), "report-x", Trigger.RETRY, {"days": "7"})["metadata"]
        assert metadata["annotations"] == {
            "scheduledtask.dev/trigger": "Retry",
            "scheduledtask.dev/parameters": '{"days": "7"}',
        }
        (owner,) = metadata["ownerReferences"]
        assert (owner["kind"], owner["uid"], owner["controller"]) == ("CronJob", "cron-job-uid", True)


class TestAGate:
    """Who makes a Job makes it suspended and with the mark: the CronJob controller, kubectl, the operator."""

    @pytest.mark.parametrize(
        ("concurrency", "gated"),
        [({}, False), ({"policy": "Allow"}, False), ({"policy": "Queue"}, True), ({"group": "miner"}, True)],
    )
    def test_runs_that_wait_for_their_turn_are_born_suspended(self, concurrency: Body, gated: bool) -> None:
        task = a_task(concurrency=concurrency)
        assert task.spec is not None
        made = [
            cron_job_body(task, task.spec, "0 * * * *", suspended=False)["spec"]["jobTemplate"],
            run_job_body(task, task.spec, a_cron_job(), "report-x", Trigger.MANUAL, {}),
            slot_job_body(task, task.spec, a_cron_job(), "report-1", NOON),
        ]
        assert [body["spec"].get("suspend", False) for body in made] == [gated] * 3
        assert ["scheduledtask.dev/gated" in body["metadata"].get("annotations", {}) for body in made] == [gated] * 3
