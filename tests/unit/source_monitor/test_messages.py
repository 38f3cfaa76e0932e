"""What receivers get: a webhook that the specification's own library verifies, and a mail that threads by its id."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from scheduledtask_sdk.failures import Misconfigured
from source_monitor.channels import signed_headers, signing_keys
from source_monitor.message import LONGEST_ACCOUNT, Story, email, webhook_body

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(range(1, 33))).decode()


def story(account: str = "~ within [-14-]{+30+} days", name: str = "Terms") -> Story:
    moment = datetime(2026, 11, 24, 2, 0, 5, tzinfo=UTC)
    return Story(7, 3, name, "https://example.com/terms", "html", moment, 1, 1, account)


def test_the_body_is_the_same_each_time_and_says_what_changed() -> None:
    assert webhook_body(story()) == webhook_body(story())
    assert json.loads(webhook_body(story())) == {
        "type": "source.changed",
        "timestamp": "2026-11-24T02:00:05Z",
        "data": {
            "change": 7,
            "source": {"id": 3, "name": "Terms", "url": "https://example.com/terms", "kind": "html"},
            "words_added": 1,
            "words_removed": 1,
            "diff": "~ within [-14-]{+30+} days",
        },
    }


def test_the_signature_is_that_of_the_specification_by_each_key() -> None:
    body = webhook_body(story())
    headers = signed_headers("msg_1", body, signing_keys(f"{SECRET} {OTHER}"), time.time())
    for secret in (SECRET, OTHER):
        assert Webhook(secret).verify(body, headers)["type"] == "source.changed"
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body + b" ", headers)


def test_without_a_secret_nothing_is_signed() -> None:
    assert "webhook-signature" not in signed_headers("msg_1", b"{}", signing_keys(""), time.time())


@pytest.mark.parametrize("text", ["secret", "whsec_", "whsec_AAAA", "whsec_not base64", SECRET + "!"])
def test_a_wrong_secret_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        signing_keys(text)
    assert "secret" not in refused.value.message.lower().replace("alert_webhook_secret", "")


def test_a_mail_says_what_changed_and_has_an_id_of_its_own() -> None:
    message = email(story(name="Terms – “Größe”"), "msg_1", "monitor@example.com", "legal@example.org")
    assert message["Subject"] == "Changed: Terms – “Größe”"
    assert message["Message-ID"] == "<msg_1@example.com>"
    assert (message["To"], message["Auto-Submitted"]) == ("legal@example.org", "auto-generated")
    text = message.get_content()
    assert "https://example.com/terms" in text
    assert "within [-14-]{+30+} days" in text
    assert bytes(message) == bytes(
        email(story(name="Terms – “Größe”"), "msg_1", "monitor@example.com", "legal@example.org")
    )


def test_a_long_account_is_cut_and_says_where_the_rest_is() -> None:
    long = story("+ " + "x" * 2 * LONGEST_ACCOUNT)
    assert len(webhook_body(long)) < LONGEST_ACCOUNT + 1000
    assert "changes show --change 7" in json.loads(webhook_body(long))["data"]["diff"]
