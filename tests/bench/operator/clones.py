"""Many converged tasks in seconds: copies of one real task and its real children, put straight into etcd.

Through the API server a task with three ended Jobs is nine writes, and ten thousand of them a quarter of an hour. So
the operator and the API server make one such task; what they stored is copied with another name, other UIDs of the
same length, and the digest of the CronJob that goes with the name. The API server serves and watches the copies like
anything else, and the operator can't tell them from its own work: it writes nothing, which the bench shows.
"""

from __future__ import annotations

import asyncio
import base64
import re
from datetime import UTC, datetime

import aiohttp
import msgspec

from scheduledtask.controller.store import Store
from scheduledtask.domain.plan import plan
from scheduledtask.domain.values import Key
from scheduledtask.kube.wire import ScheduledTaskObject

REGISTRY = "/registry"
PUTS_AT_ONCE = 100
"""etcd takes 128 operations in a transaction."""
_UID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


async def clone(etcd: str, namespace: str, name: str, number: int) -> None:
    """Copy the task `name`, its CronJob and its Jobs `number` times. `etcd` is the address of etcd."""
    folders = [f"{REGISTRY}/{path}/{namespace}/" for path in ("scheduledtask.dev/scheduledtasks", "cronjobs", "jobs")]
    async with aiohttp.ClientSession(etcd) as session:
        stored = [pair for folder in folders for pair in await _read(session, folder)]
        names = [f"{number:0{len(name)}}" for number in range(number)]
        puts = [pair for copy in names for pair in _copies(stored, namespace, name, copy)]
        for start in range(0, len(puts), PUTS_AT_ONCE):
            operations = [
                {"requestPut": {"key": _text(key), "value": _text(value)}}
                for key, value in puts[start : start + PUTS_AT_ONCE]
            ]
            await _ask(session, "/v3/kv/txn", {"success": operations})
            await asyncio.sleep(0)


def _copies(stored: list[tuple[bytes, bytes]], namespace: str, name: str, copy: str) -> list[tuple[bytes, bytes]]:
    """The stored keys and values under another name. Every length stays, so protobuf stays readable."""

    def other(text: bytes) -> bytes:
        text = text.replace(name.encode(), copy.encode())
        return _UID.sub(lambda found: found[0][:-12] + copy[-12:].rjust(12, "0").encode(), text)

    task = stored[0][1]
    before, after = _digest(task, namespace, name).encode(), _digest(other(task), namespace, copy).encode()
    return [(other(key), other(value).replace(before, after)) for key, value in stored]


def _digest(stored: bytes, namespace: str, name: str) -> str:
    """The digest of the CronJob that a task is to have."""
    store = Store(lambda _: None)
    store.tasks.put(msgspec.json.decode(stored, type=ScheduledTaskObject))
    taken = store.snapshot(Key(namespace, name))
    assert taken
    apply = plan(taken[0], datetime.now(UTC)).apply
    assert apply, "without a CronJob there is one to apply"
    return apply.digest


async def _read(session: aiohttp.ClientSession, folder: str) -> list[tuple[bytes, bytes]]:
    end = folder[:-1] + chr(ord("/") + 1)
    answer = await _ask(session, "/v3/kv/range", {"key": _text(folder.encode()), "range_end": _text(end.encode())})
    return [(base64.b64decode(pair["key"]), base64.b64decode(pair["value"])) for pair in answer["kvs"]]


async def _ask(session: aiohttp.ClientSession, path: str, body: object) -> dict[str, list[dict[str, str]]]:
    async with session.post(path, data=msgspec.json.encode(body)) as response:
        answer = await response.read()
        if response.status != 200:
            raise RuntimeError(f"etcd {path}: {response.status} {answer[:300].decode()}")
        decoded: dict[str, list[dict[str, str]]] = msgspec.json.decode(answer)
        return decoded


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
