"""The addresses that a stranger may send a server to, and that no other is connected to."""

import asyncio
import ipaddress

import pytest

from service.addresses import is_public
from service.errors import UrlFailedError, UrlRefusedError
from service.fetching import Fetcher, resolve
from tests.sites import HOST, Names

PUBLIC = ["8.8.8.8", "93.184.215.14", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
PRIVATE = [
    "127.0.0.1", "127.255.0.9", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.5.4", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.1", "192.0.2.1", "198.18.0.1",
    "198.51.100.7", "203.0.113.7", "224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255",
    "192.88.99.1",
    "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:808:808::",
    "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "fc00::1", "fd00:ec2::254",
    "fe80::1", "fe80::1%1", "fec0::1", "ff02::1", "ff0e::1", "100::1", "200::1", "4000::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_told(address):
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PRIVATE)
def test_no_other_address_is_public(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PRIVATE)
@pytest.mark.parametrize("beside", [[], ["8.8.8.8"]])
def test_one_address_that_is_not_public_refuses_the_host(address, beside):
    connected = []

    async def connect(address, port, *, tls_name):
        connected.append(address)
        raise ConnectionRefusedError

    async def run():
        fetcher = Fetcher(max_bytes=10, seconds=5, at_once=1, connect=connect,
                          resolve=Names(photos_example=[*beside, address]))  # fmt: skip
        with pytest.raises(UrlRefusedError) as refused:
            await fetcher.fetch(f"http://{HOST}/")
        assert address not in refused.value.detail

    asyncio.run(run())
    assert not connected


def test_a_name_is_resolved_once_and_the_checked_address_connected_to():
    """A second answer, which would be this machine, is never asked for."""
    names, connected = Names(photos_example=[["8.8.8.8"], ["127.0.0.1"]]), []

    async def connect(address, port, *, tls_name):
        connected.append((address, port, tls_name))
        raise ConnectionRefusedError

    async def run():
        fetcher = Fetcher(max_bytes=10, seconds=5, at_once=1, resolve=names, connect=connect)
        with pytest.raises(UrlFailedError):
            await fetcher.fetch(f"https://{HOST}/a.jpg")

    asyncio.run(run())
    assert names.asked == [(HOST, 443)]
    assert connected == [("8.8.8.8", 443, HOST)]


def test_the_system_resolves_numbers_and_names():
    assert asyncio.run(resolve("127.0.0.1", 80)) == ["127.0.0.1"]
    assert set(asyncio.run(resolve("localhost", 80))) <= {"127.0.0.1", "::1"}
