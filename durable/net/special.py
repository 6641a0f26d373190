"""Networks that are not the public internet (IANA special-purpose address registries), and how they are called."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network

from durable.egress import Address, Network


@dataclass(frozen=True, slots=True)
class SpecialNetwork:
    """A network that a request must not reach by default. `is_private`: `egress_private` opens it."""

    network: Network
    kind: str
    is_private: bool = False


def special_network(address: Address) -> SpecialNetwork | None:
    """The network that keeps this address from being a public one, or None."""
    return next((one for one in _SPECIAL[address.version] if address in one.network), None)


def _networks(kind: str, *networks: str, is_private: bool = False) -> list[SpecialNetwork]:
    return [SpecialNetwork(ip_network(network), kind, is_private) for network in networks]


# The first that contains an address tells what it is called.
_IPV4 = [
    # Link-local, Azure, Alibaba, Oracle: who reaches these holds the credentials of the machine.
    *_networks("metadata", "169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200", "192.0.0.192"),
    *_networks("unspecified", "0.0.0.0/8"),
    *_networks("loopback", "127.0.0.0/8"),
    *_networks("private", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", is_private=True),
    *_networks("carrier-grade NAT", "100.64.0.0/10", is_private=True),
    *_networks("link-local", "169.254.0.0/16"),
    *_networks("documentation", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"),
    *_networks("6to4 relay", "192.88.99.0/24"),
    *_networks("benchmarking", "198.18.0.0/15"),
    *_networks("multicast", "224.0.0.0/4"),
    *_networks("reserved", "192.0.0.0/24", "240.0.0.0/4"),
]

_IPV6 = [
    *_networks("metadata", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254"),
    *_networks("unspecified", "::"),
    *_networks("loopback", "::1"),
    *_networks("IPv4-mapped", "::ffff:0:0/96"),
    *_networks("IPv4-translated", "::ffff:0:0:0/96"),
    *_networks("IPv4-compatible", "::/96"),
    *_networks("NAT64", "64:ff9b::/96", "64:ff9b:1::/48"),
    *_networks("unique-local", "fc00::/7", is_private=True),
    *_networks("link-local", "fe80::/10"),
    *_networks("site-local", "fec0::/10"),
    *_networks("multicast", "ff00::/8"),
    *_networks("Teredo", "2001::/32"),
    *_networks("6to4", "2002::/16"),
    *_networks("documentation", "2001:db8::/32", "3fff::/20"),
    *_networks("reserved", "2001::/23"),
    # Global unicast addresses are in 2000::/3; whatever lies outside has no business on the internet.
    *_networks("reserved", "::/3", "4000::/2", "8000::/1"),
]

_SPECIAL = {4: _IPV4, 6: _IPV6}
