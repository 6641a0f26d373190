"""Settings of HTTP requests: rules, the proxy, the idempotency header."""

from __future__ import annotations

from pathlib import Path

import pytest

from durable.config import KEYS, Config, load
from durable.egress import rules
from durable.errors import ConfigError
from durable.net.client import client_of


def test_by_default_nothing_is_opened() -> None:
    config = load({}, {})
    assert (config.egress_allow, config.egress_deny, config.egress_private, config.egress_proxy) == (
        (),
        (),
        False,
        None,
    )
    assert (config.max_http_body, config.max_http_requests, config.http_idempotency_header) == (4 * 1024**2, 64, None)


def test_rules_are_a_list_in_the_file_and_have_commas_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "durable.toml"
    file.write_text('egress_allow = ["api.internal:8443", "10.0.0.0/8"]\negress_deny = ["*"]\negress_private = true\n')
    from_file = load({}, {}, file)
    environ = {
        "DURABLE_EGRESS_ALLOW": "api.internal:8443,10.0.0.0/8",
        "DURABLE_EGRESS_DENY": "*",
        "DURABLE_EGRESS_PRIVATE": "true",
    }
    flags = {"egress_allow": "api.internal:8443, 10.0.0.0/8", "egress_deny": "*", "egress_private": "true"}
    assert from_file == load({}, environ) == load(flags, {})
    assert from_file.egress_allow == rules("api.internal:8443, 10.0.0.0/8")
    assert KEYS["egress_allow"].kind.show(from_file.egress_allow) == "api.internal:8443, 10.0.0.0/8"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("egress_allow", "*", "name hosts or networks"),
        ("egress_allow", "10.0.0.1/8", "host bits set"),
        ("egress_allow", "http://example.com", "a port is a number"),
        ("egress_deny", ["a", 3], "write a list of texts"),
        ("egress_deny", "a b", "write a host name"),
        ("egress_private", "yes", "write true or false"),
        ("egress_private", 1, "write true or false"),
        ("egress_proxy", "proxy:3128", "write http://HOST:PORT"),
        ("egress_proxy", "https://proxy:3128", "write http://HOST:PORT"),
        ("egress_proxy", "http://proxy", "write http://HOST:PORT"),
        ("egress_proxy", "http://proxy:99999", "write http://HOST:PORT"),
        ("egress_proxy", "http://proxy:3128/path", "write http://HOST:PORT"),
        ("http_idempotency_header", "Idempotency Key", "write the name of a header"),
        ("http_idempotency_header", "Authorization", "write the name of a header"),
        ("http_idempotency_header", "", "write the name of a header"),
        ("max_http_body", 0, "must be at least"),
        ("max_http_requests", 1001, "must be at most 1000"),
    ],
)
def test_a_bad_value_is_refused(key: str, value: object, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{key} \(from --.*{said}"):
        load({key: value}, {})


def test_the_password_of_the_proxy_is_shown_nowhere() -> None:
    for wrong in (
        "http://me:s3cr3t@proxy",
        "http://me:s3cr3t@proxy:x",
        "ftp://me:s3cr3t@proxy:1",
        "http://me:s3/cr3t@p:1",
    ):
        with pytest.raises(ConfigError) as refused:
            load({}, {"DURABLE_EGRESS_PROXY": wrong})
        assert "s3" not in str(refused.value)
    config = load({}, {"DURABLE_EGRESS_PROXY": "http://me:s3cr3t@proxy:3128"})
    assert "s3cr3t" not in repr(config)
    client_of(config).close()
    assert KEYS["egress_proxy"].kind.show(config.egress_proxy) == "http://me:***@proxy:3128"
    with pytest.raises(ConfigError) as unfit:
        load({"heartbeat_interval": 29}, {"DURABLE_EGRESS_PROXY": "http://me:s3cr3t@proxy:3128"})
    assert "s3cr3t" not in str(unfit.value)


def test_a_client_is_made_of_a_configuration() -> None:
    client_of(Config(egress_proxy="http://10.0.0.9:3128", egress_allow=rules("10.0.0.0/8"))).close()
