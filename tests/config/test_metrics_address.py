"""`metrics_addr`: where to listen, or off."""

from __future__ import annotations

import pytest

from durable.address import Address
from durable.config import load
from durable.errors import ConfigError


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("127.0.0.1:9321", "127.0.0.1:9321"),
        (" 0.0.0.0:80 ", "0.0.0.0:80"),
        ("localhost:0", "localhost:0"),
        ("[::1]:9321", "[::1]:9321"),
        ("[0:0:0:0:0:0:0:1]:65535", "[::1]:65535"),
        ("off", "off"),
    ],
)
def test_an_address_is_kept_as_it_is_written(written: str, kept: str) -> None:
    assert load({"metrics_addr": written}, {}).metrics_addr == kept
    assert load({}, {"DURABLE_METRICS_ADDR": written}).metrics_addr == kept


@pytest.mark.parametrize(
    "written",
    [
        "9321", ":9321", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:9321/metrics",
        "http://127.0.0.1:9321", "::1:9321", "[127.0.0.1]:9321", "[::1]", "a b:1", "OFF", "", "127.0.0.1:\u0661",
    ],
)  # fmt: skip
def test_what_is_none_is_refused_with_the_way_to_write_it(written: str) -> None:
    with pytest.raises(ConfigError, match=r"metrics_addr .*: write HOST:PORT, such as .* or \[::1\]:9321, or off"):
        load({"metrics_addr": written}, {})


def test_a_number_in_the_file_is_no_address() -> None:
    with pytest.raises(ConfigError, match="write HOST:PORT"):
        load({"metrics_addr": 9321}, {})


def test_the_parts_of_an_address() -> None:
    assert Address.parse("[::1]:1") == Address("::1", 1)
    assert str(Address("::1", 1)) == "[::1]:1"
