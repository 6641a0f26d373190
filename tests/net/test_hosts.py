"""A host has one canonical form, in which rules, resolver, connection and TLS see it."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import quote

import pytest

from durable.net.errors import InvalidUrl
from durable.net.hosts import parse_host


def wide(text: str) -> str:
    """The text in full-width characters, which mean the same in a host name."""
    return "".join(chr(ord(character) + 0xFEE0) for character in text)


#: 504 characters that stand for 56.
WIDE_LABEL = quote(wide("a" * 56))


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("example.com", "example.com"),
        ("EXAMPLE.com", "example.com"),
        ("example.com.", "example.com."),
        ("ex%61mple.com", "example.com"),
        ("under_score.example", "under_score.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("b%C3%BCcher.example", "xn--bcher-kva.example"),
        ("日本。example", "xn--wgv71a.example"),
        (wide("example.com"), "example.com"),
        ("1.2.3.4.example", "1.2.3.4.example"),
        ("0x7f.example", "0x7f.example"),
        ("1.2.3.4a", "1.2.3.4a"),
        ("0xg", "0xg"),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
        ("a." * 126 + "a", "a." * 126 + "a"),  # 253 characters
        (f"{WIDE_LABEL}.{WIDE_LABEL}.{'a' * 14}", f"{'a' * 56}.{'a' * 56}.{'a' * 14}"),  # written with 1024
    ],
)
def test_a_name_has_one_form(written: str, canonical: str) -> None:
    assert parse_host(written) == (canonical, None)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("127.0.1", "127.0.0.1"),
        ("1.2.3.", "1.2.0.3"),
        ("1.2.65535", "1.2.255.255"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0X7F.1", "127.0.0.1"),
        ("0x7f.0x0.0x0.0x1", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("0177.0.0.01", "127.0.0.1"),
        ("0", "0.0.0.0"),
        ("0x", "0.0.0.0"),
        ("4294967295", "255.255.255.255"),
        (wide("127.0.0.1"), "127.0.0.1"),
        ("①②⑦.⓪.⓪.①", "127.0.0.1"),
        ("%31%32%37.0.0.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("[0:0::1]", "::1"),
        ("[::ffff:127.0.0.1]", "::ffff:7f00:1"),
        ("[2606:4700::1111]", "2606:4700::1111"),
    ],
)
def test_an_address_has_one_form_however_it_is_written(written: str, canonical: str) -> None:
    name, address = parse_host(written)
    assert name == str(address) == str(ip_address(canonical))


@pytest.mark.parametrize(
    "written",
    [
        "", ".", "..", ".example", "a..b", "a" * 64 + ".example", "a." * 126 + "aa",
        f"{WIDE_LABEL}.{WIDE_LABEL}.{'a' * 15}", "x" * 5000, "a b", "a\tb",
        "a/b", "a\\b", "a@b", "a%00b", "a%2fb", "a%40b", "%ff", "%", "a%", "a*b", "a,b", "a'b", "a<b", "a^b", "a|b",
        "256.1.1.1", "1.256.1.1", "1.2.3.256", "1.2.3.4.5", "4294967296", "0x100000000", "08", "1.09", "1..2",
        "0x1.example.0x", "foo.0x4", "foo.1", "9" * 1000, "[", "[]", "[::1", "[1.2.3.4]", "[::g]", "[fe80::1%eth0]",
        "[fe80::1%25eth0]", "[::1]x", "::1", "faß.example", "ς.example", "a\u200db.example", "\u00ad",
    ],
)  # fmt: skip
def test_what_is_no_host_is_refused(written: str) -> None:
    with pytest.raises(InvalidUrl):
        parse_host(written)
