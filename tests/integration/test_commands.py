"""Commands by annotation, on a real control plane: runs are started, ended and repeated."""

import json
from typing import Any

import pytest

from tests.integration.operator_process import OperatorProcess, eventually
from tests.integration.pod_hands import begin_pod, end_pod, pods_of
from tests.integration.tasks import Tasks

PARAMETERS: list[dict[str, Any]] = [
    {"name": "days", "type": "integer", "default": "1", "minimum": 0},
    {"name": "region", "enum": ["euw", "kr"], "default": "euw"},
]


def command(tasks: Tasks, name: str, verb: str, subject: str, value: str = "") -> None:
    """Give a command, as any client can."""
    tasks.kubectl("annotate", "stask", name, f"{verb}.scheduledtask.dev/{subject}={value}")


def await_answer(tasks: Tasks, name: str) -> None:
    """Until no command is left on the task."""

    def commands() -> list[str]:
        annotations = tasks.get("stask", name)["metadata"].get("annotations", {})
        return [key for key in annotations if ".scheduledtask.dev/" in key]

    eventually(commands, lambda left: left == [], f"task {name}: all commands are answered")


def refusals(tasks: Tasks, name: str) -> list[str]:
    return [event["message"] for event in tasks.events(name) if event["reason"] == "CommandRefused"]


def environment(tasks: Tasks, run: str) -> dict[str, str]:
    container = tasks.get("job", run)["spec"]["template"]["spec"]["containers"][0]
    return {variable["name"]: variable["value"] for variable in container["env"] if "value" in variable}


def test_a_run_is_started_with_its_parameters_and_the_command_removed(tasks: Tasks) -> None:
    tasks.apply("report", parameters=PARAMETERS)
    tasks.await_ready("report")

    command(tasks, "report", "run", "backfill", '{"parameters": {"days": 7}}')
    status = tasks.await_status("report", lambda status: status["active"], "the run is active")
    await_answer(tasks, "report")

    assert [(run["run"], run["trigger"]) for run in status["active"]] == [("report-backfill", "Manual")]
    seen = environment(tasks, "report-backfill")
    assert (seen["PARAM_DAYS"], seen["PARAM_REGION"], seen["TASK_TRIGGER"]) == ("7", "euw", "Manual")
    assert json.loads(seen["TASK_PARAMETERS"]) == {"days": "7", "region": "euw"}
    owner = tasks.get("job", "report-backfill")["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["uid"], owner["controller"]) == (
        "CronJob",
        tasks.get("cronjob", "report")["metadata"]["uid"],
        True,
    )
    end_pod(tasks.cluster, tasks.namespace, "report-backfill", 0)
    assert tasks.await_outcome("report", "report-backfill")["outcome"] == "Succeeded"


def test_the_same_id_twice_is_one_run_also_after_its_job_was_pruned(tasks: Tasks, operator: OperatorProcess) -> None:
    tasks.apply("once", history={"succeededJobs": 0})
    tasks.await_ready("once")
    command(tasks, "once", "run", "x")
    end_pod(tasks.cluster, tasks.namespace, "once-x", 0)
    tasks.await_outcome("once", "once-x")
    await_answer(tasks, "once")
    eventually(lambda: tasks.names("job"), lambda names: names == [], "the Job is pruned")

    operator.stop()
    command(tasks, "once", "run", "x")
    operator.start()
    await_answer(tasks, "once")

    status = tasks.status("once")
    assert (status["successCount"], status["active"], tasks.names("job")) == (1, [], [])


def test_a_command_given_while_the_operator_is_away_is_carried_out_when_it_returns(
    tasks: Tasks, operator: OperatorProcess
) -> None:
    tasks.apply("later", schedule=None, suspend=True)
    tasks.await_ready("later")
    operator.kill()
    command(tasks, "later", "run", "now")
    operator.start()

    status = tasks.await_status("later", lambda status: status["active"], "it runs although the task is suspended")
    assert status["active"][0]["run"] == "later-now"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ('{"parameters": {"days": -1}}', "days is -1: the least allowed value is 0"),
        ('{"parameters": {"region": "na"}}', 'region is "na": allowed are euw, kr'),
        ('{"parameters": {"dayz": 1}}', '"dayz" is no parameter of the task: there are days, region'),
        ("days=7", "days=7 is no JSON"),
    ],
    ids=["range", "enum", "unknown", "no JSON"],
)
def test_a_command_that_can_not_be_carried_out_is_told_and_starts_nothing(tasks: Tasks, value: str, told: str) -> None:
    tasks.apply("strict", parameters=PARAMETERS)
    tasks.await_ready("strict")

    command(tasks, "strict", "run", "x", value)
    await_answer(tasks, "strict")

    (message,) = refusals(tasks, "strict")
    assert told in message
    assert told in tasks.kubectl("describe", "stask", "strict")
    assert tasks.names("job") == []


def test_a_job_of_that_name_that_is_somebody_elses_is_left_alone(tasks: Tasks) -> None:
    tasks.apply("taken")
    tasks.await_ready("taken")
    tasks.kubectl("create", "job", "taken-x", "--image=none.invalid/none")

    command(tasks, "taken", "run", "x")
    await_answer(tasks, "taken")

    (message,) = refusals(tasks, "taken")
    assert "a Job named taken-x that is not this task's exists" in message


def test_a_run_that_has_not_begun_is_cancelled(tasks: Tasks) -> None:
    tasks.apply("waiting")
    tasks.await_ready("waiting")
    tasks.start_run("waiting", "run")
    eventually(lambda: len(pods_of(tasks.cluster, tasks.namespace, "run")), bool, "it has a pod")

    command(tasks, "waiting", "cancel", "run", "wrong region")

    entry = tasks.await_outcome("waiting", "run")
    assert (entry["outcome"], entry["reason"], entry["message"]) == ("Cancelled", "Cancelled", "wrong region")
    await_answer(tasks, "waiting")
    status = tasks.status("waiting")
    assert (status["cancelledCount"], status["failureCount"], status["active"]) == (1, 0, [])


def test_a_run_that_runs_is_ended_by_its_kubelet_and_keeps_its_pod(tasks: Tasks) -> None:
    tasks.apply("running", retry={"maxAttempts": 3, "backoff": ["10s"]})
    tasks.await_ready("running")
    tasks.start_run("running", "run")
    end_pod(tasks.cluster, tasks.namespace, "run", 1, "busy")
    begin_pod(tasks.cluster, tasks.namespace, "run")
    tasks.await_status("running", lambda status: status["active"][0]["attempt"] == 2, "attempt 2")

    command(tasks, "running", "cancel", "run", "enough")
    eventually(
        lambda: pods_of(tasks.cluster, tasks.namespace, "run")[-1]["spec"].get("activeDeadlineSeconds"),
        lambda seconds: seconds == 1,
        "the pod is told to end",
    )
    assert tasks.status("running")["active"], "it is active until its pod has ended"
    end_pod(tasks.cluster, tasks.namespace, "run", 143, "SIGTERM", reason="DeadlineExceeded")

    entry = tasks.await_outcome("running", "run")
    assert (entry["outcome"], entry["message"], entry["attempts"]) == ("Cancelled", "enough", 2)
    assert len(pods_of(tasks.cluster, tasks.namespace, "run")) == 2, "both pods stay, with their logs"


def test_a_run_that_waits_for_its_next_attempt_is_cancelled_at_once(tasks: Tasks) -> None:
    tasks.apply("patient", retry={"maxAttempts": 3, "backoff": ["1h"]})
    tasks.await_ready("patient")
    tasks.start_run("patient", "run")
    end_pod(tasks.cluster, tasks.namespace, "run", 1, "busy")
    tasks.await_status("patient", lambda status: status["active"][0]["nextAttemptTime"], "it waits")

    command(tasks, "patient", "cancel", "run")

    entry = tasks.await_outcome("patient", "run")
    assert (entry["outcome"], entry["message"], entry["attempts"]) == ("Cancelled", "Cancelled on request.", 1)
    assert len(pods_of(tasks.cluster, tasks.namespace, "run")) == 1


def test_what_does_not_exist_or_has_ended_is_not_cancelled(tasks: Tasks) -> None:
    tasks.apply("idle")
    tasks.await_ready("idle")
    tasks.start_run("idle", "done")
    end_pod(tasks.cluster, tasks.namespace, "done", 0)
    tasks.await_outcome("idle", "done")

    command(tasks, "idle", "cancel", "nothing")
    command(tasks, "idle", "cancel", "done")
    await_answer(tasks, "idle")

    assert sorted(refusals(tasks, "idle")) == [
        "cancel.scheduledtask.dev/done: run done has ended already: Succeeded",
        "cancel.scheduledtask.dev/nothing: there is no run nothing; active runs: none",
    ]


def test_a_failed_run_is_started_again_with_its_parameters(tasks: Tasks) -> None:
    tasks.apply("again", parameters=PARAMETERS)
    tasks.await_ready("again")
    command(tasks, "again", "run", "x", '{"parameters": {"days": 30}}')
    end_pod(tasks.cluster, tasks.namespace, "again-x", 1, "busy")
    tasks.await_outcome("again", "again-x")

    command(tasks, "again", "retry", "again-x")
    end_pod(tasks.cluster, tasks.namespace, "again-x-r1", 0)

    entry = tasks.await_outcome("again", "again-x-r1")
    await_answer(tasks, "again")
    assert (entry["trigger"], entry["outcome"]) == ("Retry", "Succeeded")
    seen = environment(tasks, "again-x-r1")
    assert (seen["PARAM_DAYS"], seen["TASK_TRIGGER"]) == ("30", "Retry")


def test_forbid_skips_a_second_run_and_counts_that(tasks: Tasks) -> None:
    tasks.apply("alone")
    tasks.await_ready("alone")
    command(tasks, "alone", "run", "first")
    tasks.await_status("alone", lambda status: status["active"], "the first is active")

    command(tasks, "alone", "run", "second")

    entry = tasks.await_outcome("alone", "alone-second")
    await_answer(tasks, "alone")
    assert (entry["outcome"], entry["reason"], entry["trigger"]) == ("Skipped", "Overlap", "Manual")
    assert "alone-first" in entry["message"]
    assert (tasks.status("alone")["skippedCount"], tasks.names("job")) == (1, ["job/alone-first"])


def test_replace_ends_the_active_run_first(tasks: Tasks) -> None:
    tasks.apply("latest", concurrency={"policy": "Replace"})
    tasks.await_ready("latest")
    command(tasks, "latest", "run", "first")
    tasks.await_status("latest", lambda status: status["active"], "the first is active")

    command(tasks, "latest", "run", "second")

    entry = tasks.await_outcome("latest", "latest-first")
    assert (entry["outcome"], entry["reason"]) == ("Cancelled", "Replaced")
    status = tasks.await_status(
        "latest", lambda status: status["active"] and status["active"][0]["run"] == "latest-second", "the second runs"
    )
    assert status["cancelledCount"] == 1


def test_queue_keeps_a_second_run_waiting(tasks: Tasks) -> None:
    tasks.apply("orderly", concurrency={"policy": "Queue"})
    tasks.await_ready("orderly")
    command(tasks, "orderly", "run", "first")
    tasks.await_status("orderly", lambda status: status["active"], "the first is active")
    command(tasks, "orderly", "run", "second")

    end_pod(tasks.cluster, tasks.namespace, "orderly-first", 0)
    end_pod(tasks.cluster, tasks.namespace, "orderly-second", 0)

    tasks.await_status("orderly", lambda status: status["successCount"] == 2, "both ran")
    first, second = (tasks.get("job", f"orderly-{run}") for run in ("first", "second"))
    assert second["status"]["startTime"] >= first["status"]["completionTime"]
    assert tasks.status("orderly")["skippedCount"] == 0


def test_allow_runs_both(tasks: Tasks) -> None:
    tasks.apply("many", concurrency={"policy": "Allow"})
    tasks.await_ready("many")

    tasks.kubectl("annotate", "stask", "many", "run.scheduledtask.dev/a=", "run.scheduledtask.dev/b={}")

    status = tasks.await_status("many", lambda status: status["activeRuns"] == 2, "both are active")
    assert {run["run"] for run in status["active"]} == {"many-a", "many-b"}
