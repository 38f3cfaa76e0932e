"""The rules of a delivery after the Standard Webhooks specification, version 1.0: the signed request, what an answer
means, and when to try again. https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from scheduledtask.api.status import WebhookMessage, format_time

WAITS = tuple(timedelta(seconds=seconds) for seconds in (5, 60, 300, 1800, 7200, 21600, 43200))
"""Before try 2, 3, …: eight tries within a day, the last after some 21 hours."""
JITTER = 0.2
"""By how much of itself a wait is longer at most, so that messages that failed together don't return together."""
LONGEST_WAIT = timedelta(hours=24)
"""What Retry-After can ask for, at most."""
SECRET_PREFIX = "whsec_"
SECRET_BYTES = range(24, 65)
"""How many the specification allows."""

_NAT64 = IPv6Network("64:ff9b::/96")
_ALSO_INTERNAL = tuple(
    ip_network(text) for text in ("168.63.129.16/32", "192.0.0.0/24", "64:ff9b:1::/48", "2001::/23", "3fff::/20")
)
"""Azure's metadata service, the one on an address that looks public, and special ranges that Python's `ipaddress`
calls global in some versions and not in others (IANA's special-purpose address registries)."""


class SecretError(ValueError):
    """The text is no signing secret; the message says what one looks like, never what stands there."""


class Verdict(Enum):
    """What an answer means."""

    DELIVERED = "delivered"
    RETRY = "retry"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one try. `code` is None where no answer came; `words` say what happened, without the address."""

    code: int | None
    words: str
    retry_after: timedelta = timedelta(0)

    @property
    def verdict(self) -> Verdict:
        if self.code is not None and 200 <= self.code < 300:
            return Verdict.DELIVERED
        return Verdict.GONE if self.code == 410 else Verdict.RETRY


def body_of(message: WebhookMessage) -> bytes:
    """The JSON that is sent: the same bytes for the same message, through restarts too."""
    body = {"type": message.type, "timestamp": format_time(message.timestamp), "data": message.data}
    return json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def read_secrets(text: str) -> tuple[bytes, ...]:
    """The keys in a Secret: `whsec_<base64>`, or several with spaces or line breaks between, to change them without a
    gap: a message then carries a signature by each. Raises SecretError.
    """
    keys = tuple(_read_secret(part) for part in text.split())
    if not keys:
        raise SecretError("it is empty: write whsec_ and the base64 of 24 to 64 random bytes")
    return keys


def headers_of(message_id: str, body: bytes, keys: tuple[bytes, ...], now: datetime) -> dict[str, str]:
    """Id, time of this try, and a signature by each key; without keys the message is not signed."""
    timestamp = str(int(now.timestamp()))
    headers = {"webhook-id": message_id, "webhook-timestamp": timestamp}
    if keys:
        signed = f"{message_id}.{timestamp}.".encode() + body
        signatures = (base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys)
        headers["webhook-signature"] = " ".join(f"v1,{signature}" for signature in signatures)
    return headers


def wait_after(tries: int, answer: Answer, chance: float) -> timedelta | None:
    """How long to wait after so many failed tries, or None to give up. `chance` is random, from 0 to 1."""
    if tries > len(WAITS):
        return None
    return max(WAITS[tries - 1] * (1 + JITTER * chance), min(answer.retry_after, LONGEST_WAIT))


def read_retry_after(text: str, now: datetime) -> timedelta:
    """The header Retry-After, in seconds or as an HTTP date; 0 where it is neither or in the past."""
    if text.isascii() and text.isdecimal():
        return timedelta(seconds=min(int(text[:9]), 10**9))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return timedelta(0)
    return max(timedelta(0), (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now)


def is_internal(address: str) -> bool:
    """Whether an IP address may lead into the cluster, its network or a cloud's metadata service, rather than to the
    internet. IPv6 addresses that stand for an IPv4 address count as that. Raises ValueError for what is no address.
    """
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address):
        parsed = _embedded(parsed) or parsed
    return (
        not parsed.is_global
        or parsed.is_multicast
        or parsed.is_reserved
        or any(parsed in net for net in _ALSO_INTERNAL)
    )


def _embedded(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _read_secret(text: str) -> bytes:
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(SECRET_PREFIX) or len(key) not in SECRET_BYTES:
        raise SecretError("it must be whsec_ and the base64 of 24 to 64 random bytes")
    return key
