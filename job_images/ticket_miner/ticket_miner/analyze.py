"""analyze: have the model say of each ticket what it is about.

Several requests are under way at once, ten outcomes go into one transaction together with what they cost. A ticket
whose text has an outcome is not asked about again. The first failure of the API ends the run: what was answered is
kept, and the next attempt goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import TypeVar

from sqlalchemy import Connection, Engine, Select, and_, delete, func, select

from scheduledtask_sdk import Run
from scheduledtask_sdk.failures import Failure
from ticket_miner.budget import Budget
from ticket_miner.classification import Classification, Unparsable, prompt_of
from ticket_miner.classifier import Classifier, OutOfBudget
from ticket_miner.claude import Claude
from ticket_miner.models import Analysis, SetAside, Spending, Ticket
from ticket_miner.storage import reading, upsert

T = TypeVar("T")

GROUP = 10
LOADED = 50
"""Tickets whose text is held at once, besides those under way."""

LOOK = 0.2
"""Seconds after which a wait for answers looks whether the run is to stop."""

PATIENCE = 10.0
"""Seconds that requests under way may still take once the run is to end: their answers are paid for."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`batch`: tickets of this run, 0 for all. `concurrency`: requests at once. `daily_tokens`: of input and output
    together in one day (UTC) over all runs, 0 for no bound. `longest_wait`: see :class:`Classifier`."""

    batch: int
    concurrency: int
    daily_tokens: int
    longest_wait: float


@dataclass(slots=True)
class Analyzed:
    """What a run did."""

    analyzed: int = 0
    set_aside: int = 0
    remaining: int = 0
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    out_of_budget: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A ticket and the version of its text that the model is asked about."""

    id: int
    content_digest: str
    prompt: str


@dataclass(slots=True)
class _Work:
    """The run's state: what is under way, what is answered and not yet committed."""

    tickets: Iterator[Asked]
    total: int
    under_way: dict[asyncio.Task[Classification | Unparsable], Asked] = field(default_factory=dict)
    answered: list[tuple[Asked, Classification | Unparsable]] = field(default_factory=list)
    failure: BaseException | None = None
    ending_since: float | None = None


def analyze_tickets(engine: Engine, claude: Claude, limits: Limits, today: date, run: Run) -> Analyzed:
    """Classify what is new or changed, the longest waiting first. Raises the API's :class:`Failure`, after the commit
    of all that was answered."""
    with reading(engine) as connection:
        query = _waiting(select(Ticket.id)).order_by(Ticket.generated_timestamp, Ticket.id)
        ids = list(connection.scalars(query.limit(limits.batch) if limits.batch else query))
        used = connection.scalar(select(Spending.input_tokens + Spending.output_tokens).where(Spending.day == today))
    classifier = Classifier(claude, Budget(limits.daily_tokens or None, used or 0), limits.longest_wait)
    done = Analyzed()
    work = _Work(_loaded(engine, ids), len(ids))
    run.progress("Analyzing tickets", 0, len(ids))
    with run.held():
        asyncio.run(_Analysis(engine, classifier, limits, today, run, work, done).finish())
    if work.failure is not None:
        raise work.failure
    with reading(engine) as connection:
        done.remaining = connection.scalar(_waiting(select(func.count()))) or 0
    return done


@dataclass(frozen=True, slots=True)
class _Analysis:
    engine: Engine
    classifier: Classifier
    limits: Limits
    today: date
    run: Run
    work: _Work
    done: Analyzed

    async def finish(self) -> None:
        """Work until nothing is left, or until the run is to end; then let go of what takes too long."""
        work = self.work
        try:
            while self._begin_more() or work.under_way:
                ended, _ = await asyncio.wait(work.under_way, timeout=LOOK, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    self._take(task)
                if len(work.answered) >= GROUP:
                    self._commit()
                if self._overdue():
                    break
            for task in work.under_way:
                task.cancel()
            await asyncio.gather(*work.under_way, return_exceptions=True)
        finally:
            self._commit()
            await self.classifier.claude.close()

    def _ending(self) -> bool:
        return self.run.stop_requested or self.work.failure is not None or self.done.out_of_budget

    def _begin_more(self) -> bool:
        """Keep as many requests under way as are allowed; whether there are any."""
        while not self._ending() and len(self.work.under_way) < self.limits.concurrency:
            ticket = next(self.work.tickets, None)
            if ticket is None:
                break
            task = asyncio.create_task(self.classifier.classify(ticket.prompt))
            self.work.under_way[task] = ticket
        return bool(self.work.under_way)

    def _take(self, task: asyncio.Task[Classification | Unparsable]) -> None:
        ticket = self.work.under_way.pop(task)
        try:
            self.work.answered.append((ticket, task.result()))
        except OutOfBudget:
            self.done.out_of_budget = True
        except Failure as failure:
            # The first one tells the cause; those that follow are mostly its echo.
            self.work.failure = self.work.failure or failure
            self.run.log.warning("no answer", ticket=ticket.id, reason=failure.message, retryable=failure.retryable)

    def _overdue(self) -> bool:
        if not self._ending():
            return False
        if self.work.ending_since is None:
            self.work.ending_since = time.monotonic()
        return time.monotonic() - self.work.ending_since > PATIENCE

    def _commit(self) -> None:
        """Ten outcomes at a time, and what was spent."""
        spent = self.classifier.take_spent()
        answered, self.work.answered = self.work.answered, []
        with self.engine.begin() as connection:
            self._write(connection, answered)
            _add_spending(connection, self.today, spent.requests, spent.input_tokens, spent.output_tokens)
        self.done.requests += spent.requests
        self.done.input_tokens += spent.input_tokens
        self.done.output_tokens += spent.output_tokens
        self.run.progress("Analyzing tickets", self.done.analyzed + self.done.set_aside, self.work.total)

    def _write(self, connection: Connection, answered: list[tuple[Asked, Classification | Unparsable]]) -> None:
        there = set(connection.scalars(select(Ticket.id).where(Ticket.id.in_([ticket.id for ticket, _ in answered]))))
        analyses, set_asides = [], []
        for ticket, outcome in answered:
            if ticket.id not in there:
                continue
            row = {"ticket_id": ticket.id, "content_digest": ticket.content_digest}
            if isinstance(outcome, Unparsable):
                self.run.log.warning("set aside", ticket=ticket.id, reason=str(outcome))
                set_asides.append({**row, "reason": str(outcome)})
            else:
                analyses.append({**row, "model": self.classifier.claude.model, **outcome.model_dump()})
        upsert(connection, Analysis, analyses)
        upsert(connection, SetAside, set_asides)
        # A new text has one outcome: the other table may still hold that of the text before.
        connection.execute(delete(SetAside).where(SetAside.ticket_id.in_([row["ticket_id"] for row in analyses])))
        self.done.analyzed += len(analyses)
        self.done.set_aside += len(set_asides)


def said(done: Analyzed) -> str:
    """What was done, in a line."""
    text = f"{done.analyzed} tickets analyzed, {done.set_aside} set aside, {done.remaining} remaining"
    if done.out_of_budget:
        text += "; stopped at the day's token budget"
    return f"{text} ({done.input_tokens + done.output_tokens} tokens in {done.requests} requests)"


def _waiting(query: Select[T]) -> Select[T]:
    """Of the query's tickets those without an outcome for the text that they have now."""
    return (
        query.select_from(Ticket)
        .outerjoin(Analysis, and_(Analysis.ticket_id == Ticket.id, Analysis.content_digest == Ticket.content_digest))
        .outerjoin(SetAside, and_(SetAside.ticket_id == Ticket.id, SetAside.content_digest == Ticket.content_digest))
        .where(Analysis.ticket_id.is_(None), SetAside.ticket_id.is_(None))
    )


def _loaded(engine: Engine, ids: list[int]) -> Iterator[Asked]:
    for start in range(0, len(ids), LOADED):
        with reading(engine) as connection:
            rows = connection.execute(
                select(Ticket.id, Ticket.content_digest, Ticket.subject, Ticket.description).where(
                    Ticket.id.in_(ids[start : start + LOADED])
                )
            ).all()
        for ticket, digest, subject, description in rows:
            yield Asked(ticket, digest, prompt_of(subject, description))


def _add_spending(connection: Connection, day: date, requests: int, input_tokens: int, output_tokens: int) -> None:
    if not requests:
        return
    before = connection.execute(
        select(Spending.requests, Spending.input_tokens, Spending.output_tokens).where(Spending.day == day)
    ).first() or (0, 0, 0)
    upsert(
        connection,
        Spending,
        [
            {
                "day": day,
                "requests": before[0] + requests,
                "input_tokens": before[1] + input_tokens,
                "output_tokens": before[2] + output_tokens,
            }
        ],
    )
