"""The host of a URL in its one canonical form, as browsers read it (WHATWG URL standard, "Host parsing").

What looks like a number is an IPv4 address, however it is written (decimal, octal, hexadecimal, with fewer than four
parts): left to the resolver of the system, such a form would slip past every rule that looks at names.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401  # now, and not on the small stack of a guest
import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import unquote_to_bytes

from durable.egress import Address
from durable.net.errors import InvalidUrl

_LABEL = re.compile(r"[a-z0-9_-]{1,63}")
_DECIMAL = re.compile(r"[0-9]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-f]*")
_MAX_LENGTH = 253
_MAX_WRITTEN = 1024
# IDNA 2003, which Python speaks, maps these to something else; IDNA 2008 keeps them. They would be two hosts.
_AMBIGUOUS = frozenset("ßς\u200c\u200d")


def parse_host(written: str) -> tuple[str, Address | None]:
    """The canonical name, or the canonical text of an address and the address itself. Raises InvalidUrl."""
    if len(written) > _MAX_WRITTEN:
        raise InvalidUrl("the host name is too long")
    if written.startswith("["):
        return _ipv6(written)
    name = _ascii(_percent_decoded(written)).lower()
    address = _ipv4(name)
    if address is not None:
        return str(address), address
    return _checked_name(name), None


def _ipv6(written: str) -> tuple[str, Address]:
    if not written.endswith("]"):
        raise InvalidUrl("an IPv6 address is written in brackets")
    try:
        address = IPv6Address(written[1:-1])
    except AddressValueError:
        raise InvalidUrl("the host is not a valid IPv6 address") from None
    if address.scope_id is not None:
        raise InvalidUrl("an address with a zone means something on one host only")
    return str(address), address


def _percent_decoded(written: str) -> str:
    try:
        return unquote_to_bytes(written).decode() if "%" in written else written
    except UnicodeDecodeError:
        raise InvalidUrl("the host name is not UTF-8") from None


def _ascii(name: str) -> str:
    if name.isascii():
        return name
    if not _AMBIGUOUS.isdisjoint(name.lower()):
        raise InvalidUrl("this international host name has two meanings; write it in punycode (xn--…)")
    try:
        return name.encode("idna").decode("ascii")
    except UnicodeError:
        raise InvalidUrl("the host name is not a valid international name") from None


def _ipv4(name: str) -> IPv4Address | None:
    """The address when the last part is a number. Raises InvalidUrl when it is one but the whole is no address."""
    parts = name.removesuffix(".").split(".")
    if not (_DECIMAL.fullmatch(parts[-1]) or _HEXADECIMAL.fullmatch(parts[-1])):
        return None
    numbers = [_number(part) for part in parts]
    *leading, last = numbers
    if len(numbers) > 4 or any(number > 255 for number in leading) or last >= 256 ** (5 - len(numbers)):
        raise InvalidUrl("the host is not a valid IPv4 address")
    return IPv4Address(last + sum(number << 8 * (3 - i) for i, number in enumerate(leading)))


def _number(part: str) -> int:
    try:
        if _HEXADECIMAL.fullmatch(part):
            return int(part[2:] or "0", 16)
        if _DECIMAL.fullmatch(part):
            return int(part, 8 if part.startswith("0") else 10)
    except ValueError:  # an 8 or a 9 in an octal number, or thousands of digits
        pass
    raise InvalidUrl("the host is not a valid IPv4 address")


def _checked_name(name: str) -> str:
    labels = name.removesuffix(".").split(".")
    if len(name) > _MAX_LENGTH or not all(_LABEL.fullmatch(label) for label in labels):
        raise InvalidUrl("the URL has no valid host")
    return name
