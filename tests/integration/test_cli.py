"""The command line against a real control plane with the operator. Pods are ended by hand: see pod_hands."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from tests.cluster import Cluster
from tests.integration.command_line import CommandLine, kubeconfig_of
from tests.integration.operator_process import OperatorProcess, eventually
from tests.integration.pod_hands import end_pod
from tests.integration.tasks import Tasks, condition

TRACEBACK = 'Traceback (most recent call last):\n  File "job.py", line 7, in <module>\nValueError: no such champion'


class TestRun:
    def test_starts_a_run_that_kubernetes_and_the_operator_know_for_a_manual_one(
        self, tasks: Tasks, cli: CommandLine
    ) -> None:
        tasks.apply("report", concurrency={"policy": "Allow"})
        tasks.await_ready("report")
        tasks.start_run("report", "by-kubectl")

        started = cli("run", "report", "-o", "json")

        assert started.code == 0, started.errors
        name = started.json["run"]
        assert name.startswith("report-")
        assert len(f"{name}-0") <= 63, "the host name of its pod is one DNS label"
        ours, theirs = tasks.get("job", name), tasks.get("job", "by-kubectl")
        for job in (ours, theirs):
            for key in ("name", "uid", "creationTimestamp", "resourceVersion", "managedFields", "generation"):
                job["metadata"].pop(key, None)
            job["spec"]["selector"] = job["spec"]["template"]["metadata"] = None
        assert ours["metadata"] == theirs["metadata"]
        assert ours["spec"] == theirs["spec"]
        runs = tasks.await_status("report", lambda status: len(status["active"]) == 2, "both are active")["active"]
        assert {run["trigger"] for run in runs} == {"Manual"}

    def test_wait_tells_the_attempts_and_exits_with_the_programs_exit_code(
        self, tasks: Tasks, cli: CommandLine
    ) -> None:
        tasks.apply("flaky", retry={"maxAttempts": 2, "backoff": ["0s"]})
        tasks.await_ready("flaky")

        command = cli.start("run", "flaky", "--wait")
        end_pod(tasks.cluster, tasks.namespace, the_run(tasks, "flaky"), 3, "connection refused")
        end_pod(tasks.cluster, tasks.namespace, the_run(tasks, "flaky"), 42, TRACEBACK)
        answer = command.answer()

        assert answer.code == 42
        assert "Failed after 2 attempts (NonZeroExit, exit code 42): ValueError: no such champion" in answer.output
        assert "attempt 1 of 2" in answer.errors
        assert "attempt 2 of 2" in answer.errors

    def test_wait_exits_with_0_after_a_success_also_when_no_job_is_kept(self, tasks: Tasks, cli: CommandLine) -> None:
        tasks.apply("kept-nothing", history={"succeededJobs": 0})
        tasks.await_ready("kept-nothing")

        command = cli.start("run", "kept-nothing", "--wait", "-o", "json")
        run = the_run(tasks, "kept-nothing")
        end_pod(tasks.cluster, tasks.namespace, run, 0, "done")
        answer = command.answer()

        assert answer.code == 0, answer.errors
        assert answer.json["outcome"] == "Succeeded"
        assert answer.json["run"] == run
        assert answer.json["message"] == "done"

    def test_wait_lives_without_the_operator_and_through_a_restart_of_the_api_server(
        self, tasks: Tasks, cli: CommandLine, operator: OperatorProcess
    ) -> None:
        tasks.apply("unattended")
        tasks.await_ready("unattended")
        operator.stop()
        try:
            command = cli.start("run", "unattended", "--wait")
            command.await_words("attempt 1 of 1")
            tasks.cluster.restart("kube-apiserver")
            (job,) = tasks.names("job")
            end_pod(tasks.cluster, tasks.namespace, job.removeprefix("job/"), 77, "no key")
            answer = command.answer()
        finally:
            operator.start()

        assert answer.code == 77
        assert "Failed after 1 attempt (NonRetryableExitCode, exit code 77): no key" in answer.output

    def test_wait_tells_what_an_attempt_waits_for_and_a_deleted_job_is_a_failure(
        self, tasks: Tasks, cli: CommandLine
    ) -> None:
        tasks.apply("stuck")
        tasks.await_ready("stuck")

        command = cli.start("run", "stuck", "--wait")
        run = the_run(tasks, "stuck")
        (pod,) = eventually(lambda: tasks.names("pod"), bool, "the run has a pod")
        container = {"name": "main", "image": "x", "imageID": "", "ready": False, "restartCount": 0}
        state = {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}
        status = json.dumps({"status": {"containerStatuses": [container | {"state": state}]}})
        tasks.kubectl("patch", pod, "--subresource=status", "--type=merge", "-p", status)
        command.await_words("attempt 1 of 1 has not started: ErrImagePull: no such image")
        why = cli("why", "stuck", "-o", "json").json["active"][0]
        tasks.kubectl("delete", "job", run)
        answer = command.answer()

        assert why["waitingFor"] == "ErrImagePull: no such image"
        assert answer.code == 1
        assert "Cancelled" in answer.output
        assert "JobDeleted" in answer.output


def the_run(tasks: Tasks, name: str) -> str:
    """The name of the one run that is active."""
    active = tasks.await_status(name, lambda status: status["active"], "a run is active")["active"]
    assert len(active) == 1
    return str(active[0]["run"])


class TestWhy:
    def test_tells_what_failed_with_its_last_words_and_what_to_do(self, tasks: Tasks, cli: CommandLine) -> None:
        tasks.apply("broken", alerts={"consecutiveFailures": 1})
        tasks.await_ready("broken")
        tasks.start_run("broken", "bad")
        end_pod(tasks.cluster, tasks.namespace, "bad", 1, TRACEBACK)
        tasks.await_outcome("broken", "bad")

        text, facts = cli("why", "broken"), cli("why", "broken", "-o", "json").json

        assert text.code == 0, text.errors
        row = next(line for line in text.output.splitlines() if " bad " in line)
        for part in ("Manual", "Failed", "NonZeroExit", "exit code 1", "ValueError: no such champion"):
            assert part in row
        assert "Healthy is False (ConsecutiveFailures" in text.output
        assert "kubectl scheduledtask logs broken" in text.output
        entry = facts["history"][0]
        assert (entry["run"], entry["outcome"], entry["exitCode"], entry["attempts"]) == ("bad", "Failed", 1, 1)
        assert entry["lastWords"] == "ValueError: no such champion"
        assert facts["next"]["reason"] == "Scheduled"
        assert facts["upToDate"] is True

    def test_tells_a_spec_that_is_not_accepted_and_how_to_mend_it(self, tasks: Tasks, cli: CommandLine) -> None:
        tasks.apply("nowhere", timeZone="Europe/Nowhere")
        tasks.await_ready("nowhere", "False")

        text, facts = cli("why", "nowhere"), cli("why", "nowhere", "-o", "json").json

        assert "nothing new, until this is mended: spec.timeZone" in text.output
        assert facts["problems"][0]["condition"] == "Ready"
        assert facts["next"]["time"] is None
        assert facts["state"] == "Invalid"

    def test_tells_runs_that_the_operator_has_not_seen_for_it_is_away(
        self, tasks: Tasks, cli: CommandLine, operator: OperatorProcess
    ) -> None:
        tasks.apply("away")
        tasks.await_ready("away")
        operator.stop()
        try:
            tasks.start_run("away", "unseen")
            tasks.patch("away", timeZone="Asia/Tokyo")

            text, facts = cli("why", "away"), cli("why", "away", "-o", "json").json
        finally:
            operator.start()

        assert "Run unseen (Manual, active) is not in the status yet: is the operator running?" in text.output
        assert facts["upToDate"] is False
        assert facts["next"]["reason"] == "Unknown"


class TestPause:
    def test_a_pause_is_kept_with_its_reason_and_resume_takes_all_of_it_away(
        self, tasks: Tasks, cli: CommandLine
    ) -> None:
        tasks.apply("nightly")
        tasks.await_ready("nightly")

        assert cli("pause", "nightly", "--until", "2h", "--reason", "the API is being moved").code == 0
        status = tasks.await_status("nightly", lambda status: status["state"] == "Paused", "it is paused")
        paused = tasks.get("stask", "nightly")["spec"]
        assert paused["pauseReason"] == "the API is being moved"
        end = datetime.fromisoformat(paused["pauseUntil"])
        assert abs(end - datetime.now(UTC) - timedelta(hours=2)) < timedelta(minutes=1)
        assert "Paused" in condition(status, "Ready")["reason"]
        text = cli("why", "nightly").output
        assert f"nothing until {paused['pauseUntil']}, because the task is paused: the API is being moved" in text

        assert cli("resume", "nightly").code == 0
        tasks.await_status("nightly", lambda status: status["state"] == "Idle", "it is resumed")
        spec = tasks.get("stask", "nightly")["spec"]
        assert "pauseUntil" not in spec
        assert "pauseReason" not in spec

    def test_without_a_time_the_task_is_suspended_until_it_is_resumed(self, tasks: Tasks, cli: CommandLine) -> None:
        tasks.apply("nightly")
        tasks.await_ready("nightly")

        assert cli("pause", "nightly", "-o", "json").json["suspend"] is True
        tasks.await_status("nightly", lambda status: status["state"] == "Suspended", "it is suspended")
        assert cli("why", "nightly", "-o", "json").json["next"]["reason"] == "Suspended"

        assert cli("resume", "nightly", "-o", "json").json["suspend"] is False
        tasks.await_status("nightly", lambda status: status["state"] == "Idle", "it is resumed")

    def test_a_pause_that_is_over_changes_nothing(self, tasks: Tasks, cli: CommandLine) -> None:
        tasks.apply("nightly")
        before = tasks.get("stask", "nightly")["spec"]

        answer = cli("pause", "nightly", "--until", "2020-01-01T00:00:00Z")

        assert answer.code == 1
        assert "--until 2020-01-01T00:00:00Z is over" in answer.errors
        assert tasks.get("stask", "nightly")["spec"] == before


class TestLogs:
    """A control plane has no kubelet to ask for logs: these are about which attempts are asked for."""

    def test_an_attempt_that_has_not_started_is_named_with_what_it_waits_for(
        self, tasks: Tasks, cli: CommandLine
    ) -> None:
        tasks.apply("waiting")
        tasks.await_ready("waiting")
        tasks.start_run("waiting", "first")
        eventually(lambda: tasks.names("pod"), bool, "the Job controller has made the pod")

        answer = cli("logs", "waiting")

        assert answer.code == 0, answer.errors
        assert "==> run first, attempt 1 of 1, pod first-0-" in answer.output
        assert "(has not started: Pending)" in answer.output

    def test_what_is_not_there_is_answered_with_what_is(self, tasks: Tasks, cli: CommandLine) -> None:
        tasks.apply("quiet")
        tasks.await_ready("quiet")
        nothing = cli("logs", "quiet")
        tasks.start_run("quiet", "first")
        eventually(lambda: tasks.names("pod"), bool, "the Job controller has made the pod")

        other_run, other_attempt = cli("logs", "quiet", "--run", "second"), cli("logs", "quiet", "--attempt", "3")

        assert (nothing.code, other_run.code, other_attempt.code) == (1, 1, 1)
        assert "nothing has run yet" in nothing.errors
        assert "There are: first." in other_run.errors
        assert "no pod of attempt 3. There are: 1." in other_attempt.errors


class TestMistakes:
    def test_a_wrong_name_is_answered_with_the_close_ones(self, tasks: Tasks, cli: CommandLine) -> None:
        tasks.apply("refresh-patch-meta")

        asked = {command: cli.start(command, "refresh-pach-meta") for command in ("why", "run", "logs", "resume")}

        for command, running in asked.items():
            answer = running.answer()
            assert answer.code == 1
            assert "Did you mean refresh-patch-meta?" in answer.errors, command
            assert "Traceback" not in answer.errors

    def test_an_empty_namespace_is_named(self, cli: CommandLine, control_plane: Cluster) -> None:
        answer = cli("why", "report", "-n", "kube-public")

        assert answer.code == 1
        assert 'no ScheduledTask "report" in namespace "kube-public", nor any other' in answer.errors

    def test_missing_rights_are_told_with_whom_to_ask_for_which(
        self, control_plane: Cluster, namespace: str, tmp_path: Path
    ) -> None:
        token = control_plane.kubectl("create", "token", "default", "-n", namespace).strip()
        nobody = CommandLine(kubeconfig_of(control_plane, namespace, tmp_path, token=token))

        answer = nobody("why", "report")

        assert answer.code == 1
        assert "you may not do that" in answer.errors
        assert f"system:serviceaccount:{namespace}:default" in answer.errors

    def test_a_stranger_is_told_to_log_in(self, control_plane: Cluster, namespace: str, tmp_path: Path) -> None:
        stranger = CommandLine(kubeconfig_of(control_plane, namespace, tmp_path, token="of-nobody"))

        answer = stranger("why", "report")

        assert answer.code == 1
        assert "log in again" in answer.errors.lower()

    @pytest.mark.parametrize(
        ("server", "told"),
        [
            ("https://127.0.0.1:1", "no answer from https://127.0.0.1:1"),
            # Below any other path the API server knows as little of ScheduledTasks as without their definition.
            ("{server}/elsewhere", "scheduledtasks.scheduledtask.dev is missing. Install the operator"),
        ],
    )
    def test_a_cluster_without_an_answer_or_without_scheduled_tasks_is_told(
        self, control_plane: Cluster, tmp_path: Path, server: str, told: str
    ) -> None:
        path = kubeconfig_of(control_plane, "default", tmp_path)
        config = yaml.safe_load(path.read_text())
        cluster = config["clusters"][0]["cluster"]
        cluster["server"] = server.format(server=cluster["server"])
        path.write_text(yaml.safe_dump(config))

        answer = CommandLine(path)("why", "report")

        assert answer.code == 1
        assert told in answer.errors
        assert "Traceback" not in answer.errors

    @pytest.mark.parametrize("option", [("--kubeconfig", "/nowhere/config"), ("--context", "none")])
    def test_a_kubeconfig_or_context_that_is_not_there_is_told(self, cli: CommandLine, option: tuple[str, str]) -> None:
        answer = cli("why", "report", *option)

        assert answer.code == 1
        assert "no way to a cluster" in answer.errors
        assert "Traceback" not in answer.errors
