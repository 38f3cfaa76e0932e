"""Signing after the Standard Webhooks specification, what answers mean, and which addresses are internal."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from scheduledtask.api.status import WebhookMessage
from scheduledtask.domain.delivery import (
    WAITS,
    Answer,
    SecretError,
    Verdict,
    body_of,
    headers_of,
    is_internal,
    read_retry_after,
    read_secrets,
    wait_after,
)
from tests.unit.builders import NOON

KEYS = st.binary(min_size=24, max_size=64)
DATA = st.dictionaries(st.text(max_size=8), st.text(max_size=20) | st.integers(-(2**53), 2**53), max_size=5)


def secret(key: bytes) -> str:
    return "whsec_" + base64.b64encode(key).decode()


def message(data: dict[str, Any]) -> WebhookMessage:
    return WebhookMessage(id="msg_1", type="scheduledtask.failure", timestamp=NOON, data=data)


class TestTheRequest:
    @given(key=KEYS, data=DATA)
    def test_it_is_signed_by_the_documented_formula(self, key: bytes, data: dict[str, Any]) -> None:
        body = body_of(message(data))
        headers = headers_of("msg_1", body, (key,), NOON)
        assert headers["webhook-timestamp"] == "1795348800"
        content = b"msg_1" + b"." + b"1795348800" + b"." + body
        expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"

    @given(keys=st.lists(KEYS, min_size=1, max_size=3), data=DATA)
    def test_the_specifications_own_library_accepts_it_with_each_of_its_keys(
        self, keys: list[bytes], data: dict[str, Any]
    ) -> None:
        body = body_of(message(data))
        headers = headers_of("msg_1", body, read_secrets("\n".join(map(secret, keys))), datetime.now(UTC))
        for key in keys:
            assert Webhook(secret(key)).verify(body, headers) == json.loads(body)

    def test_without_keys_there_is_no_signature(self) -> None:
        assert set(headers_of("msg_1", b"{}", (), NOON)) == {"webhook-id", "webhook-timestamp"}

    @given(DATA)
    def test_the_order_of_the_data_does_not_change_its_bytes(self, data: dict[str, Any]) -> None:
        backwards = dict(reversed(data.items()))
        assert body_of(message(data)) == body_of(message(backwards))
        assert json.loads(body_of(message(data))) == {
            "type": "scheduledtask.failure",
            "timestamp": "2026-11-22T12:00:00Z",
            "data": data,
        }


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "secret",
        base64.b64encode(b"k" * 32).decode(),
        "whsec_ü",
        "whsec_a*",
        secret(b"k" * 23),
        secret(b"k" * 65),
        f"{secret(b'k' * 32)} other",
    ],
)
def test_what_is_no_secret_is_refused_without_being_told(text: str) -> None:
    with pytest.raises(SecretError, match="whsec_ and the base64 of 24 to 64 random bytes") as refused:
        read_secrets(text)
    assert not text.strip() or text not in str(refused.value)


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        *((code, "delivered") for code in (200, 204, 299)),
        (410, "gone"),
        *((code, "retry") for code in (None, 301, 400, 404, 429, 500, 503)),
    ],
)
def test_what_an_answer_means(code: int | None, verdict: str) -> None:
    assert Answer(code, "").verdict is Verdict(verdict)


class TestTheWait:
    def test_there_are_eight_tries_within_a_day(self) -> None:
        waits = [wait_after(tries, Answer(500, ""), 1.0) for tries in range(1, 9)]
        assert waits[-1] is None
        known = [wait for wait in waits if wait]
        assert len(known) == len(WAITS) == 7
        assert timedelta(hours=20) < sum(known, timedelta()) < timedelta(hours=26)

    @given(tries=st.integers(1, 7), chance=st.floats(0, 1), asked=st.integers(0, 10**6))
    def test_it_grows_is_never_shorter_than_asked_and_never_longer_than_a_day(
        self, tries: int, chance: float, asked: int
    ) -> None:
        retry_after = timedelta(seconds=asked)
        wait = wait_after(tries, Answer(429, "", retry_after), chance)
        assert wait is not None
        assert min(retry_after, timedelta(days=1)) <= wait <= timedelta(days=1)
        assert WAITS[tries - 1] <= wait
        assert retry_after > WAITS[tries - 1] or wait <= WAITS[tries - 1] * 1.2

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            ("", 0),
            ("120", 120),
            ("-1", 0),
            ("1.5", 0),
            ("soon", 0),
            ("²", 0),
            ("9" * 400, 999_999_999),
            ("Sun, 22 Nov 2026 12:01:00 GMT", 60),
            ("Sun, 22 Nov 2026 12:01:00 -0000", 60),
            ("Sun, 22 Nov 2026 11:59:00 GMT", 0),
            ("Sun, 99 Nov 2026 11:59:00 GMT", 0),
        ],
    )
    def test_retry_after_is_read_in_both_of_its_forms(self, text: str, seconds: int) -> None:
        assert read_retry_after(text, NOON) == timedelta(seconds=seconds)

    @given(st.text())
    def test_retry_after_may_be_any_text(self, text: str) -> None:
        assert read_retry_after(text, NOON) >= timedelta(0)


INTERNAL = """
    0.0.0.0 0.1.2.3 10.0.0.1 10.243.0.1 100.64.0.1 127.0.0.1 127.255.255.254 169.254.169.254 169.254.170.2
    172.16.0.1 172.31.255.255 192.0.0.8 192.0.0.9 192.168.1.1 198.18.0.1 224.0.0.1 239.255.255.250 240.0.0.1
    255.255.255.255 168.63.129.16 192.0.2.1 203.0.113.9
    :: ::1 fe80::1 fe80::1%eth0 fc00::1 fd00:ec2::254 fd12:3456::1 ff02::1 2001:db8::1 2001::1 3fff::1
    ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:a9fe:a9fe ::127.0.0.1
    64:ff9b::7f00:1 64:ff9b::169.254.169.254 64:ff9b:1::a00:1 2002:7f00:1:: 2002:a9fe:a9fe::1
"""
EXTERNAL = """
    1.1.1.1 8.8.8.8 93.184.216.34 172.32.0.1 100.128.0.1 192.169.0.1 169.253.0.1 126.255.255.255 223.255.255.255
    2606:4700::1111 2a00:1450:4001:80b::200e ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1
"""


ADDRESSES = [(address, True) for address in INTERNAL.split()] + [(address, False) for address in EXTERNAL.split()]


@pytest.mark.parametrize(("address", "internal"), ADDRESSES)
def test_which_addresses_are_internal(address: str, internal: bool) -> None:
    assert is_internal(address) is internal


@given(st.ip_addresses(v=4))
def test_an_address_is_as_internal_in_its_ipv6_forms(address: Any) -> None:
    internal = is_internal(str(address))
    assert is_internal(f"::ffff:{address}") is internal
    assert is_internal(f"64:ff9b::{address}") is internal
