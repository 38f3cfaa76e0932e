"""One HTTP request, held to limits of time and size that no server can stretch.

Timeouts of HTTP clients begin anew with each byte that arrives, and their decompression knows no end. Here every wait
on the network ends at one deadline, and a body is decompressed no further than it may be long.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import certifi
import httpcore

from scheduledtask_sdk.failures import Failure, InvalidInput, PermissionDenied, Timeout, Unavailable
from source_monitor.addresses import Network, may_connect

_GZIP = b"\x1f"

LONGEST_SILENCE = 15.0
"""Seconds within which something must arrive."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came: header names in lower case, the body decompressed; empty where it was not asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Wire:
    """Sends requests. ``allowed``: internal networks that may be connected to, too."""

    def __init__(self, allowed: Sequence[Network] = ()) -> None:
        self._allowed = allowed
        self._lock = threading.Lock()
        self._made_tls: ssl.SSLContext | None = None

    def get(self, url: str, headers: Mapping[str, str], seconds: float, longest_body: int) -> Answer:
        """The answer to a GET, whatever its status; redirects are not followed, and of their and errors' bodies
        nothing is read. Raises Failure: PermissionDenied for an address that is not allowed, InvalidInput for an
        answer that is too long or no HTTP, Unavailable for whatever may pass."""
        backend = _Backend(self._allowed, time.monotonic() + seconds)
        waits = {name: min(seconds, LONGEST_SILENCE) for name in ("connect", "read", "write", "pool")}
        sent = [*headers.items(), ("Accept-Encoding", "gzip, deflate")]
        # A connection a request: after the pause that hosts get, few servers would have kept it.
        tls = self._tls() if url.startswith("https:") else None
        pool = httpcore.ConnectionPool(tls, max_keepalive_connections=0, network_backend=backend)
        try:
            with pool, pool.stream("GET", url, headers=sent, extensions={"timeout": waits}) as answer:
                got = {name.decode("ascii").lower(): value.decode("latin-1").strip() for name, value in answer.headers}
                body = b""
                if 200 <= answer.status < 300:
                    body = _body(answer.iter_stream(), got, longest_body)
                return Answer(answer.status, got, body)
        except (httpcore.TimeoutException, TimeoutError) as error:
            raise Timeout(f"no whole answer within {seconds:g} s", url=url) from error
        except (httpcore.NetworkError, httpcore.RemoteProtocolError) as error:
            raise _failure(error, url) from error
        except (httpcore.ProtocolError, httpcore.UnsupportedProtocol, UnicodeError, ValueError) as error:
            raise InvalidInput(f"the request could not be sent: {error}", url=url) from error

    def _tls(self) -> ssl.SSLContext:
        """Made once, and only where it is needed: to read the authorities takes a tenth of a second."""
        with self._lock:
            if self._made_tls is None:
                authorities = os.environ.get("SSL_CERT_FILE") or certifi.where()
                self._made_tls = ssl.create_default_context(cafile=authorities)
            return self._made_tls


def _failure(error: Exception, url: str) -> Failure:
    cause = error.__cause__ or error.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return InvalidInput(f"its certificate is not valid: {cause.verify_message}", url=url)
    words = str(error) or type(error).__name__
    if isinstance(error, httpcore.RemoteProtocolError):
        return Unavailable(f"it broke off or is no HTTP: {words}", url=url)
    return Unavailable(f"no connection: {words}", url=url)


def _body(chunks: Iterable[bytes], headers: Mapping[str, str], longest: int) -> bytes:
    encoding = headers.get("content-encoding", "").lower().strip()
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise InvalidInput(f"it is encoded as {encoding!r}, which was not asked for")
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > longest:
        raise _too_long(longest)
    unpack = _Unpacking() if encoding not in ("", "identity") else None
    body = bytearray()
    for chunk in chunks:
        body += unpack.more(chunk, longest + 1 - len(body)) if unpack else chunk
        if len(body) > longest:
            raise _too_long(longest)
    if unpack and not unpack.finished:
        raise Unavailable("its compressed content broke off")
    return bytes(body)


class _Unpacking:
    """gzip or deflate, with or without the header that deflate should have, piece by piece."""

    def __init__(self) -> None:
        self._stream: Any = None

    @property
    def finished(self) -> bool:
        """Whether the end has come; so it has where there was nothing at all."""
        return self._stream is None or bool(self._stream.eof)

    def more(self, chunk: bytes, room: int) -> bytes:
        """What the next piece unpacks to, up to ``room`` bytes."""
        unpacked = b""
        while chunk and len(unpacked) < room:
            if self._stream is not None and self._stream.eof and chunk[:1] != _GZIP:
                break
            if self._stream is None or self._stream.eof:
                self._stream = _stream_for(chunk)
            try:
                unpacked += self._stream.decompress(chunk, room - len(unpacked))
            except zlib.error as error:
                raise InvalidInput(f"its compressed content is broken: {error}") from error
            # A further gzip member may follow the first; other bytes behind the end are filling.
            left = self._stream.unused_data
            chunk = (left if left[:1] == _GZIP else b"") if self._stream.eof else self._stream.unconsumed_tail
        return unpacked


def _stream_for(beginning: bytes) -> Any:
    if beginning[:1] == _GZIP:
        return zlib.decompressobj(16 + zlib.MAX_WBITS)
    with_header = beginning[0] & 0x0F == 8 and int.from_bytes(beginning[:2], "big") % 31 == 0
    return zlib.decompressobj(zlib.MAX_WBITS if with_header else -zlib.MAX_WBITS)


def _too_long(longest: int) -> InvalidInput:
    return InvalidInput(f"it is longer than {longest / (1 << 20):.3g} MiB; a larger limit can be set")


class _Backend(httpcore.NetworkBackend):
    """Connects to addresses that are allowed, and to those that were looked at: a name is resolved once."""

    def __init__(self, allowed: Sequence[Network], deadline: float) -> None:
        self._allowed = allowed
        self._deadline = deadline
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        error: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in self._addresses(host, port):
            try:
                left = _left(self._deadline, timeout)
                stream = self._plain.connect_tcp(address, port, left, local_address, socket_options)
                return _Stream(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failure:
                error = failure
        raise error

    def _addresses(self, host: str, port: int) -> list[str]:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} can't be resolved: {error}") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        for address in addresses:
            if not may_connect(address, self._allowed):
                raise PermissionDenied(
                    f"{host} is {address}, an internal address; ALLOWED_INTERNAL_NETWORKS can allow it", host=host
                )
        return addresses


class _Stream(httpcore.NetworkStream):
    """A connection on which no wait goes beyond the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._deadline, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._deadline, timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, _left(self._deadline, timeout))
        return _Stream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float, timeout: float | None) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the time for the whole answer is over")
    return left if timeout is None else min(left, timeout)
