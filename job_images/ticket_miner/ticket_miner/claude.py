"""Anthropic's Messages API, through its own library: one ticket, one request, one answer or one classed failure.

The library's own repeats are off: it would wait as long as a Retry-After says, be it an hour, and would spend
unseen by the budget.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import anthropic

from scheduledtask_sdk.failures import (
    Failure,
    InvalidInput,
    Misconfigured,
    PermissionDenied,
    RateLimited,
    Timeout,
    Unavailable,
)
from scheduledtask_sdk.http import retry_after
from ticket_miner.classification import ANSWER_TOKENS, SYSTEM, Classification


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the text, why it ended, and the tokens of input and output that are billed for it."""

    text: str
    stop_reason: str | None
    input_tokens: int
    output_tokens: int


class Claude:
    """The API as seen with one key."""

    def __init__(self, base_url: str, key: str, model: str, timeout: float) -> None:
        self.model = model
        self._schema = anthropic.transform_schema(Classification)
        self._client = anthropic.AsyncAnthropic(
            api_key=key, base_url=base_url, timeout=timeout, max_retries=0, open_telemetry=False
        )

    async def close(self) -> None:
        """Drop the connections."""
        await self._client.close()

    async def ask(self, prompt: str) -> Answer:
        """Send one request. Raises the :class:`Failure` that the API's error means."""
        try:
            message = await self._client.messages.create(
                model=self.model,
                max_tokens=ANSWER_TOKENS,
                system=SYSTEM,
                messages=[{"role": "user", "content": prompt}],
                output_config={"format": {"type": "json_schema", "schema": self._schema}},
            )
        except anthropic.APIError as error:
            raise failure_of(error, self.model) from None
        except json.JSONDecodeError:
            raise self._no_message() from None
        usage, content = getattr(message, "usage", None), getattr(message, "content", None)
        if usage is None or content is None:  # the library lets any JSON and any text pass
            raise self._no_message()
        text = "".join(block.text for block in content if block.type == "text")
        cached = (usage.cache_creation_input_tokens or 0) + (usage.cache_read_input_tokens or 0)
        return Answer(text, message.stop_reason, usage.input_tokens + cached, usage.output_tokens)

    def _no_message(self) -> Failure:
        url = f"{self._client.base_url}v1/messages"
        return InvalidInput(f"POST {url} answered something else than a message; is ANTHROPIC_BASE_URL right?")


def failure_of(error: anthropic.APIError, model: str) -> Failure:
    """What an error of the API means for the run. `status` in its context says that there was an answer."""
    where = f"POST {error.request.url}"
    if isinstance(error, anthropic.APITimeoutError):
        return Timeout(f"{where} did not answer in time")
    if not isinstance(error, anthropic.APIStatusError):
        cause = error.__cause__ or error
        return Unavailable(f"{where}: {str(cause) or type(cause).__name__}")
    status = error.status_code
    text = f"{where} answered {status}" + (f": {error.api_message[:300]}" if error.api_message else "")
    context: dict[str, Any] = {"status": status, "request_id": error.request_id}
    if (wait := retry_after(error.response.headers, datetime.now(UTC))) is not None:
        context["retry_after"] = wait
    if status in (401, 403):
        return PermissionDenied(f"{text}. Is ANTHROPIC_API_KEY right, and may it use {model}?", **context)
    if status == 402:
        return PermissionDenied(f"{text}. Has the account credit left?", **context)
    if status == 404:
        return Misconfigured(f"{text}. Are ANTHROPIC_MODEL={model} and ANTHROPIC_BASE_URL right?", **context)
    if status == 429:
        return RateLimited(text, **context)
    if status in (408, 409, 425) or status >= 500:
        return Unavailable(text, **context)
    return InvalidInput(text, **context)
