"""The Lease in the API server: read, created, and written only over the version that was read."""

from datetime import datetime
from typing import Any

import msgspec
from kubernetes.aio import client

from scheduledtask.domain.lease import Lease
from scheduledtask.kube.api import ApiError, KubernetesApi
from scheduledtask.kube.wire import Metadata, Wire


class LeaseSpec(Wire, frozen=True):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: datetime | None = None
    renew_time: datetime | None = None
    lease_transitions: int | None = None


class LeaseObject(Wire, frozen=True):
    metadata: Metadata
    spec: LeaseSpec = LeaseSpec()

    def value(self) -> Lease:
        spec = self.spec
        return Lease(
            holder=spec.holder_identity or "",
            duration=spec.lease_duration_seconds or 0,
            acquire_time=spec.acquire_time,
            renew_time=spec.renew_time,
            transitions=spec.lease_transitions or 0,
            version=self.metadata.resource_version,
        )


class LeaseApi(KubernetesApi):
    """One Lease, by connections of its own: a renewal must not wait for anything else, nor for leave to write."""

    def __init__(self, configuration: client.Configuration, namespace: str, name: str) -> None:
        super().__init__(configuration)
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._metadata = {"namespace": namespace, "name": name}
        self.described = f"{namespace}/{name}"

    async def read(self) -> Lease | None:
        """The Lease; None where there is none."""
        try:
            answer = await self._send("GET", f"{self._path}/{self._metadata['name']}", {})
        except ApiError as error:
            if error.code == 404:
                return None
            raise
        return msgspec.json.decode(answer, type=LeaseObject).value()

    async def write(self, lease: Lease) -> Lease:
        """Write it over its version, or create it where it has none. ApiError 404 or 409: somebody was faster."""
        if lease.version:
            answer = await self._send("PUT", f"{self._path}/{self._metadata['name']}", {}, self._body(lease))
        else:
            answer = await self._send("POST", self._path, {}, self._body(lease))
        return msgspec.json.decode(answer, type=LeaseObject).value()

    def _body(self, lease: Lease) -> dict[str, Any]:
        version = {"resourceVersion": lease.version} if lease.version else {}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {**self._metadata, **version},
            "spec": {
                "holderIdentity": lease.holder,
                "leaseDurationSeconds": lease.duration,
                "acquireTime": _micro_time(lease.acquire_time),
                "renewTime": _micro_time(lease.renew_time),
                "leaseTransitions": lease.transitions,
            },
        }


def _micro_time(moment: datetime | None) -> str | None:
    """A metav1.MicroTime: always six digits."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if moment else None
