"""Egress rules: how they are written, what they match, and which of them decides."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from durable.egress import EgressRule, naming_rules, rules, show_rules
from durable.net.errors import EgressRefused
from durable.net.policy import EgressPolicy


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("example.com", "example.com"),
        (" Example.COM. ", "example.com"),
        ("example.com:443", "example.com:443"),
        ("*.example.com", "*.example.com"),
        ("*.example.com:8080", "*.example.com:8080"),
        ("localhost", "localhost"),
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.1/32", "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.0.0.0/8:443", "10.0.0.0/8:443"),
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("[::1]:8080", "[::1]:8080"),
        ("fd00::/8", "fd00::/8"),
        ("[fd00::/8]:443", "[fd00::/8]:443"),
        ("::/0", "::/0"),
        ("*", "*"),
        ("*:25", "*:25"),
    ],
)
def test_a_rule_is_shown_as_it_can_be_written(written: str, shown: str) -> None:
    assert str(EgressRule.parse(written)) == shown
    assert EgressRule.parse(shown) == EgressRule.parse(written)


@pytest.mark.parametrize(
    "written",
    [
        "", " ", ".", "a b", "a..b", "http://example.com", "example.com/path", "*example.com", "a.*.example",
        "**", "*.*",
        "example.com:0", "example.com:65536", "example.com:http", "10.0.0.1/8", "10.0.0/8", "10.0.0.0/33", "256.0.0.1",
        "127.1", "0x7f.1", "2130706433", "[::1", "[::1]x", "[::1]:x", "::1/129", "bücher.example", "me@example.com",
    ],
)  # fmt: skip
def test_what_is_no_rule_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        EgressRule.parse(written)


@pytest.mark.parametrize(
    ("rule", "host", "address", "port", "matches"),
    [
        ("example.com", "example.com", "192.0.2.1", 80, True),
        ("example.com", "example.com.", "192.0.2.1", 80, True),
        ("example.com", "www.example.com", "192.0.2.1", 80, False),
        ("example.com", "notexample.com", "192.0.2.1", 80, False),
        ("*.example.com", "www.example.com", "192.0.2.1", 80, True),
        ("*.example.com", "a.b.example.com.", "192.0.2.1", 80, True),
        ("*.example.com", "example.com", "192.0.2.1", 80, False),
        ("*.example.com", "wwwexample.com", "192.0.2.1", 80, False),
        ("example.com:443", "example.com", "192.0.2.1", 443, True),
        ("example.com:443", "example.com", "192.0.2.1", 80, False),
        ("192.0.2.0/24", "example.com", "192.0.2.1", 80, True),
        ("192.0.2.0/24", "192.0.2.1", "192.0.2.1", 80, True),
        ("192.0.2.0/24", "example.com", "192.0.3.1", 80, False),
        ("192.0.2.0/24", "example.com", "::ffff:192.0.2.1", 80, False),
        ("::ffff:192.0.2.0/120", "example.com", "::ffff:192.0.2.1", 80, True),
        ("192.0.2.1:80", "example.com", "192.0.2.1", 81, False),
        ("192.0.2.0/24", "example.com", None, 80, False),
        ("*", "example.com", "192.0.2.1", 80, True),
        ("*", "example.com", None, 80, True),
        ("*:25", "example.com", "192.0.2.1", 80, False),
    ],
)
def test_what_a_rule_is_about(rule: str, host: str, address: str | None, port: int, matches: bool) -> None:
    where = None if address is None else ip_address(address)
    assert EgressRule.parse(rule).matches(host, where, port) is matches


def test_lists_are_texts_with_commas_or_lists() -> None:
    expected = (EgressRule.parse("example.com:443"), EgressRule.parse("10.0.0.0/8"))
    assert rules("example.com:443, 10.0.0.0/8,") == rules(["example.com:443", "10.0.0.0/8"]) == expected
    assert rules("") == rules([]) == ()
    assert show_rules(expected) == "example.com:443, 10.0.0.0/8"
    for wrong in (3, None, True, [3], {"example.com": 443}):
        with pytest.raises(ValueError, match="write a list of texts"):
            rules(wrong)


def test_what_is_allowed_has_to_be_named() -> None:
    assert naming_rules("0.0.0.0/0") == rules("0.0.0.0/0")
    for everything in ("*", "*:80", "example.com, *"):
        with pytest.raises(ValueError, match="name hosts or networks"):
            naming_rules(everything)


PUBLIC, PRIVATE, LOOPBACK = "93.184.216.34", "10.1.2.3", "127.0.0.1"


@pytest.mark.parametrize(
    ("allow", "deny", "host", "addresses", "refused_for"),
    [
        ("", "", "example.com", [PUBLIC], None),
        ("", "", "example.com", [PRIVATE], "10.1.2.3 is a private address (10.0.0.0/8), and egress_allow"),
        ("", "", "example.com", [PUBLIC, PRIVATE], "10.1.2.3 is a private address"),
        ("", "", "example.com", [PRIVATE, PUBLIC], "10.1.2.3 is a private address"),
        ("example.com", "", "example.com", [PRIVATE], None),
        ("example.com", "", "example.com", [PUBLIC, PRIVATE, LOOPBACK], None),
        ("example.com", "", "other.example", [PRIVATE], "10.1.2.3 is a private address"),
        ("10.0.0.0/8", "", "example.com", [PUBLIC, PRIVATE], None),
        ("10.0.0.0/8", "", "example.com", [PRIVATE, LOOPBACK], "127.0.0.1 is a loopback address"),
        ("10.0.0.0/8:81", "", "example.com", [PRIVATE], "10.1.2.3 is a private address"),
        ("", "example.com", "example.com", [PUBLIC], "egress_deny has example.com"),
        ("", "example.com:81", "example.com", [PUBLIC], None),
        ("", "93.184.0.0/16", "example.com", [PUBLIC], "egress_deny has 93.184.0.0/16"),
        ("10.0.0.0/8", "10.1.0.0/16", "example.com", [PRIVATE], "egress_deny has 10.1.0.0/16"),
        ("example.com", "10.1.2.3", "example.com", [PUBLIC, PRIVATE], "egress_deny has 10.1.2.3"),
        ("", "*", "example.com", [PUBLIC], "egress_deny has *"),
        ("example.com", "*", "example.com", [PUBLIC], None),
        ("10.0.0.0/8", "*", "example.com", [PRIVATE], None),
        ("10.0.0.0/8", "*", "example.com", [PRIVATE, PUBLIC], "egress_deny has *"),
        ("example.com", "*, *.example.com", "www.example.com", [PUBLIC], "egress_deny has *.example.com"),
        ("", "*:80", "example.com", [PUBLIC], "egress_deny has *:80"),
        ("", "*:81", "example.com", [PUBLIC], None),
        ("", "*:81", "example.com", [LOOPBACK], "127.0.0.1 is a loopback address (127.0.0.0/8)"),
    ],
)  # fmt: skip
def test_which_rule_decides(allow: str, deny: str, host: str, addresses: list[str], refused_for: str | None) -> None:
    policy = EgressPolicy(rules(allow), rules(deny))
    found = [ip_address(address) for address in addresses]
    if refused_for is None:
        policy.check(host, found, 80)
    else:
        with pytest.raises(EgressRefused) as refused:
            policy.check(host, found, 80)
        assert str(refused.value).startswith(f"egress to {host} port 80 is refused: {refused_for}")


@pytest.mark.parametrize("address", ["10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd12::1"])
def test_private_networks_can_be_opened_as_a_whole(address: str) -> None:
    EgressPolicy(private=True).check("example.com", [ip_address(address)], 80)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "169.254.1.1", "169.254.169.254", "100.100.100.200", "fd00:ec2::254", "::1", "fe80::1"]
)
def test_opening_private_networks_opens_nothing_else(address: str) -> None:
    with pytest.raises(EgressRefused):
        EgressPolicy(private=True).check("example.com", [ip_address(address)], 80)


@pytest.mark.parametrize(
    ("allow", "deny", "host", "refused"),
    [
        ("", "", "example.com", False),
        ("", "", "localhost", True),
        ("", "", "db.localhost.", True),
        ("localhost", "", "localhost", False),
        ("", "example.com", "example.com", True),
        ("", "*", "example.com", True),
        ("example.com", "*", "example.com", False),
        ("10.0.0.0/8", "*", "example.com", True),
    ],
)
def test_names_that_a_proxy_may_be_asked_for(allow: str, deny: str, host: str, refused: bool) -> None:
    policy = EgressPolicy(rules(allow), rules(deny))
    if refused:
        with pytest.raises(EgressRefused):
            policy.check_name(host, 80)
    else:
        policy.check_name(host, 80)
