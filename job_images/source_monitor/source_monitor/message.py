"""What is told of a change: the body of a webhook message, and an e-mail. The same bytes whenever it is told again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

LONGEST_ACCOUNT = 20_000
"""Characters of the account in a message; the whole stands in the database."""

_LONGEST_SUBJECT = 150


@dataclass(frozen=True, slots=True)
class Story:
    """A change, for whoever is told of it."""

    change: int
    source: int
    name: str
    url: str
    kind: str
    detected_at: datetime
    words_removed: int
    words_added: int
    account: str

    @property
    def shown_account(self) -> str:
        """The account as far as a message has room."""
        if len(self.account) <= LONGEST_ACCOUNT:
            return self.account
        return f"{self.account[:LONGEST_ACCOUNT]}…\n(cut short; `source-monitor changes show --change {self.change}`)"


def webhook_body(story: Story) -> bytes:
    """JSON after the Standard Webhooks specification: type, timestamp, data."""
    body = {
        "type": "source.changed",
        "timestamp": story.detected_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "data": {
            "change": story.change,
            "source": {"id": story.source, "name": story.name, "url": story.url, "kind": story.kind},
            "words_added": story.words_added,
            "words_removed": story.words_removed,
            "diff": story.shown_account,
        },
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def email(story: Story, alert_id: str, sender: str, recipient: str) -> EmailMessage:
    """The e-mail. Its Message-ID is made from the alert's id, so that mail programs know a repetition."""
    message = EmailMessage()
    message["Subject"] = _shortened(f"Changed: {story.name}")
    message["From"] = Address("source-monitor", addr_spec=sender)
    message["To"] = Address(addr_spec=recipient)
    message["Date"] = format_datetime(story.detected_at.astimezone(UTC))
    message["Message-ID"] = f"<{alert_id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    seen = f"{story.detected_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    message.set_content(
        f"{story.name}\n{story.url}\n\n"
        f"{story.words_added} words new, {story.words_removed} gone, seen {seen}.\n\n"
        f"{story.shown_account}\n"
    )
    return message


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_SUBJECT else f"{text[: _LONGEST_SUBJECT - 1]}…"
