"""What Helm has installed: a pod that `restricted` admits, with the least rights, that tells how it goes."""

import json

import pytest

from tests import install
from tests.cluster import ClusterError
from tests.e2e.installed import InstalledOperator
from tests.e2e.programs import ProgramTasks
from tests.integration.tasks import Body

NEEDED = (
    "list scheduledtask.dev/scheduledtasks",
    "watch scheduledtask.dev/scheduledtasks",
    "update scheduledtask.dev/scheduledtasks/status",
    "create batch/cronjobs",
    "patch batch/cronjobs",
    "watch batch/jobs",
    "patch batch/jobs",
    "delete batch/jobs",
    "watch /pods",
    "create events.k8s.io/events",
)
FORBIDDEN = (
    "create scheduledtask.dev/scheduledtasks",
    "update scheduledtask.dev/scheduledtasks",
    "delete scheduledtask.dev/scheduledtasks",
    "delete batch/cronjobs",
    "create coordination.k8s.io/leases",
    "get /secrets",
    "list /secrets",
    "list /configmaps",
    "create /pods",
    "delete /pods",
    "create /pods/exec",
    "get /pods/log",
    "create apps/deployments",
    "list /nodes",
    "list /namespaces",
    "create /serviceaccounts/token",
    "impersonate /users",
    "create rbac.authorization.k8s.io/clusterrolebindings",
    "* */*",
)


def test_the_operator_s_namespace_admits_no_pod_that_is_not_restricted(operator: InstalledOperator) -> None:
    with pytest.raises(ClusterError, match='violates PodSecurity "restricted'):
        operator.kubectl("run", "careless", f"--image={operator.image}", "--dry-run=server")


def test_the_operator_runs_as_nobody_on_a_read_only_file_system(operator: InstalledOperator) -> None:
    attempt = """
import errno, os, pathlib
assert os.getuid() == os.getgid() == 65532, os.getuid()
for folder in ("/", "/app", "/tmp", "/var/tmp"):
    try:
        pathlib.Path(folder, "probe").touch()
    except OSError as error:
        assert error.errno == errno.EROFS, error
    else:
        raise SystemExit(f"{folder} can be written")
capabilities = [line for line in open("/proc/self/status") if line.startswith("CapEff")]
assert int(capabilities[0].split()[1], 16) == 0, capabilities
"""
    operator.kubectl("exec", f"deployment/{operator.release}", "--", "python3", "-c", attempt)


def test_the_operator_may_do_what_it_needs_and_none_of_what_would_harm(
    operator: InstalledOperator, tasks: ProgramTasks
) -> None:
    rights = NEEDED + FORBIDDEN
    reviews = [access_review(operator.user, tasks.namespace, right) for right in rights]
    body = json.dumps({"apiVersion": "v1", "kind": "List", "items": reviews})
    answers = operator.cluster.kubectl("create", "-f", "-", "-o", r'jsonpath={.status.allowed}{"\n"}', input=body)

    allowed = [right for right, answer in zip(rights, answers.split(), strict=True) if answer == "true"]

    assert allowed == list(NEEDED)


def access_review(user: str, namespace: str, right: str) -> Body:
    """The question that `kubectl auth can-i` asks; `right` is "verb group/resource" or "verb group/resource/part"."""
    verb, _, what = right.partition(" ")
    group, resource, *part = what.split("/")
    attributes = {"verb": verb, "group": group, "resource": resource, "namespace": namespace}
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": attributes | ({"subresource": part[0]} if part else {})},
    }


def test_probes_and_metrics_answer_through_the_service(operator: InstalledOperator, tasks: ProgramTasks) -> None:
    tasks.apply_program("measured", "print('short')")
    tasks.await_ready("measured")
    tasks.start_run("measured", "measured-1")
    tasks.await_run("measured", "measured-1")

    ended = f'scheduledtask_runs_ended_total{{name="measured",namespace="{tasks.namespace}",outcome="Succeeded"}} 1.0'
    assert ended in operator.get("/metrics")
    assert "jobs: last sign of life" in operator.get("/healthz")
    assert operator.get("/readyz") == "synced\n"


def test_the_operator_stays_within_the_memory_that_it_requests(operator: InstalledOperator) -> None:
    assert operator.metric("process_resident_memory_bytes") < 128 * 2**20


def test_an_upgrade_changes_the_operator_and_no_task(operator: InstalledOperator, tasks: ProgramTasks) -> None:
    before = operator.pod()["metadata"]["name"]
    tasks.apply("kept")
    tasks.await_ready("kept")
    version = tasks.get("stask", "kept")["metadata"]["resourceVersion"]

    install.install_chart(operator.cluster, values={"log": {"format": "text", "level": "debug"}, "workers": 2})

    arguments = operator.pod()["spec"]["containers"][0]["args"]
    assert {"--log-format=text", "--log-level=debug", "--workers=2"} <= set(arguments)
    assert operator.pod()["metadata"]["name"] != before
    tasks.apply("after-upgrade")
    tasks.await_ready("after-upgrade")
    assert tasks.get("stask", "kept")["metadata"]["resourceVersion"] == version


def test_a_value_that_the_chart_does_not_know_is_refused_by_name(operator: InstalledOperator) -> None:
    with pytest.raises(ClusterError, match="watchNamespaces"):
        install.install_chart(operator.cluster, values={"watchNamespaces": "mine"})


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("retry", "maxAttempts"),
        ("retry.backoff", "before attempt 2"),
        ("concurrency.policy", "Forbid"),
        ("schedule", "five cron fields"),
        ("template", "PodTemplateSpec"),
    ],
)
def test_explain_says_what_a_field_means(operator: InstalledOperator, field: str, words: str) -> None:
    assert words in operator.cluster.kubectl("explain", f"scheduledtask.spec.{field}")
