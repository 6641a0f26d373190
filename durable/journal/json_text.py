"""JSON as text: what jsonb accepts, and the members of an object without re-printing them.

Values cross the journal as text so that a number such as 1.10 or 2^64 comes back as it was written. jsonb refuses some
valid JSON (U+0000, lone surrogates, numbers beyond its range); that is found here, before it can spoil the batch of a
whole worker.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

MAX_DEPTH = 500
_MAX_EXPONENT = 16_000
_SUSPECT_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def check_json(text: str) -> None:
    """Raise ValueError, with a message for the author, unless `text` is JSON that jsonb can hold.

    Parses recursively: call it on an ordinary stack, not in a host function's callback.
    """
    if (text.count("[") + text.count("{")) > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
    value = _decode(text)
    if _SUSPECT_ESCAPE.search(text):
        _check_characters(value)


def members(text: str) -> dict[str, str]:
    """The members of a JSON object, each value as the text it has in `text`."""
    decode = json.JSONDecoder().raw_decode
    found: dict[str, str] = {}
    at = _skip_space(text, text.index("{") + 1)
    while text[at] != "}":
        key, at = decode(text, at)
        at = _skip_space(text, text.index(":", at) + 1)
        _, end = decode(text, at)
        found[key] = text[at:end]
        at = _skip_space(text, end)
        if text[at] == ",":
            at = _skip_space(text, at + 1)
    return found


def _skip_space(text: str, at: int) -> int:
    while text[at] in " \t\r\n":
        at += 1
    return at


def _depth(text: str) -> int:
    depth = deepest = 0
    in_string = escaped = False
    for character in text:
        if in_string:
            in_string = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _check_number(text: str) -> Decimal:
    number = Decimal(text)
    if number and abs(number.adjusted()) > _MAX_EXPONENT:
        raise ValueError(f"the number {text[:40]} is out of range")
    return number


def _check_characters(value: Any) -> None:
    if isinstance(value, str):
        found = _UNSTORABLE.search(value)
        if found:
            raise ValueError(f"PostgreSQL cannot store the character \\u{ord(found[0]):04x}")
    elif isinstance(value, list):
        for item in value:
            _check_characters(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_characters(key)
            _check_characters(item)


_decode = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_check_number).decode
