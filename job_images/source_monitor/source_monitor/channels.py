"""How alerts leave: a webhook after the Standard Webhooks specification, and e-mail over SMTP."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import smtplib
import ssl
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from scheduledtask_sdk import http
from scheduledtask_sdk.failures import Failure, InvalidInput, Misconfigured, PermissionDenied, Unavailable
from source_monitor.message import Story, email, webhook_body

if TYPE_CHECKING:
    import httpx

Security = Literal["starttls", "tls", "none"]

_ANSWER_SECONDS = 20.0
_SECRET_BYTES = range(24, 65)
"""How many the specification allows."""


def signing_keys(text: str) -> tuple[bytes, ...]:
    """The keys in ``whsec_<base64>``, or in several with blanks between, to change them without a gap. Raises
    Misconfigured, whose message does not repeat the text."""
    keys = []
    for part in text.split():
        try:
            key = base64.b64decode(part.removeprefix("whsec_"), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not part.startswith("whsec_") or len(key) not in _SECRET_BYTES:
            raise Misconfigured("ALERT_WEBHOOK_SECRET is not whsec_ and the base64 of 24 to 64 random bytes")
        keys.append(key)
    return tuple(keys)


def signed_headers(message_id: str, body: bytes, keys: tuple[bytes, ...], now: float) -> dict[str, str]:
    """Id, time of this try, and a signature by each key; without keys the message is not signed."""
    timestamp = str(int(now))
    headers = {"Content-Type": "application/json", "webhook-id": message_id, "webhook-timestamp": timestamp}
    if keys:
        signed = f"{message_id}.{timestamp}.".encode() + body
        signatures = (base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys)
        headers["webhook-signature"] = " ".join(f"v1,{signature}" for signature in signatures)
    return headers


class Webhook:
    """Posts to one address; any 2xx is a delivery. ``longest_wait``: seconds that a Retry-After may make a try wait."""

    def __init__(self, url: str, keys: tuple[bytes, ...], longest_wait: float) -> None:
        self._url = url
        self._keys = keys
        self._longest_wait = longest_wait
        self._client: httpx.Client | None = None

    def send(self, alert_id: str, story: Story, _recipient: str) -> None:
        """Deliver once. Raises Failure; its message does not show the address's query, where keys stand."""
        body = webhook_body(story)
        headers = signed_headers(alert_id, body, self._keys, time.time())
        if self._client is None:
            self._client = http.client(timeout=_ANSWER_SECONDS, user_agent="source-monitor")
        http.send(
            self._client, "POST", self._url, content=body, headers=headers,
            longest_wait=self._longest_wait, answer_limit=_ANSWER_SECONDS * 2, called="the webhook",
        )  # fmt: skip

    def close(self) -> None:
        """End the connection that is kept."""
        if self._client is not None:
            self._client.close()
            self._client = None


class Mail:
    """Sends over one connection to a server, made when it is first needed. ``security``: ``starttls`` insists on it,
    ``tls`` speaks TLS from the start, ``none`` is for a server in the same pod or cluster."""

    def __init__(self, host: str, port: int, security: Security, user: str, password: str, sender: str) -> None:
        self._host = host
        self._port = port or {"starttls": 587, "tls": 465, "none": 25}[security]
        self._security = security
        self._user = user
        self._password = password
        self._sender = sender
        self._open: smtplib.SMTP | None = None

    def send(self, alert_id: str, story: Story, recipient: str) -> None:
        """Deliver once. Raises Failure."""
        message = email(story, alert_id, self._sender, recipient)
        try:
            server = self._connected()
            server.send_message(message, self._sender, [recipient])
        except smtplib.SMTPRecipientsRefused as error:
            code, words = next(iter(error.recipients.values()))
            raise _refusal(code, words, f"{recipient} is refused", recipient=recipient) from error
        except smtplib.SMTPAuthenticationError as error:
            self.close()
            raise PermissionDenied(
                f"{self._host} refuses SMTP_USER and SMTP_PASSWORD: {_words(error.smtp_error)}"
            ) from error
        except smtplib.SMTPResponseException as error:
            self.close()
            raise _refusal(error.smtp_code, error.smtp_error, f"{self._host} refuses the message") from error
        except smtplib.SMTPNotSupportedError as error:
            self.close()
            raise Misconfigured(f"{self._host} can't do what is set up: {error}; see SMTP_SECURITY") from error
        except ssl.SSLCertVerificationError as error:
            self.close()
            raise Misconfigured(f"the certificate of {self._host} is not valid: {error.verify_message}") from error
        except (OSError, smtplib.SMTPException) as error:
            self.close()
            raise Unavailable(f"{self._host}:{self._port}: {error}") from error

    def close(self) -> None:
        """Take leave of the server."""
        if self._open is not None:
            with suppress(OSError, smtplib.SMTPException):
                self._open.quit()
            self._open = None

    def _connected(self) -> smtplib.SMTP:
        if self._open is None:
            context = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE"))
            server = (
                smtplib.SMTP_SSL(self._host, self._port, timeout=_ANSWER_SECONDS, context=context)
                if self._security == "tls"
                else smtplib.SMTP(self._host, self._port, timeout=_ANSWER_SECONDS)
            )
            self._open = server
            if self._security == "starttls":
                server.starttls(context=context)
            if self._user:
                server.login(self._user, self._password)
        return self._open


Channel = Webhook | Mail


def _refusal(code: int, words: bytes | str, what: str, **context: object) -> Failure:
    kind = Unavailable if 400 <= code < 500 else InvalidInput
    return kind(f"{what}: {code} {_words(words)}", code=code, **context)


def _words(said: bytes | str) -> str:
    return " ".join((said.decode(errors="replace") if isinstance(said, bytes) else said).split())[:200]
