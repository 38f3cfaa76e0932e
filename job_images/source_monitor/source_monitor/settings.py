"""What the commands' settings are made into: a fetching crew, and the channels by which alerts leave."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from urllib.parse import urlsplit

from scheduledtask_sdk.failures import Misconfigured
from scheduledtask_sdk.run import Run
from source_monitor.addresses import networks
from source_monitor.channels import Channel, Mail, Security, Webhook, signing_keys
from source_monitor.crew import Crew
from source_monitor.fetch import Fetcher
from source_monitor.hosts import Hosts
from source_monitor.journal import Journal
from source_monitor.record import EMAIL, WEBHOOK, Receivers
from source_monitor.wire import Wire

LONGEST_WEBHOOK_WAIT = 10.0
"""Seconds that a webhook's Retry-After may make a try wait."""


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """As the environment has them; empty is unset."""

    webhook_url: str
    webhook_secret: str
    email_to: tuple[str, ...]
    email_from: str
    smtp_host: str
    smtp_port: int
    smtp_security: Security
    smtp_user: str
    smtp_password: str

    def receivers(self) -> Receivers:
        """Who is told, where a source's rules don't say otherwise. Raises Misconfigured."""
        for address in filter(None, (*self.email_to, self.email_from)):
            if not re.fullmatch(r"[!-~]+@[!-~]+", address) or re.search(r"[,;<>\"]", address):
                raise Misconfigured(f"{address!r} is not an e-mail address; see ALERT_EMAIL_TO and ALERT_EMAIL_FROM")
        if self.email_to and not self.smtp_host:
            raise Misconfigured("ALERT_EMAIL_TO is set, but SMTP_HOST is not: name the mail server")
        return Receivers(webhook=bool(self.webhook_url), emails=self.email_to)

    def channels(self) -> dict[str, Channel]:
        """The channels that are set up. Raises Misconfigured."""
        channels: dict[str, Channel] = {}
        if self.webhook_url:
            parts = urlsplit(self.webhook_url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise Misconfigured("ALERT_WEBHOOK_URL is not an address such as https://example.com/hooks/changes")
            keys = signing_keys(self.webhook_secret)
            channels[WEBHOOK] = Webhook(self.webhook_url, keys, LONGEST_WEBHOOK_WAIT)
        if self.smtp_host:
            if not self.email_from:
                raise Misconfigured("SMTP_HOST is set, but ALERT_EMAIL_FROM is not: name the sender's address")
            channels[EMAIL] = Mail(
                self.smtp_host, self.smtp_port, self.smtp_security, self.smtp_user, self.smtp_password, self.email_from
            )
        return channels


@dataclass(frozen=True, slots=True)
class FetchSettings:
    """Times in seconds; ``size_limit`` in MiB."""

    user_agent: str
    hosts: int
    host_pause: float
    timeout: float
    size_limit: float
    longest_wait: float
    retry_pause: float
    internal_networks: str

    def crew(self, run: Run) -> Crew:
        """The threads that fetch. Raises Misconfigured."""
        if not self.user_agent.isprintable() or not self.user_agent.isascii():
            raise Misconfigured(f"USER_AGENT: {self.user_agent!r} holds characters that a header can't carry")
        try:
            allowed = networks(self.internal_networks)
        except ValueError as error:
            raise Misconfigured(f"ALLOWED_INTERNAL_NETWORKS: {error}") from None
        stopped = threading.Event()
        hosts = Hosts(self.host_pause, self.longest_wait, stopped)
        longest_body = int(self.size_limit * (1 << 20))
        fetcher = Fetcher(Wire(allowed), hosts, self.user_agent, self.timeout, longest_body)
        return Crew(Journal(run.log), fetcher, hosts, stopped, self.hosts, self.retry_pause)
