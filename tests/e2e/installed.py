"""The operator as Helm installed it, seen from outside: its Deployment, its pod, its HTTP server."""

import re
import subprocess
from dataclasses import dataclass

from tests.cluster import Cluster
from tests.integration.operator_process import eventually
from tests.integration.tasks import Body, Tasks


@dataclass(frozen=True)
class InstalledOperator:
    """One release of the chart."""

    cluster: Cluster
    namespace: str
    release: str

    @property
    def user(self) -> str:
        """Whom the API server takes it for."""
        return f"system:serviceaccount:{self.namespace}:{self.release}"

    @property
    def image(self) -> str:
        """The image of its pod; it has a Python for test programs as well."""
        container = "jsonpath={.spec.template.spec.containers[0].image}"
        return self.kubectl("get", f"deployment/{self.release}", "-o", container)

    def kubectl(self, *arguments: str, check: bool = True) -> str:
        return self.cluster.kubectl("--namespace", self.namespace, *arguments, check=check)

    def get(self, path: str) -> str:
        """Ask its HTTP server by way of its Service; ClusterError where the answer isn't a 2xx."""
        service = f"/api/v1/namespaces/{self.namespace}/services/{self.release}-metrics:http"
        return self.cluster.kubectl("get", "--raw", f"{service}/proxy{path}")

    def metric(self, name: str) -> float:
        """The value of a metric without labels."""
        match = re.search(rf"^{name} (\S+)$", self.get("/metrics"), re.MULTILINE)
        assert match, f"/metrics has no {name}"
        return float(match[1])

    def pods(self) -> list[Body]:
        return Tasks(self.cluster, self.namespace).listed("pod", self._selector)

    def pod(self) -> Body:
        """Its one pod that isn't on its way out."""
        return next(pod for pod in self.pods() if "deletionTimestamp" not in pod["metadata"])

    def stop(self) -> None:
        """Scale it to zero and return when no pod is left."""
        self._scale(0)
        eventually(self.pods, lambda pods: not pods, "the operator's pods are gone", 60)

    def start(self) -> None:
        """Scale it to one and return when it is ready."""
        self._scale(1)
        self.kubectl("rollout", "status", f"deployment/{self.release}", "--timeout=90s")

    def kill(self) -> None:
        """End its process by SIGKILL and return when its container has been started again and is ready.

        The signal comes from the node: inside its own container, process 1 ignores it.
        """
        before = self._container_status()
        container = before["containerID"].rpartition("/")[2]
        kill = ("ctr", "--namespace", "k8s.io", "tasks", "kill", "--signal", "SIGKILL", container)
        subprocess.run(self.cluster.enter_command(*kill), check=True, capture_output=True)
        eventually(
            self._container_status,
            lambda now: bool(now["restartCount"] > before["restartCount"] and now["ready"]),
            "the operator's container is back",
            90,
        )

    @property
    def _selector(self) -> str:
        return f"app.kubernetes.io/instance={self.release}"

    def _scale(self, replicas: int) -> None:
        self.kubectl("scale", f"deployment/{self.release}", f"--replicas={replicas}")

    def _container_status(self) -> Body:
        status: Body = self.pod()["status"]["containerStatuses"][0]
        return status
