"""Where sources may lead to."""

from __future__ import annotations

import pytest

from source_monitor.addresses import may_connect, networks


@pytest.mark.parametrize("address", ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "64:ff9b::101:101"])
def test_the_internet_is_allowed(address: str) -> None:
    assert may_connect(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1",
        "255.255.255.255", "168.63.129.16", "192.0.0.192", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::1", "64:ff9b:1::1",
    ],
)  # fmt: skip
def test_internal_addresses_are_not_in_whatever_form(address: str) -> None:
    assert not may_connect(address)


def test_a_setting_allows_a_network_and_no_other() -> None:
    allowed = networks("10.1.0.0/16, 127.0.0.1 fd00::/8")
    assert all(may_connect(address, allowed) for address in ("10.1.2.3", "127.0.0.1", "fd00::5", "::ffff:10.1.2.3"))
    assert not any(may_connect(address, allowed) for address in ("10.2.0.1", "127.0.0.2", "169.254.169.254"))


@pytest.mark.parametrize("text", ["10.0.0.0/99", "10.1.2.3/8", "localhost"])
def test_a_wrong_network_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is not a network"):
        networks(text)
