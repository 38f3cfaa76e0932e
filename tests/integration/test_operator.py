"""The operator on a real control plane, as the chart's service account. Pods are ended by hand: see pod_hands."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.integration.operator_process import OperatorProcess, eventually
from tests.integration.pod_hands import end_pod
from tests.integration.tasks import Tasks, condition

TRACEBACK = 'Traceback (most recent call last):\n  File "job.py", line 7, in <module>\nValueError: no such champion'


def test_a_task_becomes_a_cronjob_with_its_schedule_resolved(tasks: Tasks) -> None:
    tasks.apply("hourly", schedule="H * * * *", timeZone="Asia/Kathmandu", startingDeadline="5m")

    tasks.await_ready("hourly")

    cron_job, status = tasks.get("cronjob", "hourly"), tasks.status("hourly")
    minute = cron_job["spec"]["schedule"].split()[0]
    assert 0 <= int(minute) <= 59
    assert cron_job["spec"]["timeZone"] == "Asia/Kathmandu"
    assert cron_job["spec"]["startingDeadlineSeconds"] == 300
    assert status["resolvedSchedule"] == cron_job["spec"]["schedule"]
    next_run = datetime.fromisoformat(status["nextRunTime"])
    assert timedelta(0) < next_run - datetime.now(UTC) <= timedelta(hours=1)
    assert (next_run.minute + 45) % 60 == int(minute), "Kathmandu is 5:45 ahead"


def test_a_manual_run_that_succeeds_is_counted_once_with_its_result(tasks: Tasks) -> None:
    tasks.apply("manual")
    tasks.await_ready("manual")

    tasks.start_run("manual", "first")
    active = tasks.await_status("manual", lambda status: status["active"], "the run is active")["active"]
    end_pod(tasks.cluster, tasks.namespace, "first", 0, json.dumps({"result": {"pairs": 7}, "message": "done"}))
    status = tasks.await_status("manual", lambda status: status["successCount"], "the run is counted")

    assert [(run["run"], run["trigger"], run["attempt"]) for run in active] == [("first", "Manual", 1)]
    assert status["successCount"] == 1
    assert status["lastOutcome"] == "Succeeded"
    assert status["lastResult"] == {"pairs": 7}
    assert status["history"][0]["message"] == "done"
    assert status["active"] == []
    assert condition(status, "Healthy")["status"] == "True"


def test_a_failure_is_told_with_its_exit_code_and_last_words_and_one_event(tasks: Tasks) -> None:
    tasks.apply("broken", alerts={"consecutiveFailures": 1})
    tasks.await_ready("broken")

    tasks.start_run("broken", "bad")
    end_pod(tasks.cluster, tasks.namespace, "bad", 1, TRACEBACK)
    status = tasks.await_status("broken", lambda status: status["failureCount"], "the failure is counted")

    error = status["lastError"]
    assert (error["run"], error["reason"], error["exitCode"]) == ("bad", "NonZeroExit", 1)
    assert error["message"] == TRACEBACK
    assert condition(status, "Healthy")["status"] == "False"
    events = [event for event in tasks.events("broken") if event["reason"] == "RunFailed"]
    assert len(events) == 1
    assert "exit code 1" in events[0]["message"]
    assert "ValueError: no such champion" in events[0]["message"]


def test_attempts_are_counted_as_retries_when_the_run_has_ended(tasks: Tasks) -> None:
    tasks.apply("flaky", retry={"maxAttempts": 3})
    tasks.await_ready("flaky")

    tasks.start_run("flaky", "second-time-lucky")
    end_pod(tasks.cluster, tasks.namespace, "second-time-lucky", 1, "connection refused")
    tasks.await_status("flaky", lambda status: status["active"][0]["attempt"] == 2, "the second attempt is due")
    assert tasks.status("flaky")["state"] == "Retrying"
    end_pod(tasks.cluster, tasks.namespace, "second-time-lucky", 0)
    status = tasks.await_status("flaky", lambda status: status["successCount"], "the run is counted")

    assert (status["successCount"], status["failureCount"], status["retryCount"]) == (1, 0, 1)
    assert status["history"][0]["attempts"] == 2


def test_a_non_retryable_exit_code_ends_the_run_at_once(tasks: Tasks) -> None:
    tasks.apply("forbidden", retry={"maxAttempts": 5})
    tasks.await_ready("forbidden")

    tasks.start_run("forbidden", "no-key")
    end_pod(tasks.cluster, tasks.namespace, "no-key", 77, "the key is refused")
    status = tasks.await_status("forbidden", lambda status: status["failureCount"], "the failure is counted")

    assert status["history"][0]["attempts"] == 1
    assert status["lastError"]["reason"] == "NonRetryableExitCode"
    assert status["lastError"]["exitCode"] == 77


def test_runs_that_ended_while_the_operator_was_away_are_counted_once(tasks: Tasks, operator: OperatorProcess) -> None:
    tasks.apply("away", retry={"maxAttempts": 1})
    tasks.await_ready("away")
    operator.kill()
    for run in ("one", "two", "three"):
        tasks.start_run("away", run)
    for run, exit_code in (("one", 0), ("two", 1), ("three", 0)):
        end_pod(tasks.cluster, tasks.namespace, run, exit_code, f"said {run}")
        condition_of = "Failed" if exit_code else "Complete"
        tasks.kubectl("wait", "--for", f"condition={condition_of}", f"job/{run}", "--timeout=60s")

    operator.start()
    status = tasks.await_status("away", lambda status: len(status["history"]) == 3, "all three are counted")
    assert (status["successCount"], status["failureCount"]) == (2, 1)
    assert status["lastError"]["message"] == "said two"

    version = tasks.get("stask", "away")["metadata"]["resourceVersion"]
    operator.stop()
    operator.start()
    tasks.apply("probe")
    tasks.await_ready("probe")
    assert tasks.get("stask", "away")["metadata"]["resourceVersion"] == version, "nothing is counted or written again"


def test_a_run_whose_job_is_deleted_is_cancelled(tasks: Tasks) -> None:
    tasks.apply("deleted")
    tasks.await_ready("deleted")
    tasks.start_run("deleted", "gone")
    tasks.await_status("deleted", lambda status: status["active"], "the run is active")

    tasks.kubectl("delete", "job", "gone", "--wait=false")

    status = tasks.await_status("deleted", lambda status: status["cancelledCount"], "the run is accounted for")
    assert (status["history"][0]["outcome"], status["history"][0]["reason"]) == ("Cancelled", "JobDeleted")
    assert status["active"] == []


def test_ended_jobs_are_kept_up_to_the_limits_and_counted_all(tasks: Tasks) -> None:
    tasks.apply("many", history={"runs": 2, "succeededJobs": 1, "failedJobs": 1})
    tasks.await_ready("many")

    for number, exit_code in enumerate((0, 1, 0, 1, 0)):
        tasks.start_run("many", f"run-{number}")
        end_pod(tasks.cluster, tasks.namespace, f"run-{number}", exit_code)
        tasks.await_outcome("many", f"run-{number}")

    status = tasks.status("many")
    assert (status["successCount"], status["failureCount"]) == (3, 2)
    assert [entry["run"] for entry in status["history"]] == ["run-4", "run-3"]
    eventually(lambda: sorted(tasks.names("job")), lambda jobs: jobs == ["job/run-3", "job/run-4"], "pruned")


def test_a_cronjob_edited_by_hand_is_repaired(tasks: Tasks) -> None:
    tasks.apply("edited")
    tasks.await_ready("edited")

    tasks.kubectl("patch", "cronjob", "edited", "--type=merge", "-p", '{"spec": {"schedule": "1 1 1 1 1"}}')
    eventually(lambda: tasks.get("cronjob", "edited")["spec"]["schedule"], lambda text: text == "0 0 1 1 *", "repaired")

    tasks.kubectl("label", "cronjob", "edited", "scheduledtask.dev/task-", "example.com/mine=yes")
    labels = eventually(
        lambda: tasks.get("cronjob", "edited")["metadata"]["labels"],
        lambda labels: "scheduledtask.dev/task" in labels,
        "the label is back",
    )
    assert labels["example.com/mine"] == "yes", "what others add stays"


def test_a_cronjob_deleted_by_hand_is_made_again(tasks: Tasks) -> None:
    tasks.apply("removed")
    tasks.await_ready("removed")
    uid = tasks.get("cronjob", "removed")["metadata"]["uid"]

    tasks.kubectl("delete", "cronjob", "removed")

    eventually(lambda: tasks.names("cronjob"), lambda names: names == ["cronjob/removed"], "it is back")
    assert tasks.get("cronjob", "removed")["metadata"]["uid"] != uid


def test_a_cronjob_of_somebody_else_is_left_alone(tasks: Tasks) -> None:
    tasks.kubectl("create", "cronjob", "mine", "--image=none.invalid/none", "--schedule=5 5 5 5 *")

    tasks.apply("mine")
    ready = tasks.await_ready("mine", "False")

    assert ready["reason"] == "NameTaken"
    assert tasks.get("cronjob", "mine")["spec"]["schedule"] == "5 5 5 5 *"
    tasks.kubectl("delete", "cronjob", "mine")
    tasks.await_ready("mine")


def test_suspension_ends_without_catching_up(tasks: Tasks) -> None:
    tasks.apply("sleeping", schedule="* * * * *", suspend=True)
    tasks.await_ready("sleeping")
    assert tasks.status("sleeping")["state"] == "Suspended"
    assert "nextRunTime" not in tasks.status("sleeping")
    assert tasks.get("cronjob", "sleeping")["spec"]["suspend"] is True

    before = datetime.now(UTC).replace(microsecond=0)
    tasks.patch("sleeping", suspend=False)
    tasks.await_ready("sleeping")

    cron_job = tasks.get("cronjob", "sleeping")
    assert cron_job["spec"]["suspend"] is False
    assert datetime.fromisoformat(cron_job["status"]["lastScheduleTime"]) >= before


def test_a_pause_ends_by_itself(tasks: Tasks) -> None:
    until = datetime.now(UTC) + timedelta(seconds=6)
    tasks.apply("paused", pauseUntil=until.strftime("%Y-%m-%dT%H:%M:%SZ"))
    tasks.await_status("paused", lambda status: status["state"] == "Paused", "it is paused")
    assert tasks.get("cronjob", "paused")["spec"]["suspend"] is True

    tasks.await_status("paused", lambda status: status["state"] == "Idle", "the pause is over")

    assert datetime.now(UTC) >= until.replace(microsecond=0)
    assert tasks.get("cronjob", "paused")["spec"]["suspend"] is False


def test_a_task_without_schedule_runs_on_demand_only(tasks: Tasks) -> None:
    tasks.apply("demand", schedule=None)
    tasks.await_ready("demand")

    tasks.start_run("demand", "asked-for")
    end_pod(tasks.cluster, tasks.namespace, "asked-for", 0)
    status = tasks.await_status("demand", lambda status: status["successCount"], "the run is counted")

    assert "nextRunTime" not in status
    assert status["state"] == "Idle"


def test_deleting_a_task_removes_its_children(tasks: Tasks) -> None:
    tasks.apply("brief")
    tasks.await_ready("brief")
    tasks.start_run("brief", "last")

    tasks.kubectl("delete", "stask", "brief", "--timeout=10s")

    eventually(lambda: tasks.names("cronjob", "job", "pod"), lambda names: names == [], "all children are gone", 60)


@pytest.mark.parametrize(
    ("spec", "fragments"),
    [
        ({"timeZone": "Mars/Olympus"}, ["spec.timeZone", "Mars/Olympus"]),
        (
            {"template": {"spec": {"containers": [{"name": "main", "image": "x", "imagePullPolice": "Always"}]}}},
            ["spec.template", "imagePullPolice"],
        ),
        ({"template": {"spec": {"containers": [{"name": "Main", "image": "x"}]}}}, ["spec.template", "Main"]),
        (
            {
                "template": {
                    "spec": {
                        "containers": [
                            {"name": "a", "image": "x", "volumeMounts": [{"name": "absent", "mountPath": "/data"}]}
                        ]
                    }
                }
            },
            ["spec.template", "absent"],
        ),
    ],
    ids=["no such zone", "unknown field", "container name", "volume"],
)
def test_what_the_schema_cannot_catch_becomes_ready_false(
    tasks: Tasks, spec: dict[str, object], fragments: list[str]
) -> None:
    tasks.apply("fine")
    tasks.await_ready("fine")
    before = tasks.get("stask", "fine")["metadata"]["resourceVersion"]

    tasks.apply("wrong", **spec)
    ready = tasks.await_ready("wrong", "False")

    assert [part for part in fragments if part not in ready["message"]] == []
    assert tasks.status("wrong")["state"] == "Invalid"
    assert len([event for event in tasks.events("wrong") if event["reason"] == ready["reason"]]) == 1
    assert tasks.get("stask", "fine")["metadata"]["resourceVersion"] == before
    tasks.apply("wrong")
    tasks.await_ready("wrong")


def test_a_wrong_edit_leaves_the_accepted_version_running_and_says_so(tasks: Tasks) -> None:
    tasks.apply("edit")
    tasks.await_ready("edit")

    tasks.patch("edit", timeZone="Nowhere/Land")
    ready = tasks.await_ready("edit", "False")

    assert "goes on running" in ready["message"]
    assert tasks.get("cronjob", "edit")["spec"]["timeZone"] == "Etc/UTC"


def test_a_slot_makes_a_run_and_the_next_one_is_told(tasks: Tasks) -> None:
    tasks.apply("minutely", schedule="* * * * *")
    tasks.await_ready("minutely")

    status = tasks.await_status("minutely", lambda status: status["active"], "a slot became a run", 75)

    run = status["active"][0]
    slot = datetime.fromisoformat(run["slot"])
    assert run["run"] == f"minutely-{int(slot.timestamp()) // 60}"
    assert run["trigger"] == "Schedule"
    assert status["lastScheduleTime"] == run["slot"]
    assert datetime.fromisoformat(status["nextRunTime"]) == slot + timedelta(minutes=1)
    tasks.patch("minutely", suspend=True)


def test_the_operator_lives_through_a_restart_of_the_api_server(tasks: Tasks, operator: OperatorProcess) -> None:
    tasks.apply("before")
    tasks.await_ready("before")

    tasks.cluster.restart("kube-apiserver")
    tasks.apply("after")
    tasks.await_ready("after")
    tasks.start_run("after", "run")
    end_pod(tasks.cluster, tasks.namespace, "run", 0)

    tasks.await_status("after", lambda status: status["successCount"], "the run is counted", 60)
    assert operator.get("/healthz").status_code == 200


def test_probes_and_metrics_tell_how_it_goes(tasks: Tasks, operator: OperatorProcess, tmp_path: Path) -> None:
    tasks.apply("measured")
    tasks.await_ready("measured")

    health = operator.get("/healthz").text
    metrics = operator.get("/metrics").text

    assert [watch for watch in ("scheduledtasks", "cronjobs", "jobs", "pods") if watch not in health] == []
    assert 'scheduledtask_api_requests_total{code="201",verb="PATCH"}' in metrics
    assert "scheduledtask_reconcile_seconds_count" in metrics
    task = f'name="measured",namespace="{tasks.namespace}"'
    assert f'scheduledtask_runs_ended_total{{{task},outcome="Failed"}} 0.0' in metrics
    assert f"scheduledtask_success_awaited_timestamp_seconds{{{task}}}" in metrics
