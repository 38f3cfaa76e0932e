"""The way to the cluster: kubectl's own options, and errors that say what to do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import msgspec
import yaml
from kubernetes.aio import client, config

from scheduledtask.cli.errors import CommandError
from scheduledtask.cli.facts import EventFacts, NamedFacts, PodFacts, TaskFacts
from scheduledtask.domain.values import GROUP, TASK_LABEL, VERSION
from scheduledtask.kube.api import ApiError, KubernetesApi
from scheduledtask.kube.wire import JOB_NAME, ApiStatus, JobObject, ObjectList, ScheduledTaskObject

Answer = TypeVar("Answer")

FIELD_MANAGER = "kubectl-scheduledtask"
_PAGE = "500"
_NAMED = 10
"""How many names an error lists, at most."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command goes, as its options say; None leaves it to the kubeconfig."""

    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str | None = None


class Cluster(KubernetesApi):
    """The calls that the commands make, all in one namespace. Errors are told by `connect`."""

    def __init__(self, configuration: client.Configuration, namespace: str) -> None:
        super().__init__(configuration, user_agent=FIELD_MANAGER, trust_env=True)
        self.namespace = namespace
        self.tasks_path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/scheduledtasks"

    async def task(self, name: str) -> TaskFacts:
        """The task. Raises CommandError with the names that are close."""
        return await self._task(name, TaskFacts)

    async def stored_task(self, name: str) -> ScheduledTaskObject:
        """The task as the operator reads it. Raises CommandError as `task` does."""
        return await self._task(name, ScheduledTaskObject)

    async def _task(self, name: str, kind: type[Answer]) -> Answer:
        try:
            return await self.get_list(f"{self.tasks_path}/{name}", {}, kind)
        except ApiError as error:
            if error.code != 404 or not error.reason:
                raise
        raise CommandError(_no_such_task(name, self.namespace, await self._task_names()))

    async def patch_task(self, name: str, spec: dict[str, Any]) -> TaskFacts:
        """Change fields of a task's spec; None takes one away."""
        return await self._patch_task(name, {"spec": spec})

    async def annotate_task(self, name: str, annotation: str, value: str) -> TaskFacts:
        """Set one annotation of a task."""
        return await self._patch_task(name, {"metadata": {"annotations": {annotation: value}}})

    async def _patch_task(self, name: str, patch: dict[str, Any]) -> TaskFacts:
        query = {"fieldManager": FIELD_MANAGER}
        answer = await self._send("PATCH", f"{self.tasks_path}/{name}", query, patch, "application/merge-patch+json")
        return msgspec.json.decode(answer, type=TaskFacts)

    async def refusals(self, uid: str) -> list[EventFacts]:
        """The Events that tell of commands of a task, by its UID, which the operator could not carry out."""
        selector = f"involvedObject.uid={uid},reason=CommandRefused"
        path = f"/api/v1/namespaces/{self.namespace}/events"
        return (await self.get_list(path, {"fieldSelector": selector}, ObjectList[EventFacts])).items

    async def cron_job(self, name: str) -> dict[str, Any] | None:
        """The CronJob of that name, whole, if there is one."""
        try:
            return await self.get_list(
                f"/apis/batch/v1/namespaces/{self.namespace}/cronjobs/{name}", {}, dict[str, Any]
            )
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    async def create_job(self, body: dict[str, Any]) -> JobObject:
        path = f"/apis/batch/v1/namespaces/{self.namespace}/jobs"
        answer = await self._send("POST", path, {"fieldManager": FIELD_MANAGER}, body)
        return msgspec.json.decode(answer, type=JobObject)

    async def jobs(self, task: str) -> list[JobObject]:
        """The Jobs that the task has now, of all its runs."""
        return await self._all(
            f"/apis/batch/v1/namespaces/{self.namespace}/jobs", f"{TASK_LABEL}={task}", ObjectList[JobObject]
        )

    async def job(self, name: str) -> JobObject | None:
        try:
            return await self.get_list(f"/apis/batch/v1/namespaces/{self.namespace}/jobs/{name}", {}, JobObject)
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    async def attempts(self, run: str) -> list[PodFacts]:
        """The pods of a run that are still there, in the order of attempts."""
        path, selector = f"/api/v1/namespaces/{self.namespace}/pods", f"{JOB_NAME}={run}"
        pods = await self._all(path, selector, ObjectList[PodFacts])
        return sorted(pods, key=lambda pod: (pod.attempt, pod.metadata.created))

    async def obstacle(self, run: str) -> str:
        """Why the current attempt of a run has not started; empty where it has, or where Kubernetes does not say."""
        attempts = await self.attempts(run)
        return attempts[-1].obstacle if attempts and not attempts[-1].has_started else ""

    async def log(self, pod: str, container: str, follow: bool) -> AsyncIterator[bytes]:
        """The log of a container in pieces of any size, as they come."""
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod}/log"
        query = {"container": container, "follow": str(follow).lower()}
        limits = aiohttp.ClientTimeout(total=None, sock_connect=10)
        response = await self._open("GET", path, query, None, None, limits)
        async with response:
            if response.status != 200:
                raise _log_error(response.status, await response.read())
            async for piece in response.content.iter_any():
                yield piece

    async def _task_names(self) -> list[str]:
        tasks = await self._all(self.tasks_path, "", ObjectList[NamedFacts])
        return [task.metadata.name for task in tasks]

    async def _all(self, path: str, selector: str, kind: type[ObjectList[Any]]) -> list[Any]:
        items: list[Any] = []
        query = {"limit": _PAGE, "labelSelector": selector}
        while True:
            page = await self.get_list(path, query, kind)
            items += page.items
            if not page.metadata.continue_:
                return items
            query["continue"] = page.metadata.continue_


def _log_error(code: int, answer: bytes) -> ApiError:
    try:
        status = msgspec.json.decode(answer, type=ApiStatus)
    except msgspec.DecodeError:
        return ApiError(code, "Unknown", answer[:500].decode(errors="replace"))
    return ApiError(code, status.reason, status.message)


@asynccontextmanager
async def connect(place: Place) -> AsyncIterator[Cluster]:
    """The cluster that the options and the kubeconfig name. What goes wrong within is raised as CommandError."""
    configuration = client.Configuration()
    try:
        kubeconfig = str(place.kubeconfig) if place.kubeconfig else None
        loader = await config.load_kube_config(kubeconfig, place.context, configuration)
    except (config.ConfigException, yaml.YAMLError, OSError, TypeError, AttributeError) as error:
        # The loader takes the form of a kubeconfig for granted: what is none fails as it may.
        raise CommandError(
            f"no way to a cluster: {error}\nSet KUBECONFIG or --kubeconfig to a kubeconfig file; "
            "`kubectl config get-contexts` lists what --context takes."
        ) from error
    namespace = place.namespace or loader.current_context["context"].get("namespace") or "default"
    cluster = Cluster(configuration, namespace)
    try:
        yield cluster
    except ApiError as error:
        raise CommandError(_said(error, cluster)) from error
    except msgspec.DecodeError as error:
        raise CommandError(f"{configuration.host} does not answer as a Kubernetes API server does: {error}") from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise CommandError(
            f"no answer from {configuration.host}: {str(error) or type(error).__name__}\n"
            "Is it up, and the right one? See `kubectl cluster-info` and `kubectl config current-context`."
        ) from error
    finally:
        await cluster.close()


def _no_such_task(name: str, namespace: str, names: list[str]) -> str:
    missing = f'no ScheduledTask "{name}" in namespace "{namespace}"'
    close = get_close_matches(name, names, n=3, cutoff=0.5) or [known for known in names if name in known][:3]
    if close:
        return f"{missing}. Did you mean {' or '.join(close)}?"
    if names:
        return f"{missing}. There are {', '.join(sorted(names)[:_NAMED])}{', …' if len(names) > _NAMED else ''}."
    return f"{missing}, nor any other: name another with -n; `kubectl get scheduledtasks -A` lists all."


def _said(error: ApiError, cluster: Cluster) -> str:
    match error.code:
        case 401:
            return f"the cluster does not know you ({error.message}). Log in again, or choose another --context."
        case 403:
            return (
                f"you may not do that: {error.message}\nAsk for the role `edit` (or `view`, to look only) in namespace "
                f"{cluster.namespace}; `kubectl auth can-i --list -n {cluster.namespace}` tells what you may."
            )
        case 404 if not error.reason:
            return (
                "this cluster has no ScheduledTasks: the CustomResourceDefinition scheduledtasks.scheduledtask.dev is "
                "missing. Install the operator (helm install, see its README), or choose another --context."
            )
        case _:
            return f"the API server said no ({error.code} {error.reason}): {error.message}".replace(" )", ")")
