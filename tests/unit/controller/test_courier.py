"""What becomes of the messages that wait: over real HTTP, with a real receiver and answers of an API server."""

import asyncio
import base64
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from standardwebhooks import Webhook

from scheduledtask.controller.courier import Courier, Policy
from scheduledtask.controller.poster import Poster
from scheduledtask.controller.store import Store
from scheduledtask.domain.values import Key
from scheduledtask.kube.wire import ScheduledTaskObject
from tests.receiver import Receiver, hangs, receiving, says
from tests.unit.builders import TEMPLATE
from tests.unit.kube import wire_objects as wire
from tests.unit.kube.http_server import Answer, HttpServer, status
from tests.unit.kube.http_server import says as api_says

SECRET = f"whsec_{base64.b64encode(b'k' * 32).decode()}"
POSTED = api_says(b"{}", 201)


@dataclass
class Office:
    """A courier at work, with the tasks it serves; `api` has what was asked of the API server."""

    store: Store
    courier: Courier
    receiver: Receiver
    api: HttpServer
    settled: list[str] = field(default_factory=list)

    def put(self, *ids: str, path: str = "/hook", name: str = "report", version: int = 5, signed: bool = False) -> None:
        """A task whose status has these messages waiting."""
        webhook: dict[str, Any] = {"url": self.receiver.url(path)}
        if signed:
            webhook["secretRef"] = {"name": "keys", "key": "webhook"}
        messages = [
            {"id": identity, "type": "scheduledtask.failure", "timestamp": wire.MADE, "data": {}} for identity in ids
        ]
        body = {
            "metadata": wire.metadata(name, resourceVersion=str(version)),
            "spec": {"template": TEMPLATE, "alerts": {"webhook": webhook}},
            "status": {"webhookMessages": messages},
        }
        self.store.tasks.put(msgspec.json.decode(json.dumps(body), type=ScheduledTaskObject))
        self.courier.notice(Key("match-history", name))

    def ids(self, path: str = "/hook") -> list[str]:
        return [request.id for request in self.receiver.on(path)]

    def notes(self) -> list[tuple[str, str]]:
        """Reason and note of each Event."""
        return [(body["reason"], body["note"]) for method, _, _, body in self.api.requests if method == "POST"]


@asynccontextmanager
async def at_work(*api_answers: Answer, allow_internal: bool = True, workers: int = 2) -> AsyncIterator[Office]:
    api = HttpServer(list(api_answers))
    with receiving() as receiver:
        async with api as client, Poster(5) as poster, asyncio.TaskGroup() as group:
            settled: list[str] = []
            store = Store(lambda _: None)
            courier = Courier(store, client, poster, lambda key: settled.append(key.name), Policy(allow_internal))
            jobs = [group.create_task(courier.work()) for _ in range(workers)]
            yield Office(store, courier, receiver, api, settled)
            for job in jobs:
                job.cancel()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 (a thread of the receiver changes it)
            await asyncio.sleep(0.01)


async def test_messages_are_delivered_in_order_each_once_and_settled() -> None:
    async with at_work() as office:
        office.put("msg_1", "msg_2", "msg_3")
        office.courier.notice(Key("match-history", "report"))
        await until(lambda: len(office.settled) == 3)
        office.courier.notice(Key("match-history", "report"))
        office.put("msg_1", path="/other", name="other")
        await until(lambda: len(office.settled) == 4)
        taken = office.store.snapshot(Key("match-history", "report"))
    assert office.ids() == ["msg_1", "msg_2", "msg_3"]
    assert taken is not None
    assert taken[0].settled_messages == {"msg_1", "msg_2", "msg_3"}


async def test_what_the_status_no_longer_has_is_forgotten() -> None:
    async with at_work() as office:
        office.put("msg_1", "msg_2")
        await until(lambda: len(office.settled) == 2)
        office.put("msg_3", version=6)
        await until(lambda: len(office.settled) == 3)
        taken = office.store.snapshot(Key("match-history", "report"))
    assert taken is not None
    assert taken[0].settled_messages == {"msg_3"}


async def test_a_message_that_failed_waits_and_holds_up_no_other() -> None:
    async with at_work() as office:
        office.receiver.faults["/hook"] = [says(429, Retry_After="60")]
        office.put("msg_1", "msg_2")
        await until(lambda: office.settled == ["report"])
        office.courier.notice(Key("match-history", "report"))
        office.put("msg_9", path="/other", name="other")
        await until(lambda: len(office.settled) == 2)
    assert office.ids() == ["msg_1", "msg_2"]


async def test_a_receiver_that_hangs_holds_up_no_other_task() -> None:
    over = threading.Event()
    async with at_work() as office:
        office.receiver.faults["/hook"] = [hangs(over)] * 3
        office.put("msg_1", "msg_2", "msg_3")
        await until(lambda: office.ids() == ["msg_1"])
        office.put("msg_9", path="/other", name="other")
        await until(lambda: office.settled == ["other"])
        assert office.ids() == ["msg_1"], "one message of a task at a time"
        over.set()


async def test_an_edit_of_the_webhook_makes_the_next_try_at_once() -> None:
    async with at_work() as office:
        office.receiver.faults["/hook"] = [says(404)]
        office.put("msg_1")
        await until(lambda: office.ids() == ["msg_1"])
        office.put("msg_1", path="/mended", version=6)
        await until(lambda: office.settled == ["report"])
        assert office.ids("/mended") == ["msg_1"]


async def test_410_ends_all_that_waits_for_that_address_until_the_task_names_another() -> None:
    async with at_work(POSTED, POSTED, POSTED) as office:
        office.receiver.faults["/hook"] = [says(410)]
        office.put("msg_1", "msg_2")
        await until(lambda: len(office.settled) == 2)
        assert office.ids() == ["msg_1"]
        office.put("msg_3", path="/other", version=6)
        await until(lambda: len(office.settled) == 3)
        assert office.ids("/other") == ["msg_3"]
    assert office.notes()[0][0] == "WebhookGone"
    assert office.notes()[0][1].startswith("127.0.0.1 wants no more messages (410 Gone)")


async def test_a_message_is_signed_by_the_key_in_the_secret_and_the_secret_is_read_for_it() -> None:
    data = base64.b64encode(SECRET.encode()).decode()
    async with at_work(api_says(json.dumps({"data": {"webhook": data, "other": ""}}).encode())) as office:
        office.put("msg_1", signed=True)
        await until(lambda: len(office.settled) == 1)
        [came] = office.receiver.on("/hook")
    assert Webhook(SECRET).verify(came.body, came.headers)
    assert office.api.requests == [("GET", "/api/v1/namespaces/match-history/secrets/keys", {}, None)]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (api_says(status(403, "forbidden"), 403), "webhooks.enabled=true"),
        (api_says(status(404, "not found"), 404), '"keys" does not exist in namespace match-history: create it'),
        (api_says(b'{"data": {"other": ""}}'), 'has no key "webhook"'),
        (api_says(b"{}"), 'has no key "webhook"'),
        (api_says(b'{"data": {"webhook": "aHVudGVyMg=="}}'), "it must be whsec_ and the base64 of 24 to 64"),
    ],
)
async def test_why_a_message_cannot_be_signed_is_told_and_nothing_is_sent(answer: Answer, words: str) -> None:
    async with at_work(answer, POSTED) as office:
        office.put("msg_1", signed=True)
        await until(lambda: len(office.api.requests) == 2)
        assert office.receiver.requests == []
    [(reason, note)] = office.notes()
    assert reason == "WebhookFailed"
    assert words in note
    assert "hunter2" not in note


async def test_an_address_inside_the_cluster_is_refused_and_told() -> None:
    async with at_work(POSTED, allow_internal=False) as office:
        office.put("msg_1", path="/token")
        await until(lambda: len(office.api.requests) == 1)
        assert office.receiver.requests == []
    [(reason, note)] = office.notes()
    assert (reason, "127.0.0.1 is an internal address" in note, "token" in note) == ("WebhookFailed", True, False)


async def test_an_event_that_is_refused_does_not_send_a_message_again() -> None:
    async with at_work(api_says(status(403, "quota"), 403)) as office:
        office.receiver.faults["/hook"] = [says(410)]
        office.put("msg_1")
        await until(lambda: office.settled == ["report"])
    assert office.ids() == ["msg_1"]
