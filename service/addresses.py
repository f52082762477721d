"""Addresses of the network: to which a server may be sent by a stranger (public ones only)."""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

GLOBAL = ipaddress.IPv6Network("2000::/3")  # all of IPv6 that is given out so far
# Addresses of IPv6 that stand for one of IPv4, which is what counts: here by NAT64 (RFC 6052).
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# The relays of 6to4 (RFC 7526), which lead on to whatever is nearest.
RELAYS = ipaddress.IPv4Network("192.88.99.0/24")


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet, for one host, and no tunnel to another.

    What ``ipaddress`` calls global is not enough: multicast is, and so are addresses of IPv6 that
    lead to any of IPv4, loopback among them.
    """
    address = behind(address)
    special = (
        address.is_multicast, address.is_reserved, address.is_loopback, address.is_link_local,
        address.is_private, address.is_unspecified,
    )  # fmt: skip
    if any(special) or not address.is_global:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        return address in GLOBAL and address.sixtofour is None and address.teredo is None
    return address not in RELAYS


def behind(address: Address) -> Address:
    """The address of IPv4 that one of IPv6 stands for, or the address itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def check_network(text: str) -> str:
    """An address, or a network as CIDR, itself.

    Raises:
        ValueError: It is neither.
    """
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(
            f"'{text}' is no address such as 127.0.0.1 and no network such as 10.0.0.0/8: {error}"
        ) from error
    return text
