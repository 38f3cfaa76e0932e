"""Zendesk's incremental ticket export with cursors: `GET /api/v2/incremental/tickets/cursor.json`.

A page is asked for by `start_time` (the first) or `cursor` (the following); it brings up to `per_page` tickets in
their newest version, deleted ones too, `after_cursor` for the next page, and `end_of_stream` where there is none
yet. Ten requests a minute are allowed. `after_url` is not followed, so the token goes nowhere else.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

import httpx
from pydantic import BaseModel, ValidationError

from scheduledtask_sdk import http
from scheduledtask_sdk.failures import InvalidInput, Unavailable

PATH = "/api/v2/incremental/tickets/cursor.json"

SIZE_LIMIT = 64 * 1024 * 1024
"""Bytes of a page; a usual ticket has some five thousand, one of the greatest length, in Chinese, 400,000."""

ANSWER_LIMIT = 300.0
"""Seconds from a request to the end of its answer."""


class Page(BaseModel):
    """One answer. The tickets are read one by one, so that a broken one spoils no other."""

    tickets: list[object]
    after_cursor: str | None = None
    end_of_stream: bool


@dataclass(frozen=True, slots=True)
class Zendesk:
    """The export as seen with one token. `longest_wait`: seconds that a Retry-After may ask for within this attempt."""

    client: httpx.Client
    page_size: int
    longest_wait: float

    def page(self, start_time: int, cursor: str | None) -> Page:
        """One page; the first one where there is no cursor."""
        place: dict[str, str | int] = {"start_time": start_time} if cursor is None else {"cursor": cursor}
        try:
            response = http.send(
                self.client,
                "GET",
                PATH,
                params={**place, "per_page": self.page_size},
                longest_wait=self.longest_wait,
                answer_limit=ANSWER_LIMIT,
                size_limit=SIZE_LIMIT,
                mend="Are ZENDESK_EMAIL and ZENDESK_TOKEN right, and may that agent export tickets?",
            )
        except InvalidInput as failure:
            if "status" in failure.context:
                raise
            mend = f"a ZENDESK_PAGE_SIZE below {self.page_size} makes answers smaller"
            raise InvalidInput(f"{failure.message}; {mend}", **failure.context) from None
        where = f"GET {http.shown(response.request.url)}"
        try:
            # Not by pydantic, which refuses the whole page for half an emoji in one of its tickets.
            page = Page.model_validate(json.loads(response.content))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(str(part) for part in first["loc"]) or "body"
            raise InvalidInput(f"{where} answered no page of an export: {field}: {first['msg']}") from None
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"{where} answered no page of an export: {error}") from None
        if not page.end_of_stream and page.after_cursor in (None, cursor):
            raise Unavailable(f"{where} says that there is more, but gives no cursor that leads on", cursor=cursor)
        return page


def authorization(email: str, token: str) -> str:
    """The header: an API token goes with the e-mail address of an agent, an OAuth token alone."""
    if not email:
        return f"Bearer {token}"
    return "Basic " + base64.b64encode(f"{email}/token:{token}".encode()).decode()
