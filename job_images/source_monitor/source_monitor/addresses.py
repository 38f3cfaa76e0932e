"""Which network addresses a source may lead to.

Anybody who may enter a source, and any page that redirects, could otherwise have the job read what only the cluster
can reach: cloud metadata, internal services, the node. So only addresses of the internet are connected to, as they
are resolved at that moment, unless a setting allows a network.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

_NAT64 = IPv6Network("64:ff9b::/96")
_ALSO_INTERNAL = tuple(
    ip_network(text) for text in ("168.63.129.16/32", "192.0.0.0/24", "64:ff9b:1::/48", "2001::/23", "3fff::/20")
)
"""A cloud's metadata service on an address that looks public, and special ranges that `ipaddress` calls global in some
versions (IANA's special-purpose address registries)."""


def networks(text: str) -> tuple[Network, ...]:
    """The networks in a text such as ``10.0.0.0/8, 192.168.7.4``. Raises ValueError that names the wrong one."""
    found = []
    for part in text.replace(",", " ").split():
        try:
            found.append(ip_network(part))
        except ValueError as error:
            raise ValueError(f"{part!r} is not a network such as 10.0.0.0/8: {error}") from error
    return tuple(found)


def may_connect(address: str, allowed: Sequence[Network] = ()) -> bool:
    """Whether the IP address is one of the internet, or of an allowed network. An IPv6 address that stands for an
    IPv4 address counts as that."""
    parsed: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address):
        parsed = _embedded(parsed) or parsed
    if any(parsed in network for network in allowed):
        return True
    return (
        parsed.is_global
        and not parsed.is_multicast
        and not parsed.is_reserved
        and not any(parsed in network for network in _ALSO_INTERNAL)
    )


def _embedded(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
