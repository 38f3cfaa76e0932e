"""What the receiver of webhooks takes for a message."""

import socket

import httpx

from tests.receiver import receiving


def test_a_request_whose_sender_ended_in_the_middle_was_not_received() -> None:
    with receiving() as receiver:
        with socket.create_connection(("127.0.0.1", receiver.port), timeout=10) as sender:
            sender.sendall(b"POST /x HTTP/1.1\r\nHost: test\r\nContent-Length: 20\r\n\r\n{")
            sender.shutdown(socket.SHUT_WR)
            assert sender.recv(1) == b"", "it gets no answer"

        httpx.post(receiver.url("/x"), content=b"{}", trust_env=False)

        assert [request.body for request in receiver.on("/x")] == [b"{}"]
