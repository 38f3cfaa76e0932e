"""Delivers the webhook messages that wait in the statuses of tasks, apart from the reconciler and never in its way.

It has a queue of tasks of its own, in which a task stands once however many messages it has, and sends one message of
a task at a time: a receiver that is slow holds up one worker for one timeout, then the others have their turn. Tries
are remembered in memory only. A new process tries at once what waits.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import aiohttp
import httpx
import structlog

from scheduledtask.api.spec import SecretKey, Webhook
from scheduledtask.api.status import WebhookMessage
from scheduledtask.controller.poster import InternalAddressError, Poster
from scheduledtask.controller.queue import WorkQueue
from scheduledtask.controller.store import Store
from scheduledtask.domain.delivery import (
    Answer,
    SecretError,
    Verdict,
    body_of,
    headers_of,
    read_secrets,
    wait_after,
)
from scheduledtask.domain.events import PostEvent
from scheduledtask.domain.messages import webhook_of
from scheduledtask.domain.values import Key, Task
from scheduledtask.kube.api import ApiError, KubernetesApi
from scheduledtask.metrics import WEBHOOK_QUEUE_DEPTH, WEBHOOK_TRIES

LONGEST_SLEEP = 600.0
"""Seconds: wall clocks jump, timers don't."""

log = structlog.get_logger("scheduledtask")


class CannotSignError(Exception):
    """The key of the signature can't be had; the message says how to mend it."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's own rules. `default_keys` sign what goes to its default webhook, which may be anywhere."""

    allow_internal: bool = False
    default_keys: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """The tries of a message so far, to which webhook, and when the next is due."""

    webhook: Webhook
    tries: int
    due: datetime


class Courier:
    """`on_settled` is called with the task of each message that is delivered or given up."""

    def __init__(
        self, store: Store, api: KubernetesApi, poster: Poster, on_settled: Callable[[Key], None], policy: Policy
    ) -> None:
        self._store = store
        self._api = api
        self._poster = poster
        self._on_settled = on_settled
        self._policy = policy
        self._queue = WorkQueue(WEBHOOK_QUEUE_DEPTH)
        self._failed: dict[Key, dict[str, Failed]] = {}
        self._gone: dict[Key, str] = {}
        """URLs that answered 410: nothing more is sent there, until the task names another or this process ends."""

    def notice(self, key: Key) -> None:
        """The task may have messages that wait. Cheap."""
        self._queue.add(key)

    async def work(self) -> None:
        """Deliver until cancelled. A failure concerns its own task only."""
        while True:
            key = await self._queue.get()
            try:
                await self._deliver_one(key)
            except Exception:
                log.exception("webhook delivery crashed", task=str(key))
                self._queue.add_after_failure(key)
            else:
                self._queue.forget_failures(key)
            finally:
                self._queue.done(key)

    async def _deliver_one(self, key: Key) -> None:
        """Send the oldest message that is due; come back for the others."""
        self._queue.cancel_timer(key)
        taken = self._store.snapshot(key)
        snapshot = taken[0] if taken else None
        webhook = webhook_of(snapshot) if snapshot else None
        waiting: tuple[WebhookMessage, ...] = ()
        if snapshot and webhook:
            settled = snapshot.settled_messages
            waiting = tuple(entry for entry in snapshot.task.status.webhook_messages if entry.id not in settled)
        if not waiting or not snapshot or not webhook:
            self._failed.pop(key, None)
            return
        known = self._failed.get(key, {})
        # What failed at another address, or with another key, is tried at once where the task says now.
        failed = {
            entry.id: known[entry.id] for entry in waiting if entry.id in known and known[entry.id].webhook == webhook
        }
        self._failed[key] = failed
        now = datetime.now(UTC)
        due = [entry for entry in waiting if entry.id not in failed or failed[entry.id].due <= now]
        if due:
            await self._deliver(snapshot.task, webhook, due[0], is_default=not _names_webhook(snapshot.task))
            self._queue.add(key)
        else:
            pause = min(entry.due for entry in failed.values()) - now
            self._queue.add_after(key, min(pause.total_seconds(), LONGEST_SLEEP))

    async def _deliver(self, task: Task, webhook: Webhook, message: WebhookMessage, *, is_default: bool) -> None:
        """One try of one message, and what follows from its answer."""
        if self._gone.get(task.key) == webhook.url:
            answer = Answer(410, "410 Gone, by an earlier answer")
        else:
            answer = await self._send(task, webhook, message, is_default=is_default)
        tries = self._tries(task.key, message) + 1
        wait = wait_after(tries, answer, random.random())
        told = {"task": str(task.key), "id": message.id, "type": message.type, "tries": tries}
        if answer.verdict is Verdict.DELIVERED:
            log.info("webhook delivered", **told)
        elif answer.verdict is Verdict.GONE:
            self._gone[task.key] = webhook.url
            log.warning("webhook gone", **told, error=answer.words)
            note = f"{_host(webhook)} wants no more messages ({answer.words}): change or remove alerts.webhook."
            await self._warn(task, PostEvent("WebhookGone", note, webhook.url))
        elif wait is None:
            log.warning("webhook given up", **told, error=answer.words)
            note = f"Message {message.id} to {_host(webhook)} is given up after {tries} tries: {answer.words}"
            await self._warn(task, PostEvent("WebhookGivenUp", note, message.id))
        else:
            WEBHOOK_TRIES.labels(result="failed").inc()
            log.warning("webhook failed, trying again", **told, error=answer.words, wait=wait.total_seconds())
            self._failed.setdefault(task.key, {})[message.id] = Failed(webhook, tries, datetime.now(UTC) + wait)
            return
        WEBHOOK_TRIES.labels(result="given_up" if wait is None else answer.verdict.value).inc()
        self._failed.get(task.key, {}).pop(message.id, None)
        self._store.settle_message(task.key, message.id)
        self._on_settled(task.key)

    async def _send(self, task: Task, webhook: Webhook, message: WebhookMessage, *, is_default: bool) -> Answer:
        body = body_of(message)
        try:
            keys = self._policy.default_keys if is_default else await self._keys(task.key, webhook.secret_ref)
            headers = headers_of(message.id, body, keys, datetime.now(UTC))
            return await self._poster.post(
                webhook.url, headers, body, allow_internal=is_default or self._policy.allow_internal
            )
        except (CannotSignError, InternalAddressError) as error:
            if not self._tries(task.key, message):
                await self._warn(task, PostEvent("WebhookFailed", f"Messages are not sent: {error}", str(error)))
            return Answer(None, str(error))
        except (ApiError, aiohttp.ClientError, TimeoutError) as error:
            return Answer(None, f"the Secret can't be read now: {str(error) or repr(error)}")

    async def _keys(self, task: Key, reference: SecretKey | None) -> tuple[bytes, ...]:
        """The keys that the task names. Raises CannotSignError, and what reading from the API server raises."""
        if reference is None:
            return ()
        field = f'alerts.webhook.secretRef: Secret "{reference.name}"'
        try:
            data = await self._api.read_secret(task.namespace, reference.name)
        except ApiError as error:
            if error.code == 403:
                raise CannotSignError(
                    f"{field} may not be read by the operator: have it installed with webhooks.enabled=true"
                ) from error
            if error.code == 404:
                raise CannotSignError(f"{field} does not exist in namespace {task.namespace}: create it") from error
            raise
        if reference.key not in data:
            raise CannotSignError(f'{field} has no key "{reference.key}" in its data')
        try:
            return read_secrets(data[reference.key].decode(errors="replace"))
        except SecretError as error:
            raise CannotSignError(f'{field}, key "{reference.key}": {error}') from error

    async def _warn(self, task: Task, event: PostEvent) -> None:
        """Post an Event. One that can't be posted must not make a message be sent again."""
        try:
            await self._api.post_event(task, event, datetime.now(UTC))
        except (ApiError, aiohttp.ClientError, TimeoutError) as error:
            log.warning("event refused", task=str(task.key), reason=event.reason, error=str(error) or repr(error))

    def _tries(self, key: Key, message: WebhookMessage) -> int:
        known = self._failed.get(key, {}).get(message.id)
        return known.tries if known else 0


def _names_webhook(task: Task) -> bool:
    return task.spec is not None and task.spec.alerts.webhook is not None


def _host(webhook: Webhook) -> str:
    """Of an address, what may be told: its path and query may hold a token."""
    try:
        return httpx.URL(webhook.url).host
    except httpx.InvalidURL:
        return "the webhook"
