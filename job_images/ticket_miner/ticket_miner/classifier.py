"""One ticket classified: within the budget, with patience for the API and a second chance for the model."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from scheduledtask_sdk.failures import Failure, Timeout
from ticket_miner.budget import Budget
from ticket_miner.classification import Classification, Unparsable, dearest, read_answer
from ticket_miner.claude import Answer, Claude

TRIES = 2
"""How often the model is asked about one text before it is set aside."""

REPEATS = 2
PAUSES = (0.5, 2.0)
"""Seconds before a repeat where the API doesn't say how long to wait."""


class OutOfBudget(Exception):  # noqa: N818 - an end of the work, not a failure of the run
    """The next request might cost more than is left."""


@dataclass(slots=True)
class Spent:
    """Requests and tokens since the last commit."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(slots=True)
class Classifier:
    """`longest_wait`: seconds that a Retry-After may ask for within this attempt."""

    claude: Claude
    budget: Budget
    longest_wait: float
    spent: Spent = field(default_factory=Spent)

    async def classify(self, prompt: str) -> Classification | Unparsable:
        """What the model says, or why nothing it said was of use.

        Raises :class:`OutOfBudget`, and the :class:`Failure` of the API where patience did not help.
        """
        reason = Unparsable("not asked")
        for _ in range(TRIES):
            answer = await self._patiently(prompt)
            try:
                return read_answer(answer.text, answer.stop_reason)
            except Unparsable as unparsable:
                reason = unparsable
        return reason

    async def _patiently(self, prompt: str) -> Answer:
        for repeat in range(REPEATS):
            try:
                return await self._ask(prompt)
            except Failure as failure:
                pause = pause_before_repeat(failure, repeat, self.longest_wait)
                if pause is None:
                    raise
            await asyncio.sleep(pause)
        return await self._ask(prompt)

    async def _ask(self, prompt: str) -> Answer:
        most = dearest(prompt)
        if not self.budget.reserve(most):
            raise OutOfBudget
        input_tokens, output_tokens = most, 0
        try:
            answer = await self.claude.ask(prompt)
            input_tokens, output_tokens = answer.input_tokens, answer.output_tokens
        except Failure as failure:
            if "status" in failure.context:  # an error answer is not billed; silence may be
                input_tokens = 0
            raise
        finally:
            self.budget.settle(most, input_tokens + output_tokens)
            self.spent.requests += 1
            self.spent.input_tokens += input_tokens
            self.spent.output_tokens += output_tokens
        return answer

    def take_spent(self) -> Spent:
        """What was spent since this was last asked."""
        spent, self.spent = self.spent, Spent()
        return spent


def pause_before_repeat(failure: Failure, repeat: int, longest_wait: float) -> float | None:
    """Seconds to wait before the same request is sent again; none where that is left to the next attempt."""
    if not failure.retryable or isinstance(failure, Timeout):
        return None
    asked = failure.context.get("retry_after")
    if not isinstance(asked, float):
        return PAUSES[repeat]
    return asked if asked <= longest_wait else None
