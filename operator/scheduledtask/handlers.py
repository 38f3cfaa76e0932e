"""kopf's part: it watches the ScheduledTasks. Nothing else imports kopf.

It is used for what costs no writes: `on.event`, without finalizers, annotations, indices or posted Events. An error in
such a handler is logged and never tried again, so the handler only hands the object over.

It runs in a thread with an event loop of its own: in the loop of the main thread it would take over the signal
handlers and, at its end, cancel every asyncio task that was started after it.

Two things kopf does not tell are seen on its connection: that it has listed anew (it never reports a deletion that
it missed, so somebody else must compare), and that its watch is alive.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import aiohttp
import kopf
import msgspec
import structlog

from scheduledtask.domain.values import GROUP, VERSION
from scheduledtask.kube.api import FIELD_MANAGER
from scheduledtask.kube.connection import authorization, load_configuration, open_session
from scheduledtask.kube.wire import ScheduledTaskObject

PLURAL = "scheduledtasks"
SERVER_TIMEOUT = 300
"""Seconds that the API server is asked to keep a watch open."""

PAUSE = 5.0
"""Seconds before kopf is started again. Any ERROR event in its watch ends it, except 410."""

OnEvent = Callable[[str, ScheduledTaskObject], None]

log = structlog.get_logger("scheduledtask")


class NothingStored(kopf.DiffBaseStorage, kopf.ProgressStorage):
    """No last-handled state and no progress of handlers: both would be annotations, and each event a comparison."""

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None

    def purge(self, **_: Any) -> None:
        return None

    def touch(self, **_: Any) -> None:
        return None

    def clear(self, *, essence: Any) -> Any:
        return essence


class TaskWatch:
    """kopf, watching. The callbacks are called in the event loop in which `run` is awaited."""

    name = PLURAL

    def __init__(self, namespace: str | None, on_event: OnEvent, on_list: Callable[[], None]) -> None:
        self._namespace = namespace
        self._on_event = on_event
        self._on_list = on_list
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watch: aiohttp.ClientResponse | None = None
        self._bytes_seen = 0
        self._listed = False
        self._last_sign = time.monotonic()

    @property
    def age(self) -> float:
        """Seconds since the watch gave a sign of life, to within the time since this was last asked."""
        watch = self._watch
        if watch is not None and watch.content.total_bytes != self._bytes_seen:
            self._bytes_seen = watch.content.total_bytes
            self._last_sign = time.monotonic()
        return time.monotonic() - self._last_sign

    async def run(self) -> None:
        """Watch until cancelled. Whatever ends kopf before its first list is raised; later it is started again."""
        self._loop = asyncio.get_running_loop()
        while True:
            try:
                await self._run_kopf()
            except Exception as error:
                if not self._listed:
                    raise
                log.warning("watch ended, trying again", watch=self.name, error=str(error) or repr(error))
            await asyncio.sleep(PAUSE)

    async def _run_kopf(self) -> None:
        """Run kopf until it fails, by an ERROR event in its watch, say; raises the failure."""
        assert self._loop is not None
        stop = threading.Event()
        failure: asyncio.Future[None] = self._loop.create_future()
        threading.Thread(target=self._thread, args=(stop, failure), name="kopf", daemon=True).start()
        try:
            await failure
        finally:
            stop.set()
            failure.cancel()

    def _thread(self, stop: threading.Event, failure: asyncio.Future[None]) -> None:
        error: BaseException = RuntimeError("kopf ended by itself")
        try:
            asyncio.run(self._operate(stop))
        except BaseException as raised:
            error = raised if isinstance(raised, Exception) else RuntimeError(repr(raised))
        self._call(_fail, failure, error)

    async def _operate(self, stop: threading.Event) -> None:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(self._log_in)
        # Not of what kopf lists, whose type is None: whoever is told of the list reads one of his own, which is newer.
        kopf.on.event(GROUP, VERSION, PLURAL, registry=registry, when=_is_news)(self._handle)
        where: dict[str, Any] = {"namespaces": [self._namespace]} if self._namespace else {"clusterwide": True}
        try:
            await kopf.operator(registry=registry, settings=_settings(), standalone=True, stop_flag=stop, **where)
        finally:
            # kopf awaits the flag in a thread of a pool, and this event loop can't end before that thread does.
            stop.set()

    async def _handle(self, event: Any, **_: Any) -> None:
        item = msgspec.json.decode(msgspec.json.encode(event["object"]), type=ScheduledTaskObject)
        self._call(self._on_event, event["type"], item)

    async def _log_in(self, **_: Any) -> kopf.AiohttpSession:
        """Called again when the API server answers 401: then the token is read anew."""
        configuration = await load_configuration()
        session = open_session(configuration, FIELD_MANAGER, self._list_or_watch_trace())
        session.headers.update(await authorization(configuration))
        return kopf.AiohttpSession(server=configuration.host, aiohttp_session=session)

    def _list_or_watch_trace(self) -> aiohttp.TraceConfig:
        trace = aiohttp.TraceConfig()

        async def notice(_: aiohttp.ClientSession, __: SimpleNamespace, params: aiohttp.TraceRequestEndParams) -> None:
            if params.response.status != 200 or not params.url.path.endswith(f"/{PLURAL}"):
                return
            self._last_sign = time.monotonic()
            if "watch" in params.url.query:
                self._watch, self._bytes_seen = params.response, 0
            elif "continue" not in params.url.query:
                # The first page: the list is of that moment, whichever page is read when.
                self._listed = True
                self._call(self._on_list)

        trace.on_request_end.append(notice)
        return trace

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            # The main loop is closed: the process is ending, and nobody is left to be told.
            return


def _is_news(type: str | None, **_: Any) -> bool:
    return type is not None


def _fail(future: asyncio.Future[None], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.persistence.diffbase_storage = NothingStored()
    settings.persistence.progress_storage = NothingStored()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.queueing.idle_timeout = 0.01
    settings.watching.server_timeout = SERVER_TIMEOUT
    settings.watching.client_timeout = SERVER_TIMEOUT + 30
    settings.watching.connect_timeout = 10
    settings.watching.inactivity_timeout = 150
    # As dicts, objects are ten times their size in JSON: the fewer there are at a time, the better.
    settings.watching.chunk_size = 100
    settings.networking.request_timeout = 60
    return settings
