"""Two questions to Riot's servers, each answered with a value or with a :class:`Failure` that says whether
asking again can help.

- ``GET /lol/status/v4/platform-data`` with the header ``X-Riot-Token``: a platform's name, maintenances and
  incidents (LOL-STATUS-V4).
- ``GET /api/versions.json`` of Data Dragon, without a key: all versions, the newest first.

Waits are bounded: by :attr:`Riot.answer_limit` for one answer, however slowly it drips; a ``Retry-After`` is obeyed
up to the bound given and otherwise left to the next attempt. Redirects are not followed, so the key goes
nowhere else. The key appears in no message.
"""

from __future__ import annotations

from dataclasses import dataclass

import httpx
import msgspec

from scheduledtask_sdk import http
from scheduledtask_sdk.failures import InvalidInput

SIZE_LIMIT = 4 * 1024 * 1024
"""Bytes of an answer; the largest real one has some ten thousand."""


class _Content(msgspec.Struct):
    locale: str
    content: str


class _Status(msgspec.Struct):
    id: int
    titles: list[_Content] = []
    maintenance_status: str | None = None
    incident_severity: str | None = None
    created_at: str | None = None
    updated_at: str | None = None


class _PlatformData(msgspec.Struct):
    id: str
    name: str
    maintenances: list[_Status]
    incidents: list[_Status]


@dataclass(frozen=True, slots=True)
class Platform:
    """What platform-data says: maintenances and incidents as small mappings of id, title, status or severity,
    and times."""

    id: str
    name: str
    maintenances: tuple[dict[str, object], ...]
    incidents: tuple[dict[str, object], ...]


@dataclass(frozen=True, slots=True)
class Riot:
    """Riot's servers as seen with one key.

    ``longest_wait``: seconds that ``Retry-After`` may ask for within this run; ``answer_limit``: seconds from a
    request to the end of its answer.
    """

    client: httpx.Client
    base_url: str
    data_dragon_url: str
    key: str
    longest_wait: float
    answer_limit: float

    def platform(self) -> Platform:
        """The platform's state."""
        url = f"{self.base_url}/lol/status/v4/platform-data"
        raw = self._get(url, {"X-Riot-Token": self.key})
        try:
            data = msgspec.json.decode(raw, type=_PlatformData)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidInput(f"{url} answered something else than platform data: {error}", url=url) from None
        return Platform(
            data.id,
            data.name,
            tuple(_summary(status, "maintenance_status") for status in data.maintenances),
            tuple(_summary(status, "incident_severity") for status in data.incidents),
        )

    def patch(self) -> str:
        """The newest patch, "15.20" of the version "15.20.1"."""
        url = f"{self.data_dragon_url}/api/versions.json"
        raw = self._get(url, {})
        try:
            versions = msgspec.json.decode(raw, type=list[str])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidInput(f"{url} answered something else than a list of versions: {error}", url=url) from None
        parts = versions[0].split(".") if versions else []
        if len(parts) < 3 or not all(part.isdigit() for part in parts[:2]):
            raise InvalidInput(f"{url}: the first version, {versions[:1]}, is not of the form 15.20.1", url=url)
        return ".".join(parts[:2])

    def _get(self, url: str, headers: dict[str, str]) -> bytes:
        response = http.send(
            self.client,
            "GET",
            url,
            headers=headers,
            longest_wait=self.longest_wait,
            answer_limit=self.answer_limit,
            size_limit=SIZE_LIMIT,
            called=url,
            mend="Is RIOT_API_KEY right, and not expired?",
        )
        return response.content


def _summary(status: _Status, field: str) -> dict[str, object]:
    titles = {title.locale: title.content for title in status.titles}
    title = titles.get("en_US") or next(iter(titles.values()), "")
    return {
        "id": status.id,
        "title": title,
        field: getattr(status, field),
        "created_at": status.created_at,
        "updated_at": status.updated_at,
    }
