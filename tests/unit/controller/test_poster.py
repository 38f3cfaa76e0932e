"""One POST over real HTTP: where it goes, where it does not, and what becomes of every kind of answer."""

import ssl
import threading
import time
from pathlib import Path

import pytest

from scheduledtask.controller.poster import InternalAddressError, Poster
from scheduledtask.domain.delivery import Answer, Verdict
from tests.cluster.pki import Certificate, make
from tests.receiver import hangs, receiving, resets, says

HEADERS = {"webhook-id": "msg_1"}


async def post(address: str, *, patience: float = 5, allow_internal: bool = True) -> Answer:
    async with Poster(patience) as poster:
        return await poster.post(address, HEADERS, b'{"type": "x"}', allow_internal=allow_internal)


async def test_what_is_sent_is_json_for_the_host_that_was_named() -> None:
    with receiving() as receiver:
        answer = await post(receiver.url("/hook?token=1", "localhost"))
        [came] = receiver.on("/hook?token=1")
    assert answer.verdict is Verdict.DELIVERED
    assert came.headers["host"] == f"localhost:{receiver.port}"
    assert came.headers["content-type"] == "application/json"
    assert (came.id, came.body) == ("msg_1", b'{"type": "x"}')


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "127.1", "2130706433", "0x7f.1"]
)
async def test_an_internal_address_gets_no_connection_however_it_is_written(host: str) -> None:
    with receiving() as receiver:
        with pytest.raises(InternalAddressError, match="webhook-allow-internal") as refused:
            await post(receiver.url("/secret-path", host), allow_internal=False)
        assert receiver.requests == []
    assert "secret-path" not in str(refused.value)


async def test_a_redirect_is_not_followed() -> None:
    with receiving() as receiver:
        receiver.faults["/"] = [says(307, Location=receiver.url("/elsewhere"))]
        answer = await post(receiver.url("/"))
        assert [request.path for request in receiver.requests] == ["/"]
    assert (answer.code, answer.verdict) == (307, Verdict.RETRY)
    assert "write the final address" in answer.words


async def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as proxy, receiving() as receiver:
        monkeypatch.setenv("HTTP_PROXY", proxy.url(""))
        assert (await post(receiver.url("/"))).code == 204
        assert proxy.requests == []


async def test_a_receiver_may_say_when_to_come_back() -> None:
    with receiving() as receiver:
        receiver.faults["/"] = [says(429, Retry_After="90")]
        answer = await post(receiver.url("/"))
    assert (answer.code, answer.words, answer.retry_after.total_seconds()) == (429, "429 Too Many Requests", 90)


async def test_silence_ends_after_the_timeout() -> None:
    over = threading.Event()
    with receiving() as receiver:
        receiver.faults["/"] = [hangs(over)]
        began = time.monotonic()
        answer = await post(receiver.url("/"), patience=0.5)
        over.set()
    assert answer == Answer(None, "no answer within 0.5 s")
    assert 0.4 < time.monotonic() - began < 3


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("http://127.0.0.1:1/token", id="nobody listens"),
        pytest.param("http://no-such-host.invalid/token", id="no such name"),
        pytest.param("https://127.0.0.1:{port}/token", id="no TLS there"),
        pytest.param("http://[::1/token", id="no URL"),
        pytest.param("http://ho\tst/token", id="no host"),
        pytest.param("http://" + "a" * 300 + ".example/token", id="too long a name"),
        pytest.param("http://example:99999/token", id="no port"),
        pytest.param("http://127.0.0.1:{port}/reset", id="reset"),
    ],
)
async def test_what_cannot_be_reached_is_an_answer_that_tells_no_path(address: str) -> None:
    with receiving() as receiver:
        receiver.faults["/reset"] = [resets]
        answer = await post(address.replace("{port}", str(receiver.port)))
    assert (answer.code, answer.verdict) == (None, Verdict.RETRY)
    assert answer.words
    assert "token" not in answer.words
    assert "/reset" not in answer.words


@pytest.mark.parametrize(("name", "accepted"), [("localhost", True), ("elsewhere.example", False)])
async def test_the_certificate_must_be_that_of_the_name(
    name: str, accepted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, (Certificate("server", "/CN=receiver", "serverAuth", (f"DNS:{name}",)),))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.crt"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    with receiving(context) as receiver:
        answer = await post(f"https://localhost:{receiver.port}/")
        assert [request.path for request in receiver.requests] == (["/"] if accepted else [])
    assert (answer.code == 204) is accepted
    assert accepted or "CERTIFICATE_VERIFY_FAILED" in answer.words
