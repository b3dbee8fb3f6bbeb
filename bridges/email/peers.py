"""The IP address of who talks to us: whose it is, and in which network. Pure."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Networks = tuple[IPv4Network | IPv6Network, ...]


def address(peer: str) -> IPv4Address | IPv6Address | None:
    """The address that a socket tells, None if it is none; an IPv4 address that comes in its IPv6 form is one."""
    try:
        found = ip_address(peer.partition("%")[0])
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def within(peer: str, networks: Networks) -> bool:
    """Whether the peer's address lies in one of the networks."""
    found = address(peer)
    return found is not None and any(found.version == each.version and found in each for each in networks)


def is_direct(peer: str) -> bool:
    """Whether the peer's address is one of the world's: what comes from beside us was taken by an MTA of ours, and says nothing."""
    found = address(peer)
    return found is not None and found.is_global


def source(peer: str) -> str | None:
    """What is counted as one host (IPv6: a network of 64 bits); None for what is beside us: an MTA there brings everybody's mail."""
    found = address(peer)
    if found is None or not found.is_global:
        return None
    return str(ip_network((found, 64 if found.version == 6 else 32), strict=False))
