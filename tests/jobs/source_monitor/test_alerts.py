"""Alerts: who is told, at least once and under one id, over a real HTTP receiver and a real SMTP server."""

from __future__ import annotations

import base64
import email
import email.policy
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from standardwebhooks.webhooks import Webhook

from scheduledtask_sdk.failures import Misconfigured
from tests.cluster import pki
from tests.jobs.source_monitor.conftest import Monitor
from tests.receiver import Receiver, hangs, resets, says
from tests.upstreams.watched_pages import Page, PageServer

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
PATH = "/hook"


@pytest.fixture
def changing(monitor: Monitor, pages: PageServer, hooks: Receiver) -> Monitor:
    """A monitor with a webhook and a source that has just changed."""
    return changed(monitor, pages, hooks)


@pytest.fixture
def once(on_sqlite: Monitor, pages: PageServer, hooks: Receiver) -> Monitor:
    """The same on SQLite alone."""
    return changed(on_sqlite, pages, hooks)


def changed(monitor: Monitor, pages: PageServer, hooks: Receiver) -> Monitor:
    monitor.settings |= {"alert_webhook_url": hooks.url(PATH), "alert_webhook_secret": SECRET}
    pages.pages["/terms"] = Page.html("<p>Refunds within 14 days.")
    monitor.add(f"{pages.url}/terms", name="Terms")
    monitor.fetch()
    pages.pages["/terms"] = Page.html("<p>Refunds within 30 days.")
    return monitor


def test_a_change_is_posted_once_signed_after_the_specification(changing: Monitor, hooks: Receiver) -> None:
    assert changing.fetch()["alerts_sent"] == 1
    assert changing.fetch()["alerts_sent"] == 0

    [request] = hooks.on(PATH)
    assert Webhook(SECRET).verify(request.body, request.headers)["type"] == "source.changed"
    assert request.id == changing.alerts()[0].id
    assert request.headers["content-type"] == "application/json"
    data = request.message["data"]
    assert (data["source"]["name"], data["diff"]) == ("Terms", "~ Refunds within [-14-]{+30+} days.")


@pytest.mark.parametrize(
    ("rules", "untold"),
    [
        ({"minimum_words": 10}, "2 words changed, told from 10 on"),
        ({"any_of": ["shipping"]}, "none of the words to tell of"),
        ({"none_of": ["refunds"]}, "it says 'refunds'"),
        ({"webhook": False}, "nobody is set up to be told"),
        ({"any_of": ["30 days"], "minimum_words": 2}, ""),
    ],
)
def test_a_source_says_which_of_its_changes_are_told_and_all_are_recorded(
    once: Monitor, pages: PageServer, hooks: Receiver, rules: dict[str, Any], untold: str
) -> None:
    once.add(f"{pages.url}/terms", alerts=rules)
    result = once.fetch()
    assert (result["changes_detected"], result["alerts_sent"]) == (1, 0 if untold else 1)
    assert len(hooks.on(PATH)) == result["alerts_sent"]
    from source_monitor.models import Change

    assert [change.untold for change in once.all(Change)] == [untold]


@pytest.mark.parametrize(
    "answer", [says(500), says(429, Retry_After="0"), says(503), resets], ids=["500", "429", "503", "reset"]
)
def test_a_receiver_that_fails_for_a_moment_is_told_again_under_the_same_id(
    once: Monitor, hooks: Receiver, answer: Any
) -> None:
    hooks.faults[PATH] = [answer]
    assert once.fetch()["alerts_sent"] == 1
    first, second = hooks.on(PATH)
    assert first.id == second.id
    assert first.body == second.body


def test_what_could_not_be_delivered_is_delivered_by_a_later_run(changing: Monitor, hooks: Receiver) -> None:
    hooks.faults[PATH] = [says(500)] * 3
    result = changing.fetch("run-1")
    [alert] = changing.alerts()
    assert (result["changes_detected"], result["alerts_sent"]) == (1, 0)
    assert result["errors"] == [f"alert {alert.id} by webhook: the webhook answered 500"]
    assert (alert.outstanding, alert.tries) == (True, 1)

    result = changing.fetch("run-2")

    assert (result["changes_detected"], result["alerts_sent"], result["errors"]) == (0, 1, [])
    assert {request.id for request in hooks.on(PATH)} == {alert.id}
    assert changing.fetch("run-3")["alerts_sent"] == 0


def test_a_receiver_that_hangs_is_not_waited_for_without_end(
    once: Monitor, hooks: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("source_monitor.channels._ANSWER_SECONDS", 0.2)
    released = threading.Event()
    hooks.faults[PATH] = [hangs(released)] * 3
    try:
        assert "did not answer in time" in once.fetch()["errors"][0]
    finally:
        released.set()


def test_a_channel_that_is_down_is_tried_with_one_alert_and_none_is_lost(
    once: Monitor, pages: PageServer, hooks: Receiver
) -> None:
    for number in range(4):
        pages.pages[f"/{number}"] = Page.html("<p>old")
        once.add(f"{pages.url}/{number}")
    pages.pages["/terms"] = Page.html("<p>Refunds within 14 days.")
    once.fetch()
    for number in range(4):
        pages.pages[f"/{number}"] = Page.html("<p>new")
    hooks.faults[PATH] = [says(500)] * 3
    assert once.fetch()["changes_detected"] == 4
    assert len(hooks.on(PATH)) == 3
    assert once.fetch()["alerts_sent"] == 4
    assert len({request.id for request in hooks.on(PATH)}) == 4


def test_one_message_that_is_refused_does_not_hold_up_the_others(
    once: Monitor, pages: PageServer, hooks: Receiver
) -> None:
    pages.pages["/other"] = Page.html("<p>old")
    once.add(f"{pages.url}/other")
    once.fetch()
    once_more = Page.html("<p>new")
    pages.pages["/other"] = pages.pages["/terms"] = once_more
    hooks.faults[PATH] = [says(400)]
    assert once.fetch()["alerts_sent"] == 1


def test_an_alert_that_nobody_takes_is_given_up_after_two_weeks(once: Monitor, hooks: Receiver) -> None:
    hooks.faults[PATH] = [says(410)] * 2
    once.fetch()
    once.age(timedelta(days=15))
    once.fetch()
    [alert] = once.alerts()
    assert (alert.outstanding, alert.delivered_at, alert.tries) == (False, None, 2)
    assert once.fetch()["alerts_sent"] == 0


def test_a_secret_in_the_address_of_the_webhook_is_not_told(once: Monitor, hooks: Receiver) -> None:
    once.settings["alert_webhook_url"] = hooks.url("/hook?token=s3cr3t")
    hooks.faults["/hook?token=s3cr3t"] = [says(500)] * 3
    assert "s3cr3t" not in str(once.fetch())


class Mailbox:
    """What an SMTP server took; ``refusals`` are its next answers to a recipient or a message."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, EmailMessage]] = []
        self.refusals: dict[str, list[str]] = {}
        self.secured: list[bool] = []

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Session, envelope: Envelope, to: str, options: list[str]
    ) -> str:
        if refusals := self.refusals.get(to):
            return refusals.pop(0)
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if refusals := self.refusals.get("DATA"):
            return refusals.pop(0)
        self.secured.append(session.ssl is not None)
        assert isinstance(envelope.content, bytes)
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.mails += [(to, message) for to in envelope.rcpt_tos]
        return "250 OK"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    pki.make(folder, (pki.Certificate("mail", "/CN=mail", "serverAuth", ("DNS:localhost", "IP:127.0.0.1")),))
    return folder


@contextmanager
def mail_server(tls: ssl.SSLContext | None, **options: Any) -> Iterator[tuple[Mailbox, int]]:
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=0, tls_context=tls, require_starttls=bool(tls), **options)
    # Port 0: the controller asks its own port for an answer when it starts, so the kernel chooses beforehand.
    controller.port = free_port()
    controller.start()
    try:
        yield box, controller.port
    finally:
        controller.stop()


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def mails(certificates: Path, monkeypatch: pytest.MonkeyPatch, once: Monitor) -> Iterator[Mailbox]:
    """A server that insists on STARTTLS and a login, and a monitor that is set up for it and for nothing else."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ca.crt"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "mail.crt", certificates / "mail.key")

    def check(server: Any, session: Any, envelope: Any, mechanism: str, data: LoginPassword) -> AuthResult:
        return AuthResult(success=data.password == b"right", handled=False)

    with mail_server(context, auth_required=True, authenticator=check) as (box, port):
        del once.settings["alert_webhook_url"]
        once.settings |= {
            "smtp_host": "127.0.0.1", "smtp_port": port, "smtp_user": "monitor", "smtp_password": "right",
            "alert_email_from": "monitor@example.com", "alert_email_to": ("legal@example.com", "ops@example.com"),
        }  # fmt: skip
        yield box


def test_everybody_gets_a_mail_of_their_own_over_tls(once: Monitor, mails: Mailbox) -> None:
    assert once.fetch()["alerts_sent"] == 2
    assert once.fetch()["alerts_sent"] == 0

    assert sorted(to for to, _ in mails.mails) == ["legal@example.com", "ops@example.com"]
    assert mails.secured == [True, True]
    identities = {alert.recipient: f"<{alert.id}@example.com>" for alert in once.alerts()}
    for to, message in mails.mails:
        assert message["Subject"] == "Changed: Terms"
        assert message["Message-ID"] == identities[to]
        assert "Refunds within [-14-]{+30+} days." in message.get_content()


def test_a_source_may_name_its_own_recipients(once: Monitor, pages: PageServer, mails: Mailbox) -> None:
    once.add(f"{pages.url}/terms", alerts={"email_to": ["team@example.org"]})
    once.fetch()
    assert [to for to, _ in mails.mails] == ["team@example.org"]


@pytest.mark.parametrize("refusal", ["450 come again", "550 no such user"])
def test_one_recipient_who_is_refused_does_not_keep_the_mail_from_the_other(
    once: Monitor, mails: Mailbox, refusal: str
) -> None:
    mails.refusals["legal@example.com"] = [refusal] * 3
    result = once.fetch()
    assert result["alerts_sent"] == 1
    assert f"legal@example.com is refused: {refusal}" in result["errors"][0]
    mails.refusals.clear()
    assert once.fetch()["alerts_sent"] == 1
    assert sorted(to for to, _ in mails.mails) == ["legal@example.com", "ops@example.com"]


def test_a_server_that_is_busy_for_a_moment_gets_the_mail_again(once: Monitor, mails: Mailbox) -> None:
    mails.refusals["DATA"] = ["451 busy"]
    assert once.fetch()["alerts_sent"] == 2


def test_a_wrong_password_is_told_without_it(once: Monitor, mails: Mailbox) -> None:
    once.settings["smtp_password"] = "wr0ng"
    [error] = once.fetch()["errors"]
    assert "refuses SMTP_USER and SMTP_PASSWORD" in error
    assert "wr0ng" not in error
    assert [alert.outstanding for alert in once.alerts()] == [True, True]


def test_a_server_without_starttls_gets_nothing_unless_that_is_set_up(once: Monitor, mails: Mailbox) -> None:
    with mail_server(None) as (box, port):
        once.settings |= {"smtp_port": port, "smtp_user": ""}
        assert "can't do what is set up" in once.fetch()["errors"][0]
        assert box.mails == []
        once.settings["smtp_security"] = "none"
        assert once.fetch()["alerts_sent"] == 2


def test_a_certificate_of_somebody_else_is_refused(
    once: Monitor, mails: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "the certificate of 127.0.0.1 is not valid" in once.fetch()["errors"][0]
    assert mails.mails == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alert_webhook_url": "example.com/hook"}, "ALERT_WEBHOOK_URL is not an address"),
        ({"alert_webhook_secret": "whsec_x", "alert_webhook_url": "http://127.0.0.1/"}, "ALERT_WEBHOOK_SECRET is not"),
        ({"alert_email_to": ("a@example.com",)}, "ALERT_EMAIL_TO is set, but SMTP_HOST is not"),
        (
            {"alert_email_to": ("a b",), "smtp_host": "mail", "alert_email_from": "m@example.com"},
            "'a b' is not an e-mail",
        ),
        ({"smtp_host": "mail"}, "SMTP_HOST is set, but ALERT_EMAIL_FROM is not"),
        ({"internal_networks": "10.0.0.0/99"}, "ALLOWED_INTERNAL_NETWORKS: '10.0.0.0/99' is not a network"),
        ({"user_agent": "a\nb"}, "USER_AGENT: "),
    ],
)
def test_a_wrong_setting_ends_the_run_before_anything_is_fetched(
    on_sqlite: Monitor, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(Misconfigured, match=message):
        on_sqlite.fetch(**settings)
