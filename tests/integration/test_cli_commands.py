"""Runs started, repeated and ended by the command line through the operator, on a real control plane."""

from pathlib import Path

import pytest

from tests.integration.command_line import CommandLine, kubeconfig_of
from tests.integration.operator_process import OperatorProcess, eventually
from tests.integration.pod_hands import begin_pod, end_pod
from tests.integration.tasks import Tasks

PARAMETERS = [{"name": "days", "type": "integer", "minimum": 0}, {"name": "region", "enum": ["euw", "kr"]}]


def commands(tasks: Tasks, name: str) -> list[str]:
    """The commands that the task carries."""
    annotations = tasks.get("stask", name)["metadata"].get("annotations", {})
    return [key for key in annotations if ".scheduledtask.dev/" in key]


def a_failed_run(tasks: Tasks, cli: CommandLine, name: str, *parameters: str) -> str:
    """The name of a run of the task, which has failed."""
    run = str(cli("run", name, "-o", "json", *parameters).json["run"])
    end_pod(tasks.cluster, tasks.namespace, run, 1, "no")
    tasks.await_outcome(name, run)
    return run


class TestRun:
    def test_parameters_reach_the_program_and_wait_exits_as_it_does(self, tasks: Tasks, cli: CommandLine) -> None:
        tasks.apply("report", parameters=PARAMETERS)
        tasks.await_ready("report")

        command = cli.start("run", "report", "-p", "days=7", "-p", "region=kr", "--wait", "-o", "json")
        active = tasks.await_status("report", lambda status: status["active"], "a run is active")["active"]
        run = active[0]["run"]
        container = tasks.get("job", run)["spec"]["template"]["spec"]["containers"][0]
        command.await_words("attempt 1 of 1")
        end_pod(tasks.cluster, tasks.namespace, run, 3, "no champions")
        answer = command.answer()

        seen = {variable["name"]: variable.get("value") for variable in container["env"]}
        assert (seen["PARAM_DAYS"], seen["PARAM_REGION"], seen["TASK_TRIGGER"]) == ("7", "kr", "Manual")
        assert answer.code == 3
        assert answer.json == {
            "namespace": tasks.namespace,
            "name": "report",
            "run": run,
            "outcome": "Failed",
            "reason": "NonZeroExit",
            "attempts": 1,
            "exitCode": 3,
            "message": "no champions",
        }

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (("-p", "days=-1"), 'days is "-1": the least allowed value is 0'),
            (("-p", "region=na"), 'region is "na": allowed are euw, kr'),
            (("-p", "dayz=1"), '"dayz" is no parameter of the task: there are days, region'),
            (("-p", "days"), '-p "days": write it as name=value'),
        ],
        ids=["range", "enum", "unknown", "no value"],
    )
    def test_a_bad_value_is_refused_with_its_name_and_why_and_nothing_is_sent(
        self, tasks: Tasks, cli: CommandLine, operator: OperatorProcess, arguments: tuple[str, ...], told: str
    ) -> None:
        tasks.apply("strict", parameters=PARAMETERS)
        tasks.await_ready("strict")
        version = tasks.get("stask", "strict")["metadata"]["resourceVersion"]

        answer = cli("run", "strict", *arguments)

        assert answer.code == 1
        assert told in answer.errors
        assert tasks.get("stask", "strict")["metadata"]["resourceVersion"] == version

    def test_a_required_parameter_is_asked_for_also_where_none_is_given(self, tasks: Tasks, cli: CommandLine) -> None:
        tasks.apply("strict", schedule=None, parameters=[{"name": "days", "required": True}])
        tasks.await_ready("strict")

        answer = cli("run", "strict")

        assert (answer.code, tasks.names("job")) == (1, [])
        assert "days is required: give it a value" in answer.errors

    def test_what_the_operator_refuses_later_is_told_in_its_words(self, tasks: Tasks, cli: CommandLine) -> None:
        tasks.apply("full", parameters=PARAMETERS)
        tasks.await_ready("full")
        tasks.kubectl("create", "quota", "no-jobs", "--hard=count/jobs.batch=0")

        answer = cli("run", "full", "-p", "days=1", "--wait")

        assert answer.code == 1
        assert "the API server refuses the Job" in answer.errors
        assert "exceeded quota: no-jobs" in answer.errors
        assert commands(tasks, "full") == []

    def test_while_another_run_is_active_the_policy_decides(self, tasks: Tasks, cli: CommandLine) -> None:
        tasks.apply("busy")
        tasks.await_ready("busy")
        tasks.start_run("busy", "first")
        tasks.await_status("busy", lambda status: status["active"], "the first is active")

        answer = cli("run", "busy")

        assert answer.code == 1
        assert "Skipped (Overlap): Run first was active, and concurrency.policy is Forbid." in answer.output
        assert tasks.names("job") == ["job/first"]

    def test_without_the_operator_the_command_stays_and_that_is_told(
        self, tasks: Tasks, cli: CommandLine, operator: OperatorProcess
    ) -> None:
        tasks.apply("later", parameters=PARAMETERS)
        tasks.await_ready("later")
        operator.stop()
        try:
            waiting = cli.start("run", "later", "-p", "days=1", "--wait")
            waiting.await_words("waiting for the operator; is the operator running?")
            plain = cli("run", "later", "-p", "days=2")
            given = commands(tasks, "later")
            tasks.kubectl("annotate", "stask", "later", *(f"{key}-" for key in given if key in plain.errors))
        finally:
            operator.start()
        active = tasks.await_status("later", lambda status: status["active"], "the run is active")["active"]
        end_pod(tasks.cluster, tasks.namespace, active[0]["run"], 0)
        answer = waiting.answer()

        assert plain.code == 1
        assert "stays on the task and is carried out later. To withdraw it: kubectl annotate" in plain.errors
        assert len(given) == 2
        assert answer.code == 0, answer.errors
        assert f"run {active[0]['run']}: Succeeded" in answer.output


class TestRetry:
    def test_the_latest_failed_run_is_repeated_with_its_parameters(self, tasks: Tasks, cli: CommandLine) -> None:
        tasks.apply("report", parameters=PARAMETERS)
        tasks.await_ready("report")
        run = a_failed_run(tasks, cli, "report", "-p", "days=7")

        command = cli.start("retry", "report", "--wait")
        command.await_words(f"run {run}-r1 repeats {run}")
        end_pod(tasks.cluster, tasks.namespace, f"{run}-r1", 0, "done")
        answer = command.answer()
        container = tasks.get("job", f"{run}-r1")["spec"]["template"]["spec"]["containers"][0]

        assert answer.code == 0, answer.errors
        assert f"run {run}-r1: Succeeded after 1 attempt (Completed, exit code 0): done" in answer.output
        assert {"name": "PARAM_DAYS", "value": "7"} in container["env"]

    def test_what_can_not_be_repeated_is_told_and_nothing_is_sent(self, tasks: Tasks, cli: CommandLine) -> None:
        tasks.apply("report")
        tasks.await_ready("report")
        nothing = cli("retry", "report")
        run = a_failed_run(tasks, cli, "report")
        first = cli("retry", "report", run, "-o", "json")
        end_pod(tasks.cluster, tasks.namespace, f"{run}-r1", 0)
        tasks.await_outcome("report", f"{run}-r1")

        twice, done, latest = cli("retry", "report", run), cli("retry", "report", f"{run}-r1"), cli("retry", "report")

        assert first.json["run"] == f"{run}-r1"
        assert "has no failed run in its history" in nothing.errors
        assert f"that has been done already, with run {run}-r1" in twice.errors
        assert f"run {run}-r1 is Succeeded: only failed and cancelled runs are retried" in done.errors
        assert "has no failed run in its history that was not repeated yet" in latest.errors
        assert [answer.code for answer in (nothing, first, twice, done, latest)] == [1, 0, 1, 1, 1]
        assert commands(tasks, "report") == []


class TestCancel:
    def test_a_run_is_ended_and_the_history_has_the_reason(self, tasks: Tasks, cli: CommandLine) -> None:
        tasks.apply("report")
        tasks.await_ready("report")
        command = cli.start("run", "report", "--wait")
        active = tasks.await_status("report", lambda status: status["active"], "a run is active")["active"]
        run = active[0]["run"]
        begin_pod(tasks.cluster, tasks.namespace, run)

        cancelled = cli("cancel", "report", run, "--reason", "wrong region", "-o", "json")
        end_pod(tasks.cluster, tasks.namespace, run, 143)
        waited = command.answer()
        why = cli("why", "report").output

        assert cancelled.code == 0, cancelled.errors
        assert cancelled.json["run"] == run
        assert cancelled.json["message"] == "wrong region"
        assert waited.code == 143
        row = next(line for line in why.splitlines() if f" {run} " in line)
        for part in ("Manual", "Cancelled", "wrong region"):
            assert part in row

    def test_what_is_not_active_is_told_with_what_is(self, tasks: Tasks, cli: CommandLine) -> None:
        tasks.apply("report")
        tasks.await_ready("report")
        run = a_failed_run(tasks, cli, "report")
        tasks.start_run("report", "second")
        eventually(lambda: tasks.names("job"), lambda names: len(names) == 2, "both Jobs are there")

        ended, unknown = cli("cancel", "report", run), cli("cancel", "report", "third")

        assert (ended.code, unknown.code) == (1, 1)
        assert f"run {run} has ended already: Failed" in ended.errors
        assert "there is no run third; active runs: second" in unknown.errors


def test_whoever_may_edit_the_namespace_may_do_it_all_and_hears_of_refusals(tasks: Tasks, tmp_path: Path) -> None:
    tasks.apply("report", parameters=PARAMETERS)
    tasks.await_ready("report")
    tasks.kubectl(
        "create", "rolebinding", "editor", "--clusterrole=edit", f"--serviceaccount={tasks.namespace}:default"
    )
    token = tasks.kubectl("create", "token", "default").strip()
    editor = CommandLine(kubeconfig_of(tasks.cluster, tasks.namespace, tmp_path, token=token))

    run = a_failed_run(tasks, editor, "report", "-p", "days=1")
    again = editor("retry", "report", "-o", "json")
    ended = editor("cancel", "report", f"{run}-r1")
    tasks.await_outcome("report", f"{run}-r1")
    tasks.kubectl("create", "quota", "no-jobs", "--hard=count/jobs.batch=0")
    refused = editor("run", "report", "-p", "days=1")

    assert (again.code, ended.code, refused.code) == (0, 0, 1), (again.errors, ended.errors)
    assert "exceeded quota" in refused.errors
