"""The examples of settings: every key, its default, and nothing that durable would not take."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from durable.config import KEYS, Key, load

OPS = Path(__file__).parents[2] / "ops"
TOML = OPS / "durable.toml.example"
ENV = OPS / "durable.env.example"


def _uncommented(example: Path) -> str:
    return re.sub(r"^#(?=\w+ ?=)", "", example.read_text(), flags=re.MULTILINE)


def _about(key: str) -> str:
    """The comment above a key."""
    found = re.search(rf"((?:^# .*\n)+)#{key} = ", TOML.read_text(), re.MULTILINE)
    assert found is not None
    return " ".join(line.removeprefix("# ") for line in found[1].splitlines())


WRITTEN: dict[str, Any] = tomllib.loads(_uncommented(TOML))


def test_the_file_as_it_is_sets_nothing() -> None:
    assert tomllib.loads(TOML.read_text()) == {}
    assert [line for line in ENV.read_text().splitlines() if line and not line.startswith("#")] == []


def test_every_key_is_there_in_its_order() -> None:
    assert list(WRITTEN) == list(KEYS)


@pytest.mark.parametrize("key", KEYS.values(), ids=lambda key: str(key.name))
def test_a_key_has_its_meaning_and_its_default_or_an_example(key: Key) -> None:
    about = _about(key.name)
    assert about.removesuffix(" An example:") == key.doc
    if not about.endswith("An example:"):
        assert key.read(WRITTEN[key.name]) == key.default


def test_durable_takes_the_whole_file(tmp_path: Path) -> None:
    file = tmp_path / "durable.toml"
    file.write_text(_uncommented(TOML))
    assert load({}, {}, file).source_of("drain_timeout") == str(file)


def test_durable_takes_all_the_variables() -> None:
    variables = dict(line.split("=", 1) for line in _uncommented(ENV).splitlines() if line.startswith("DURABLE_"))
    assert len(variables) > 5
    del variables["DURABLE_CONFIG"]
    config = load({}, {"HOME": "/home/me", **variables})
    for variable in variables:
        assert config.source_of(variable.removeprefix("DURABLE_").lower()) == variable
