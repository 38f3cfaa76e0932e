"""What goes wrong between the operator and the API server: small frozen values, and which of them meets a call.

No I/O: `proxy` does what is decided here.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tests.faults.calls import Call


class Moment(Enum):
    """When the operator is killed: instead of the call, or once it is done and before it is answered."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True)
class Kill:
    """SIGKILL to the operator."""

    moment: Moment


@dataclass(frozen=True)
class Refuse:
    """An error as the answer; the call is not forwarded. `retry_after` in seconds; 0: the header is absent."""

    code: int
    retry_after: int = 0


@dataclass(frozen=True)
class LoseReply:
    """The call is done, and the connection closed without an answer."""


@dataclass(frozen=True)
class Delay:
    """The answer comes late."""

    seconds: float


@dataclass(frozen=True)
class Stale:
    """A list is answered as the same list was answered the first time."""


@dataclass(frozen=True)
class EndWatch:
    """A watch gets an event of type ERROR with this code, and ends."""

    code: int


class Disturb(Enum):
    """What is done to the events of open and new watches, as long as the fault is set."""

    HOLD = "held"
    COALESCE = "held; when the fault is taken away, of each object only the last is sent"
    DROP = "never sent; bookmarks are"
    SILENCE = "never sent, nor anything else on that connection: it is dead at the other end"


Effect = Kill | Refuse | LoseReply | Delay | Stale
StreamEffect = EndWatch | Disturb


@dataclass(frozen=True)
class Fault:
    """An effect and the calls that it meets: those that fit every field; an empty one fits all.

    The first `skip` of them are spared, and after `times` of them it is over.
    """

    effect: Effect | StreamEffect
    verbs: Collection[str] = ()
    resources: Collection[str] = ()
    names: Collection[str] = ()
    skip: int = 0
    times: int | None = None

    def meets(self, call: Call) -> bool:
        """Whether this is one of its calls, whatever their number."""
        return all(
            not wanted or found in wanted
            for wanted, found in (
                (self.verbs, call.verb),
                (self.resources, call.resource),
                (self.names, call.name),
            )
        )

    def strikes(self, met: int) -> bool:
        """Whether it strikes a call that it meets, after so many others that it met."""
        return met >= self.skip and (self.times is None or met < self.skip + self.times)


def at(call: Call, occurrence: int, effect: Effect) -> Fault:
    """The effect at one call alone: the one after `occurrence` others that are alike."""
    return Fault(effect, {call.verb}, {call.resource}, {call.name}, skip=occurrence, times=1)


@dataclass
class Weather:
    """The faults that are set, and how many calls each has met."""

    faults: tuple[Fault, ...] = ()
    met: dict[int, int] = field(default_factory=dict)

    def strike(self, call: Call) -> Effect | None:
        """What befalls a call."""
        for fault in self.faults:
            if isinstance(fault.effect, Effect) and self._strikes(fault, call):
                return fault.effect
        return None

    def strike_watch(self, call: Call) -> StreamEffect | None:
        """What befalls an open watch now."""
        for fault in self.faults:
            if isinstance(fault.effect, StreamEffect) and self._strikes(fault, call):
                return fault.effect
        return None

    def _strikes(self, fault: Fault, call: Call) -> bool:
        if not fault.meets(call):
            return False
        met = self.met.get(id(fault), 0)
        self.met[id(fault)] = met + 1
        return fault.strikes(met)


class HeldLines:
    """The lines of a watch that wait."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []

    def take(self, line: bytes, effect: StreamEffect | None) -> list[bytes]:
        """What is to be sent when a line comes, by what befalls the watch at that moment."""
        match effect:
            case Disturb.HOLD | Disturb.COALESCE:
                self._lines.append(line)
                return []
            case Disturb.DROP:
                return [line] if json.loads(line)["type"] == "BOOKMARK" else []
            case Disturb.SILENCE:
                return []
        return [line]

    def release(self, *, coalesce: bool) -> list[bytes]:
        """What has waited; with `coalesce` the last line of each object only."""
        lines, self._lines = self._lines, []
        if not coalesce:
            return lines
        latest = {_subject(line): line for line in lines}
        return [line for line in lines if latest[_subject(line)] is line]


def _subject(line: bytes) -> tuple[str, str]:
    metadata = json.loads(line)["object"]["metadata"]
    return metadata.get("namespace", ""), metadata.get("name", "")


def error_event(code: int) -> bytes:
    """The line that ends a watch with an error, as the API server writes it."""
    reason = {410: "Expired", 500: "InternalError"}.get(code, "Unknown")
    return json.dumps({"type": "ERROR", "object": status(code, reason)}).encode()


def status(code: int, reason: str = "", retry_after: int = 0) -> dict[str, Any]:
    """A metav1.Status."""
    body: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f"a fault of the test: {code}",
        "reason": reason,
        "code": code,
    }
    if retry_after:
        body["details"] = {"retryAfterSeconds": retry_after}
    return body
