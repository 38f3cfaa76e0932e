"""Tickets in Zendesk's wire format, and as rows."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field, ValidationError

DELETED = "deleted"


def storable(text: str) -> str:
    """The text as every database takes it: PostgreSQL has no zero character, and UTF-8 no lone surrogates."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()


Text = Annotated[str, BeforeValidator(lambda value: storable(value) if isinstance(value, str) else value)]


class Via(BaseModel):
    """Where a ticket came in: `web`, `email`, `api`, … or, for some integrations, a number."""

    channel: Text | int | None = None


class TicketDocument(BaseModel):
    """The fields that are kept; Zendesk sends many more. `generated_timestamp` is only in exports."""

    id: int = Field(ge=1, lt=2**63)
    status: Text
    subject: Text | None = None
    description: Text | None = None
    priority: Text | None = None
    type: Text | None = None
    via: Via | None = None
    tags: list[Text] = []
    organization_id: int | None = Field(default=None, lt=2**63)
    requester_id: int | None = Field(default=None, lt=2**63)
    created_at: AwareDatetime
    updated_at: AwareDatetime
    generated_timestamp: int = Field(lt=2**63)


class Unusable(Exception):  # noqa: N818 - a finding, not a failure of the run
    """A ticket in a form that Zendesk doesn't document; the text says which field."""


def read_ticket(document: object) -> TicketDocument:
    """The ticket, or :class:`Unusable`."""
    try:
        return TicketDocument.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        named = document.get("id") if isinstance(document, dict) else None
        raise Unusable(f"ticket {named}: {place or 'document'}: {first['msg']}") from None


def row_of(ticket: TicketDocument) -> dict[str, Any]:
    """The row of :class:`ticket_miner.models.Ticket`."""
    subject, description = ticket.subject or "", ticket.description or ""
    channel = ticket.via.channel if ticket.via else None
    return {
        "id": ticket.id,
        "subject": subject,
        "description": description,
        "status": ticket.status,
        "priority": ticket.priority,
        "kind": ticket.type,
        "channel": None if channel is None else str(channel),
        "tags": ticket.tags,
        "organization_id": ticket.organization_id,
        "requester_id": ticket.requester_id,
        "created_at": ticket.created_at,
        "updated_at": ticket.updated_at,
        "generated_timestamp": ticket.generated_timestamp,
        "content_digest": digest_of(subject, description),
    }


def digest_of(subject: str, description: str) -> str:
    """Names the text that the model is shown."""
    return hashlib.sha256(f"{subject}\0{description}".encode()).hexdigest()
