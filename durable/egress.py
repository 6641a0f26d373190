"""Egress rules: one entry of `egress_allow` or `egress_deny`, as an operator writes it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

RULE_HELP = "write a host name, *.DOMAIN, an address or a network, each with :PORT or without"

_NAME = re.compile(r"(?:\*\.)?[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_BRACKETS = re.compile(r"\[(?P<inner>[^\]]+)\](?::(?P<port>[0-9]+))?")
_EVERYTHING = "*"


@dataclass(frozen=True, slots=True)
class EgressRule:
    """Matches a destination by the host name that a workflow wrote, or by the address that it stands for.

    Exactly one of `name` and `network` is set. A name that begins with `*.` means all names below that domain, not the
    domain itself; `*` means everything. Without `port` the rule holds for all ports.
    """

    name: str | None
    network: Network | None
    port: int | None

    @classmethod
    def parse(cls, text: str) -> EgressRule:
        """Read one entry, such as `api.example.com`, `*.example.com:443`, `10.0.0.0/8`, `[::1]:8080`, `*`.

        Raises ValueError.
        """
        text = text.strip().lower()
        bracketed = _BRACKETS.fullmatch(text)
        if bracketed:
            return cls(None, ip_network(bracketed["inner"]), _port(bracketed["port"]))
        if text.count(":") > 1:
            return cls(None, ip_network(text), None)
        target, _, port = text.partition(":")
        if "/" in target or _NUMBER.fullmatch(target.rstrip(".").rpartition(".")[2]):
            return cls(None, ip_network(target), _port(port or None))
        return cls(_checked_name(target), None, _port(port or None))

    @property
    def is_everything(self) -> bool:
        """True for `*`, which names no destination in particular."""
        return self.name == _EVERYTHING

    def matches(self, host: str, address: Address | None, port: int) -> bool:
        """True when the rule is about this destination; `address` is None while it is not known."""
        if self.port is not None and self.port != port:
            return False
        if self.network is not None:
            return address is not None and address in self.network
        return self.is_everything or self._matches_name(host.rstrip("."))

    def _matches_name(self, host: str) -> bool:
        assert self.name is not None
        return host.endswith(self.name[1:]) if self.name.startswith("*.") else host == self.name

    def __str__(self) -> str:
        if self.network is None:
            target = str(self.name)
        else:
            single = self.network.prefixlen == self.network.max_prefixlen
            target = str(self.network.network_address if single else self.network)
            if self.port is not None and self.network.version == 6:
                target = f"[{target}]"
        return target if self.port is None else f"{target}:{self.port}"


def rules(value: object) -> tuple[EgressRule, ...]:
    """Rules from a list of texts, or from one text with commas between them. Raises ValueError."""
    entries = value.split(",") if isinstance(value, str) else value
    if not isinstance(entries, list | tuple) or not all(isinstance(entry, str) for entry in entries):
        raise ValueError("write a list of texts, in a variable or a flag with commas between them")
    return tuple(EgressRule.parse(entry) for entry in entries if entry.strip())


def naming_rules(value: object) -> tuple[EgressRule, ...]:
    """The same, without `*`: what is allowed has to be named. Raises ValueError."""
    found = rules(value)
    if any(rule.is_everything for rule in found):
        raise ValueError("name hosts or networks; 0.0.0.0/0 and ::/0 are all addresses there are, private ones too")
    return found


def show_rules(value: tuple[EgressRule, ...]) -> str:
    """The rules as one text that `rules` reads."""
    return ", ".join(str(rule) for rule in value)


def _checked_name(text: str) -> str:
    name = text.rstrip(".")
    if name != _EVERYTHING and not _NAME.fullmatch(name):
        raise ValueError(RULE_HELP if name.isascii() else f"{RULE_HELP}; names outside of ASCII in punycode (xn--…)")
    return name


def _port(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise ValueError("a port is a number from 1 to 65535")
    return int(text)
