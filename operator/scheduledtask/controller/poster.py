"""One HTTP POST to an address that a user wrote: it goes where the user may send, and nowhere else.

The name is resolved here and the connection made to the very address that was checked, so a name that resolves
differently a moment later leads nowhere. Redirects are not followed, proxies of the environment not used, and answers
not read. What goes wrong is told without the path of the URL, which may hold a token.
"""

import asyncio
import os
import socket
import ssl
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import certifi
import httpx

from scheduledtask.domain.delivery import Answer, is_internal, read_retry_after

TIMEOUT = 15.0
"""Seconds that one try may take, all together: within what the Standard Webhooks specification recommends."""


class InternalAddressError(Exception):
    """The host is inside the cluster or its network, where tasks may not send; the message says how to mend it."""


class Poster:
    """An HTTP client. `timeout` is in seconds."""

    def __init__(self, timeout: float = TIMEOUT) -> None:
        self._timeout = timeout
        # Of the environment only the trusted certificates are taken: a proxy would resolve names by itself.
        trusted = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE") or certifi.where())
        headers = {"User-Agent": "scheduledtask-operator"}
        self._client = httpx.AsyncClient(
            timeout=timeout, follow_redirects=False, trust_env=False, verify=trusted, headers=headers
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def post(self, address: str, headers: dict[str, str], body: bytes, *, allow_internal: bool) -> Answer:
        """Try once. Raises InternalAddressError; every other failure is an answer without a code."""
        try:
            async with asyncio.timeout(self._timeout):
                return await self._post(httpx.URL(address), headers, body, allow_internal)
        except TimeoutError:
            return Answer(None, f"no answer within {self._timeout:g} s")
        except httpx.InvalidURL:
            return Answer(None, "its URL is none that can be called")
        except (httpx.HTTPError, OSError, UnicodeError) as error:
            return Answer(None, f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)

    async def _post(self, url: httpx.URL, headers: dict[str, str], body: bytes, allow_internal: bool) -> Answer:
        pinned = url.copy_with(host=await _resolve(url, allow_internal))
        request = self._client.build_request(
            "POST",
            pinned,
            headers={**headers, "Host": url.netloc.decode(), "Content-Type": "application/json"},
            content=body,
            # The certificate must be that of the name, not of the address.
            extensions={"sni_hostname": url.raw_host.decode()},
        )
        response = await self._client.send(request, stream=True)
        await response.aclose()
        words = f"{response.status_code} {response.reason_phrase}".strip()
        if response.is_redirect:
            words += ", a redirect, which is not followed: write the final address"
        asked = read_retry_after(response.headers.get("retry-after", ""), datetime.now(UTC))
        return Answer(response.status_code, words, asked)


async def _resolve(url: httpx.URL, allow_internal: bool) -> str:
    """The first address of the host, if all of its addresses may be sent to. Raises InternalAddressError, OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(
        url.raw_host.decode(), url.port or url.scheme, type=socket.SOCK_STREAM
    )
    addresses = [str(sockaddr[0]) for *_, sockaddr in found]
    if not allow_internal and any(is_internal(address) for address in addresses):
        raise InternalAddressError(
            f"{url.host} is an internal address, where tasks may not send: choose a public one, or have the operator "
            "started with --webhook-allow-internal (webhooks.allowInternal of its chart)"
        )
    return addresses[0]
