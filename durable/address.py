"""Where to listen, as people write it: `HOST:PORT`, with an IPv6 address in brackets. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address

HELP = "write HOST:PORT, such as 127.0.0.1:9321 or [::1]:9321"


@dataclass(frozen=True, slots=True)
class Address:
    """A host name or address, without brackets, and a port; port 0 is any that is free."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Raises ValueError, with the way to write it."""
        host, _, port = text.strip().rpartition(":")
        if not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise ValueError(HELP)
        if host.startswith("[") and host.endswith("]"):
            return cls(_ipv6(host[1:-1]), int(port))
        if not host or set(host) & set(":/@[] "):
            raise ValueError(HELP)
        return cls(host, int(port))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def _ipv6(text: str) -> str:
    try:
        return str(IPv6Address(text))
    except AddressValueError:
        raise ValueError(HELP) from None
