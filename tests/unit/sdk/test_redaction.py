"""What is kept secret stands in nothing that is written, in whatever form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

import hypothesis.strategies as st
import pytest
from hypothesis import assume, given

from scheduledtask_sdk.logs import logfmt
from scheduledtask_sdk.redaction import MARK, SHORTEST, forget_secrets, keep_secret, redacted, without_secrets
from scheduledtask_sdk.termination import fitted


@pytest.fixture(autouse=True)
def nothing_secret_afterwards() -> Iterator[None]:
    forget_secrets()
    yield
    forget_secrets()


# As long as a key is, so that it is not by chance a part of something else.
secrets = st.text(st.characters(codec="utf-8"), min_size=SHORTEST, max_size=60).filter(
    lambda text: len(text.strip()) >= SHORTEST
)
texts = st.text(max_size=2000)


@given(secrets, texts, texts, st.integers(0, 40))
def test_no_secret_stands_in_a_termination_message(secret: str, before: str, after: str, copies: int) -> None:
    assume(secret not in MARK and secret not in before + after)
    forget_secrets()
    keep_secret(secret)
    said = f"{before}{secret}{after}"
    document = {"message": said, "result": {said: [said] * copies, "n": {"m": {"o": said}}}}
    written = json.loads(fitted(document))
    for text in strings(written):
        assert_gone(secret, text, before, after)


def strings(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from strings(item)
        case dict():
            for key, item in value.items():
                yield key
                yield from strings(item)


def assert_gone(secret: str, text: str, before: str, after: str) -> None:
    # What stands around the mark may by chance look like the secret only together with the mark.
    assert all(secret not in part for part in text.split(MARK)), text


@given(secrets, texts)
def test_no_secret_stands_in_a_log_line(secret: str, around: str) -> None:
    assume(secret not in MARK and secret not in around)
    forget_secrets()
    keep_secret(secret)
    clean = without_secrets({"said": f"{around}{secret}{around}"})
    assert isinstance(clean, dict)
    assert all(secret not in part for part in logfmt(clean).removeprefix("said=").split(MARK))


@given(secrets)
def test_no_form_of_a_secret_is_left(secret: str) -> None:
    forget_secrets()
    keep_secret(secret)
    for form in (secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret), repr(secret)):
        assert redacted(f"<{form}>") in (f"<{MARK}>", f'<"{MARK}">', f"<'{MARK}'>")


def test_the_password_of_an_address_is_a_secret_of_its_own() -> None:
    keep_secret("postgresql://miner:p%40ssword@db.example:5432/tickets")
    assert redacted("login of miner with p@ssword (p%40ssword) at db.example") == (
        f"login of miner with {MARK} ({MARK}) at db.example"
    )


def test_of_two_secrets_one_may_stand_within_the_other() -> None:
    keep_secret("key-1234")
    keep_secret("key-1234-long")
    assert redacted("key-1234-long and key-1234") == f"{MARK} and {MARK}"


def test_a_number_that_is_a_secret_becomes_text() -> None:
    keep_secret("81726354")
    assert without_secrets({"pin": 81726354, "other": 7}) == {"pin": MARK, "other": 7}


@pytest.mark.parametrize("value", ["", "a", " x ", "yes"])
def test_what_is_too_short_to_be_a_secret_spoils_no_text(value: str) -> None:
    keep_secret(value)
    assert redacted("yes, a text with an x") == "yes, a text with an x"
