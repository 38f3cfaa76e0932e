"""The election: candidates with clocks of their own, over a register that only takes what was written over its version.

The register stands where the API server does. What a candidate asks of it takes two turns: in the first it is done, in
the second the answer arrives; and any time may pass before each.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduledtask.controller.leader import Leader, LeadershipLostError
from scheduledtask.domain.lease import LEASE_DURATION, RENEW_DEADLINE, Lease
from scheduledtask.kube.api import ApiError

NAMES = ("one", "two")


@dataclass
class Register:
    """The Lease where it is kept. `writes` has the holder that each write named."""

    lease: Lease | None = None
    writes: list[str] = field(default_factory=list)

    def put(self, lease: Lease) -> Lease:
        known = self.lease.version if self.lease else ""
        if lease.version != known:
            raise ApiError(409, "Conflict", "the object has been modified")
        self.lease = replace(lease, version=str(int(known or 0) + 1))
        self.writes.append(lease.holder)
        return self.lease


async def at_once() -> None:
    """A turn that comes without delay."""


@dataclass
class Line:
    """One candidate's way to the register. `fault` takes the place of an answer, once."""

    register: Register
    turn: Callable[[], Awaitable[None]] = at_once
    fault: Exception | None = None
    reads: int = 0
    described: str = "namespace/lease"

    async def read(self) -> Lease | None:
        self.reads += 1
        await self.turn()
        lease = self.register.lease
        await self._arrive()
        return lease

    async def write(self, lease: Lease) -> Lease:
        await self.turn()
        written = self.register.put(lease)
        await self._arrive()
        return written

    async def _arrive(self) -> None:
        await self.turn()
        fault, self.fault = self.fault, None
        if fault:
            raise fault


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Two:
    """Two candidates on one machine."""

    clock: Clock = field(default_factory=Clock)
    register: Register = field(default_factory=Register)

    def __post_init__(self) -> None:
        self.lines = (Line(self.register), Line(self.register))
        self.one, self.two = (Leader(line, name, self.clock) for line, name in zip(self.lines, NAMES, strict=True))

    def lease(self) -> Lease:
        assert self.register.lease is not None
        return self.register.lease


async def test_the_first_one_leads_and_the_second_waits() -> None:
    made = Two()
    await made.one.attempt()
    await made.two.attempt()
    assert (made.one.leads(), made.two.leads()) == (True, False)
    assert (made.one.won.is_set(), made.two.won.is_set()) == (True, False)


async def test_a_leader_that_falls_silent_is_followed_and_ends_when_it_wakes() -> None:
    made = Two()
    await made.one.attempt()
    await made.two.attempt()
    made.clock.now += LEASE_DURATION
    await made.two.attempt()
    assert not made.two.leads()
    made.clock.now += 0.1
    await made.two.attempt()
    assert (made.one.leads(), made.two.leads()) == (False, True)
    with pytest.raises(LeadershipLostError, match="namespace/lease: not renewed for 10 s"):
        await made.one.attempt()
    assert made.register.writes == ["one", "two"], "who has lost does not write, not even to the Lease"


async def test_a_renewal_is_one_request() -> None:
    made = Two()
    await made.one.attempt()
    for _ in range(3):
        made.clock.now += RENEW_DEADLINE - 1
        await made.one.attempt()
    assert made.one.leads()
    assert (made.register.writes, made.lines[0].reads) == (["one"] * 4, 1)


@pytest.mark.parametrize("fault", [TimeoutError(), ApiError(500, "", "etcdserver: leader changed")])
async def test_a_renewal_that_was_made_without_an_answer_is_made_again(fault: Exception) -> None:
    made = Two()
    await made.one.attempt()
    made.clock.now += 2
    made.lines[0].fault = fault
    await made.one.attempt()
    made.clock.now += RENEW_DEADLINE - 3
    await made.one.attempt()
    made.clock.now += RENEW_DEADLINE - 1
    assert made.one.leads()
    assert made.lease().version == "3"


async def test_without_answers_it_ends_at_the_deadline() -> None:
    made = Two()
    await made.one.attempt()
    made.clock.now += RENEW_DEADLINE - 1
    made.lines[0].fault = TimeoutError()
    await made.one.attempt()
    made.clock.now += 1
    assert not made.one.leads()
    with pytest.raises(LeadershipLostError, match="not renewed"):
        await made.one.attempt()


async def test_who_finds_another_holder_ends_and_names_it() -> None:
    made = Two()
    await made.one.attempt()
    made.register.lease = replace(made.lease(), holder="two", version="9")
    await made.one.attempt()
    with pytest.raises(LeadershipLostError, match="held by 'two' now"):
        await made.one.attempt()
    assert not made.one.leads()


async def test_who_gives_it_up_may_not_write_any_more_and_the_next_one_need_not_wait() -> None:
    made = Two()
    await made.one.attempt()
    await made.two.attempt()
    await made.two.release()
    assert made.one.leads(), "what is not one's own is not given up"
    await made.one.release()
    assert not made.one.leads()
    await made.two.attempt()
    assert made.two.leads()
    assert (made.lease().holder, made.lease().transitions) == ("two", 1)


async def test_the_next_container_of_a_pod_goes_on_at_once() -> None:
    made = Two()
    await made.one.attempt()
    again = Leader(Line(made.register), made.one.identity, made.clock)
    await again.attempt()
    assert again.leads()
    assert made.lease().transitions == 0


async def test_its_age_is_the_time_since_the_lease_was_last_seen() -> None:
    made = Two()
    made.clock.now += 7
    made.lines[0].fault = TimeoutError()
    await made.one.attempt()
    assert (made.one.name, made.one.age, made.one.has_looked) == ("lease", 7.0, False)
    await made.one.attempt()
    assert (made.one.age, made.one.has_looked) == (0.0, True)


class Contest:
    """Several processes, each with a clock of its own. One that has lost is started anew under another name."""

    def __init__(self, offsets: Sequence[float]) -> None:
        self.time = 0.0
        self.register = Register()
        self.winners: set[str] = set()
        self._offsets = offsets
        self._lives = [0] * len(offsets)
        self._leaders = [self._born(number) for number in range(len(offsets))]
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._arrived = asyncio.Event()

    async def play(self, moves: Iterable[tuple[int, float, int]]) -> None:
        """In each move some time passes, and then one process takes some turns. Fails if two may ever write."""
        tasks = [asyncio.create_task(self._live(number)) for number in range(len(self._offsets))]
        try:
            for number, seconds, turns in moves:
                self.time += seconds
                self._check()
                for _ in range(turns):
                    (await self._awaiting(number)).set_result(None)
                    await self._awaiting(number)
                    self._check()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _check(self) -> None:
        leading = [leader.identity for leader in self._leaders if leader.leads()]
        assert len(leading) <= 1
        self.winners |= set(leading)

    async def _awaiting(self, number: int) -> "asyncio.Future[None]":
        """The turn that a process waits for, once it does."""
        while (turn := self._waiting.get(number)) is None or turn.done():
            self._arrived.clear()
            await asyncio.wait_for(self._arrived.wait(), 10)
        return turn

    async def _live(self, number: int) -> None:
        while True:
            with suppress(LeadershipLostError):
                while True:
                    await self._leaders[number].attempt()
                    await self._turn(number)
            self._leaders[number] = self._born(number)

    def _born(self, number: int) -> Leader:
        self._lives[number] += 1
        line = Line(self.register, lambda: self._turn(number))
        return Leader(line, f"{number}.{self._lives[number]}", lambda: self.time + self._offsets[number])

    def _turn(self, number: int) -> "asyncio.Future[None]":
        turn = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._arrived.set()
        return turn


RENEWAL = 5
"""The turns of a whole try: read and write, two each, and one to come back."""
PAUSES = (0.0, 0.0, 1.0, RENEW_DEADLINE - 1, LEASE_DURATION + 1)
TURNS = (RENEWAL, RENEWAL, RENEWAL, 1, 2, 3, 4)


@settings(max_examples=150, deadline=None)
@given(
    offsets=st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)),
    moves=st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from(PAUSES), st.sampled_from(TURNS)), min_size=20, max_size=30
    ),
)
def test_two_never_may_write_at_the_same_time_whoever_stands_still_when_and_for_how_long(
    offsets: tuple[float, float], moves: list[tuple[int, float, int]]
) -> None:
    asyncio.run(Contest(offsets).play(moves))


async def test_in_a_contest_the_leader_does_change() -> None:
    contest = Contest([0.0, 500.0])
    await contest.play([(0, 0, RENEWAL), (1, 1, RENEWAL), (1, LEASE_DURATION + 1, RENEWAL), (0, 1, RENEWAL)])
    assert contest.winners == {"0.1", "1.1"}
