"""A mirror of one kind of object: list, then watch for ever; list again when the watch has lost its place.

The list is read in pages and is consistent (no resourceVersion is asked for). Deletions that happened while no watch
was open are found by comparing each new list with what was held. A watch that fails is taken up again where it was;
only 410 Gone, by answer or by event, makes a new list necessary.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Set
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import aiohttp
import msgspec
import structlog

from scheduledtask.domain.values import Key
from scheduledtask.kube.api import ApiError, KubernetesApi
from scheduledtask.kube.wire import ApiStatus, Metadata, ObjectList, PartialObject, WatchEvent

PAGE = "500"
SILENCE = 150.0
"""Seconds after which a silent watch is dead: the API server sends a bookmark about once a minute."""
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 30.0

log = structlog.get_logger(__name__)


class WireObject(Protocol):
    """What a reflector needs of an object."""

    @property
    def metadata(self) -> Metadata: ...


Item = TypeVar("Item", bound=WireObject)
Taken = TypeVar("Taken", bound=WireObject, contravariant=True)


class Sink(Protocol[Taken]):
    """Who is told of the objects. All three may be called again with what is known already."""

    def put(self, item: Taken) -> None: ...
    def remove(self, metadata: Metadata) -> None: ...
    def keep_only(self, listed: Set[Key], version: int) -> None:
        """These are all that a list of that resource version held, and all were put: what else is older is gone."""


@dataclass(frozen=True, slots=True)
class Resource(Generic[Item]):
    """Which objects. `prefix` is `/api/v1` or `/apis/GROUP/VERSION`; `selectors` are label and field selectors."""

    kind: type[Item]
    prefix: str
    plural: str
    namespace: str | None
    """One namespace, or None for all."""
    selectors: tuple[tuple[str, str], ...] = ()

    @property
    def path(self) -> str:
        middle = f"/namespaces/{self.namespace}" if self.namespace else ""
        return f"{self.prefix}{middle}/{self.plural}"


async def list_pages(api: KubernetesApi, resource: Resource[Item]) -> AsyncIterator[ObjectList[Item]]:
    """All objects, page by page."""
    query = {**dict(resource.selectors), "limit": PAGE}
    page_type: Any = ObjectList[resource.kind]  # type: ignore[name-defined]
    while True:
        page: ObjectList[Item] = await api.get_list(resource.path, query, page_type)
        yield page
        if not page.metadata.continue_:
            return
        query["continue"] = page.metadata.continue_


async def list_into(sink: Sink[Item], api: KubernetesApi, resource: Resource[Item]) -> str:
    """Hand all objects over, each page as it is read, for a page costs memory; the resource version of the list."""
    listed: set[Key] = set()
    version = "0"
    async for page in list_pages(api, resource):
        for item in page.items:
            listed.add(item.metadata.key)
            sink.put(item)
        version = page.metadata.resource_version
    sink.keep_only(listed, int(version))
    return version


class Reflector(Generic[Item]):
    """Keeps a sink up to date. `synced` is set once a first list has been handed over."""

    def __init__(
        self,
        api: KubernetesApi,
        resource: Resource[Item],
        sink: Sink[Item],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._resource = resource
        self._sink = sink
        self._clock = clock
        self._version: str | None = None
        self._last_sign = clock()
        self._decoder: msgspec.json.Decoder[Item] = msgspec.json.Decoder(resource.kind)
        self.synced = asyncio.Event()

    @property
    def name(self) -> str:
        return self._resource.plural

    @property
    def age(self) -> float:
        """Seconds since the last sign of life: an answer, an event or a bookmark."""
        return self._clock() - self._last_sign

    async def run(self) -> None:
        """Mirror until cancelled. Failures are logged and tried again with growing pauses."""
        pause = FIRST_PAUSE
        while True:
            began = self._clock()
            wait = 0.0
            try:
                if self._version is None:
                    await self._list()
                await self._watch()
            except (ApiError, aiohttp.ClientError, TimeoutError, msgspec.MsgspecError) as error:
                if isinstance(error, ApiError):
                    wait = error.retry_after
                    if error.code == 410:
                        self._version = None
                log.warning("watch ended, trying again", watch=self.name, error=str(error) or repr(error))
            # One that lived for a while ended in the course of things; others must not make a busy loop.
            pause = FIRST_PAUSE if self._clock() - began > LONGEST_PAUSE else min(pause * 2, LONGEST_PAUSE)
            await asyncio.sleep(max(wait, pause) * random.uniform(0.8, 1.2))

    async def refresh(self) -> None:
        """List beside the watch that is open: then all that was written before this call is known. Raises as the API
        does."""
        await self._list()

    async def _list(self) -> None:
        self._version = await list_into(self._sink, self._api, self._resource)
        self._alive()
        self.synced.set()

    async def _watch(self) -> None:
        query = {
            **dict(self._resource.selectors),
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version or "0",
            # Not all watches of all operators at the same moment.
            "timeoutSeconds": str(random.randint(240, 480)),
        }
        async with self._api.watch(self._resource.path, query, SILENCE) as lines:
            self._alive()
            async for line in lines:
                self._alive()
                self._take(msgspec.json.decode(line, type=WatchEvent))

    def _take(self, event: WatchEvent) -> None:
        if event.type == "ERROR":
            status = msgspec.json.decode(event.object, type=ApiStatus)
            raise ApiError(status.code, status.reason, status.message, status.details.retry_after_seconds)
        if event.type in ("BOOKMARK", "DELETED"):
            metadata = msgspec.json.decode(event.object, type=PartialObject).metadata
            if event.type == "DELETED":
                self._sink.remove(metadata)
        else:
            item = self._decoder.decode(event.object)
            metadata = item.metadata
            self._sink.put(item)
        self._version = metadata.resource_version

    def _alive(self) -> None:
        self._last_sign = self._clock()
