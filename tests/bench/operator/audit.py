"""What was asked of the API server, by whom and when: read from its audit log, where nothing can be missed."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

STATUS = "update scheduledtasks/status"
READS = ("get", "list", "watch")


class _About(msgspec.Struct):
    resource: str = ""
    subresource: str = ""


class _User(msgspec.Struct):
    username: str


class _Answer(msgspec.Struct):
    code: int = 0


class _Event(msgspec.Struct, rename="camel"):
    stage: str
    verb: str
    user: _User
    stage_timestamp: datetime
    object_ref: _About = msgspec.field(default_factory=_About)
    response_status: _Answer = msgspec.field(default_factory=_Answer)


@dataclass(frozen=True)
class Request:
    """One request: `what` is its verb and resource, like "update scheduledtasks/status"; `time` is when it ended."""

    user: str
    what: str
    code: int
    time: float

    @property
    def writes(self) -> bool:
        return self.what.split()[0] not in READS


class AuditLog:
    """Reads the log from where the last reading ended. A watch counts when it begins, anything else when it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._decoder = msgspec.json.Decoder(_Event)
        self._position = path.stat().st_size

    def read(self) -> list[Request]:
        """The requests that are new."""
        with self._path.open("rb") as log:
            log.seek(self._position)
            lines = log.read().splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):
            lines.pop()
        self._position += sum(map(len, lines))
        events = (self._decoder.decode(line) for line in lines)
        return [_request(event) for event in events if (event.stage == "ResponseStarted") is (event.verb == "watch")]

    async def collect(self, user: str, what: str, number: int, seconds: float) -> list[Request]:
        """All requests of a user, until `number` of them are `what` and were granted; TimeoutError after `seconds`."""
        deadline = time.monotonic() + seconds
        found: list[Request] = []
        while True:
            found += (request for request in self.read() if request.user == user)
            granted = sum(1 for request in found if request.what == what and request.code < 300)
            if granted >= number:
                return found
            if time.monotonic() > deadline:
                raise TimeoutError(f"{granted} of {number} requests {what!r} within {seconds:.0f} s")
            await asyncio.sleep(0.2)


def tally(requests: Iterable[Request], user: str) -> Counter[str]:
    """How many requests of a user there are of each verb and resource; those refused are told by their code."""
    return Counter(
        request.what if request.code < 300 else f"{request.what} ({request.code})"
        for request in requests
        if request.user == user
    )


def _request(event: _Event) -> Request:
    about = event.object_ref
    resource = f"{about.resource}/{about.subresource}" if about.subresource else about.resource
    return Request(
        event.user.username,
        f"{event.verb} {resource}",
        event.response_status.code,
        event.stage_timestamp.timestamp(),
    )
