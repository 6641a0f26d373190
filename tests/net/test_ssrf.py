"""What a workflow could write to reach something inside: refused by default, and nothing that is public is.

Nothing leaves this machine: names are made up, and connections are noted instead of opened.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from durable.net.errors import ConnectFailed, EgressRefused, InvalidUrl
from tests.net.clients import NoNetwork, Sender
from tests.net.conftest import NewSender

PUBLIC, PUBLIC_IPV6 = "93.184.216.34", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"

NAMES: dict[str, Sequence[str]] = {
    "public.example": [PUBLIC],
    "both.example": [PUBLIC, PUBLIC_IPV6],
    "xn--bcher-kva.example": [PUBLIC],
    "localhost": ["127.0.0.1", "::1"],
    "loopback.example": ["127.0.0.1"],
    "127.0.0.1.example": ["127.0.0.1"],
    "loopback6.example": ["::1"],
    "private.example": ["10.0.0.5"],
    "mixed.example": [PUBLIC, "10.0.0.5"],
    "mixed6.example": [PUBLIC, PUBLIC_IPV6, "fd00::5"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "zone.example": ["fe80::1%eth0"],
    "metadata.google.internal": ["169.254.169.254"],
    "cgnat.example": ["100.64.0.1"],
    "nat64.example": ["64:ff9b::7f00:1"],
}

REFUSED = [
    # loopback, in every way to write it
    "http://127.0.0.1/", "http://127.0.0.1:8080/", "https://127.0.0.1/", "http://127.1/", "http://127.0.1/",
    "http://127.255.255.254/", "http://127.0.0.1./", "http://2130706433/", "http://0x7f000001/", "http://0x7F.0.0.1/",
    "http://0x7f.1/", "http://0x7f.0.0.0x/", "http://017700000001/", "http://0177.0.0.1/", "http://0177.0x0.1/", "http://00000177.0.0.1/",
    "http://%31%32%37.0.0.1/", "http://%3127.0.0.1/", "http://\uff11\uff12\uff17.0.0.1/", "http://127\u30020\u30020\u30021/",
    "http://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460/", "http://user:password@127.0.0.1/", "http://public.example@127.0.0.1/",
    "http://public.example:80@127.0.0.1:80/", "http://public.example%2f@127.0.0.1/", "HTTP://127.0.0.1/",
    "http://localhost/", "http://LOCALHOST/", "http://localhost./", "http://loc%61lhost/", "http://loopback.example/",
    "http://127.0.0.1.example/", "http://loopback6.example/", "http://public.example@localhost/",
    "http://[::1]/", "http://[0:0:0:0:0:0:0:1]/", "http://[::0001]:80/", "http://[::]/", "http://[::127.0.0.1]/",
    # nowhere, which on Linux is this host
    "http://0.0.0.0/", "http://0/", "http://0x0/", "http://0.1.2.3/",
    # private, and what goes to the same places in other clothes
    "http://10.0.0.1/", "http://10.255.255.255/", "http://172.16.0.1/", "http://172.31.255.255/", "http://192.168.0.1/",
    "http://167772161/", "http://0xa.1/", "http://012.0.0.1/", "http://private.example/", "http://mixed.example/",
    "http://mixed6.example/", "http://[fc00::1]/", "http://[fd12:3456::1]/", "http://[fec0::1]/",
    # link-local and the metadata of clouds
    "http://169.254.169.254/latest/meta-data/", "http://169.254.0.1/", "http://2852039166/", "http://0xa9fea9fe/",
    "http://0251.0376.0251.0376/", "http://169.254.43518/", "http://metadata.google.internal/", "http://168.63.129.16/",
    "http://100.100.100.200/", "http://192.0.0.192/", "http://[fd00:ec2::254]/", "http://[fe80::1]/",
    "http://[fe80::a9fe:a9fe]/", "http://zone.example/", "http://[::ffff:169.254.169.254]/", "http://[::ffff:a9fe:a9fe]/",
    # carrier-grade NAT, multicast, broadcast, reserved, documentation, benchmarks
    "http://100.64.0.1/", "http://100.127.255.255/", "http://cgnat.example/", "http://224.0.0.1/", "http://239.255.255.250/",
    "http://255.255.255.255/", "http://240.0.0.1/", "http://192.0.0.1/", "http://192.0.2.1/", "http://198.51.100.1/",
    "http://203.0.113.1/", "http://198.18.0.1/", "http://198.19.255.255/", "http://192.88.99.1/", "http://[ff02::1]/",
    "http://[2001:db8::1]/", "http://[3fff::1]/", "http://[100::1]/", "http://[4000::1]/", "http://[e000::1]/",
    # IPv6 addresses that stand for IPv4 ones, public or not
    "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[::ffff:10.0.0.1]/", "http://[::ffff:93.184.216.34]/",
    "http://[::ffff:0:127.0.0.1]/", "http://mapped.example/", "http://[64:ff9b::7f00:1]/", "http://[64:ff9b::10.0.0.1]/",
    "http://[64:ff9b:1::1]/", "http://nat64.example/", "http://[2002:7f00:1::]/", "http://[2002:a00:1::1]/",
    "http://[2001:0:7f00:1::]/", "http://[2001::1]/",
]  # fmt: skip

#: No client agrees with every other about these, so they are not URLs at all.
INVALID = [
    "http://public.example\\@127.0.0.1/", "http://127.0.0.1\\@public.example/", "http://127.0.0.1\\.public.example/",
    "http://public.example\t@127.0.0.1/", "http://127.0.0.1%00.public.example/", "http://127.0.0.1%09/",
    "http://127.0.0.1 .public.example/", "http://127.0.0.1%2f.public.example/", "http://[::1%25lo]/", "http://[::1%lo]/",
    "http://[fe80::1%25eth0]/", "http://::1/", "http://[127.0.0.1]/", "http://127.0.0.1:80:80/", "http://256.256.256.256/",
    "http://127.0.0.0.1/", "http://127.0.0.08/", "http://4294967297/", "http://127.0.0.256/",
    "http:///127.0.0.1/", "http:127.0.0.1", "//127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1:25/", "ftp://127.0.0.1/",
    "dict://127.0.0.1:11211/", "http://127.0.0.1\r\nHost: public.example/", "http://b\u00fccher\u200d.example/",
]  # fmt: skip

ALLOWED = [
    ("http://93.184.216.34/", PUBLIC, 80),
    ("https://93.184.216.34/", PUBLIC, 443),
    ("http://1572395042/", PUBLIC, 80),
    ("http://0x5db8d822/", PUBLIC, 80),
    ("http://public.example/", PUBLIC, 80),
    ("http://public.example:25/", PUBLIC, 25),
    ("http://PUBLIC.example./", PUBLIC, 80),
    ("http://127.0.0.1@public.example/", PUBLIC, 80),
    ("http://localhost:80@public.example/", PUBLIC, 80),
    ("http://public.example/@127.0.0.1/", PUBLIC, 80),
    ("http://public.example/#@127.0.0.1/", PUBLIC, 80),
    ("http://public.example?@127.0.0.1/", PUBLIC, 80),
    ("http://public.example/http://127.0.0.1/", PUBLIC, 80),
    ("http://b\u00fccher.example/", PUBLIC, 80),
    ("http://xn--bcher-kva.example/", PUBLIC, 80),
    ("http://both.example/", PUBLIC, 80),
    (f"http://[{PUBLIC_IPV6}]/", PUBLIC_IPV6, 80),
    ("http://[2a00:1450:4001:801::200e]:8080/", "2a00:1450:4001:801::200e", 8080),
    ("http://1.1.1.1/", "1.1.1.1", 80),
    ("http://8.8.8.8/", "8.8.8.8", 80),
    ("http://9.255.255.255/", "9.255.255.255", 80),
    ("http://11.0.0.0/", "11.0.0.0", 80),
    ("http://100.63.255.255/", "100.63.255.255", 80),
    ("http://100.128.0.0/", "100.128.0.0", 80),
    ("http://126.255.255.255/", "126.255.255.255", 80),
    ("http://128.0.0.1/", "128.0.0.1", 80),
    ("http://169.253.255.255/", "169.253.255.255", 80),
    ("http://169.255.0.0/", "169.255.0.0", 80),
    ("http://172.15.255.255/", "172.15.255.255", 80),
    ("http://172.32.0.0/", "172.32.0.0", 80),
    ("http://192.0.1.1/", "192.0.1.1", 80),
    ("http://192.167.255.255/", "192.167.255.255", 80),
    ("http://192.169.0.0/", "192.169.0.0", 80),
    ("http://198.17.255.255/", "198.17.255.255", 80),
    ("http://198.20.0.0/", "198.20.0.0", 80),
    ("http://223.255.255.255/", "223.255.255.255", 80),
    ("http://[2001:200::1]/", "2001:200::1", 80),
    ("http://[2001:4860:4860::8888]/", "2001:4860:4860::8888", 80),
    ("http://[2003::1]/", "2003::1", 80),
    ("http://[2620:fe::fe]/", "2620:fe::fe", 80),
]


@pytest.fixture
def network() -> NoNetwork:
    return NoNetwork()


@pytest.fixture
def sender(new_sender: NewSender, network: NoNetwork) -> Sender:
    """Nothing is configured: the default policy."""
    names = {**NAMES, "localhost.": NAMES["localhost"], "public.example.": NAMES["public.example"]}
    return new_sender(names=names, open_socket=network)


def test_the_table_is_large_enough() -> None:
    assert len(set(REFUSED)) == len(REFUSED) >= 60
    assert len({url for url, _, _ in ALLOWED}) == len(ALLOWED)


@pytest.mark.parametrize("url", REFUSED)
def test_what_is_not_public_is_refused_by_default(sender: Sender, network: NoNetwork, url: str) -> None:
    with pytest.raises(EgressRefused, match=r"^egress to .+ is refused: .+ is a .+ address \(.+\)"):
        sender.send(url)
    assert network.attempts == []


@pytest.mark.parametrize("url", INVALID)
def test_what_is_read_in_two_ways_is_no_url(sender: Sender, network: NoNetwork, url: str) -> None:
    with pytest.raises(InvalidUrl):
        sender.send(url)
    assert network.attempts == []
    assert sender.lookups == []


@pytest.mark.parametrize(("url", "address", "port"), ALLOWED)
def test_what_is_public_is_not_refused(sender: Sender, network: NoNetwork, url: str, address: str, port: int) -> None:
    with pytest.raises(ConnectFailed, match="Connection refused"):
        sender.send(url)
    assert network.attempts[0] == (address, port)
    assert len(sender.lookups) <= 1


def test_no_proxy_of_the_environment_is_used(
    sender: Sender, network: NoNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:3128")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:3128")
    for url in ("http://public.example/", "https://public.example/"):
        with pytest.raises(ConnectFailed):
            sender.send(url)
    assert network.attempts == [(PUBLIC, 80), (PUBLIC, 443)]


def test_the_hosts_file_and_the_resolver_are_not_asked_about_addresses(sender: Sender, network: NoNetwork) -> None:
    with pytest.raises(ConnectFailed):
        sender.send("http://1572395042/")
    assert sender.lookups == []
    assert network.attempts == [(PUBLIC, 80)]
