"""JSON as text: what jsonb accepts, and the members of an object without re-printing them.

Values cross the journal as text so that a number such as 1.10 or 2^64 comes back as it was written. jsonb refuses some
valid JSON (U+0000, lone surrogates, numbers beyond its range); that is found here, before it can spoil the batch of a
whole worker.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from itertools import accumulate
from typing import Any

from durable.journal.log_text import UNSTORABLE

MAX_DEPTH = 500
_MAX_DIGITS = 16_000
#: jsonb prints 1e16000 with all its zeros: a result of such numbers could be written, and be too large ever to be read.
#: This is enough for every double.
_MAX_MORE_DIGITS = 400
#: So many digits may the exponents of one text stand for. A text that is shorter than this divided by the growth of its
#: shortest such number, 1e399, does not have to be looked at.
MAX_GROWTH = 1 << 20
_SHORT = MAX_GROWTH * len("1e399,") // 399
#: Numbers that cannot reach these limits: to look at every digit of one takes five times as long.
_WITHIN_LIMITS = re.compile("[^eE]{1,300}(?:[eE][+-]?[0-3]?[0-9]{1,2})?")
_SUSPECT = re.compile("\\\\u(?:0000|[dD][89a-fA-F])|[\ud800-\udfff]")
# One that does not end is one match, too: to look for its end from every quote within it would take hours.
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
_STRUCTURE = re.compile(_STRING.pattern + r"|[\[\]{}]")
_OPENS, _NO_BRACKETS = bytes.maketrans(b"[{]}", b"\1\1\0\0"), bytes(set(range(256)) - set(b"[{]}"))
_NESTING = {"[": 1, "{": 1, "]": -1, "}": -1}
_SCALAR = re.compile(r"[^\s,\]}]+")


def check_json(text: str) -> None:
    """Raise ValueError, with a message for the author, unless `text` is JSON that jsonb can hold.

    Parses recursively: call it on an ordinary stack, not in a host function's callback.
    """
    if (text.count("[") + text.count("{")) > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
    if len(text) > _SHORT:
        _counting_decoder().decode(text)
    elif not _is_one_value(text):
        _decoder.decode(text)
    if _SUSPECT.search(text):
        _check_characters(_decode_everything(text))


def _is_one_value(text: str) -> bool:
    """Whether it is JSON without spaces around it. The decoder knows about those, says what is wrong, and is slower."""
    try:
        return _decoder.raw_decode(text)[1] == len(text)
    except json.JSONDecodeError:
        return False


def members(text: str) -> dict[str, str]:
    """The members of a JSON object, each value as the text it has in `text`.

    The values are not parsed: what the database holds may be nested deeper, and have longer numbers, than Python reads.
    """
    decode = json.JSONDecoder().raw_decode
    found: dict[str, str] = {}
    at = _skip_space(text, text.index("{") + 1)
    while text[at] != "}":
        key, at = decode(text, at)
        at = _skip_space(text, text.index(":", at) + 1)
        end = _end_of_value(text, at)
        found[key] = text[at:end]
        at = _skip_space(text, end)
        if text[at] == ",":
            at = _skip_space(text, at + 1)
    return found


def _end_of_value(text: str, at: int) -> int:
    if text[at] not in '"[{':
        return _next_match(_SCALAR, text, at).end()
    depth = 0
    while True:
        token = _next_match(_STRUCTURE, text, at)
        depth += _NESTING.get(token[0], 0)
        at = token.end()
        if depth == 0:
            return at


def _next_match(pattern: re.Pattern[str], text: str, at: int) -> re.Match[str]:
    found = pattern.search(text, at)
    if found is None:
        raise ValueError("this is not JSON")
    return found


def _skip_space(text: str, at: int) -> int:
    while text[at] in " \t\r\n":
        at += 1
    return at


def _depth(text: str) -> int:
    brackets = _STRING.sub("", text).encode("ascii", "ignore").translate(_OPENS, _NO_BRACKETS)
    return max(accumulate(map((-1, 1).__getitem__, brackets)), default=0)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _check_number(text: str) -> object:
    if _WITHIN_LIMITS.fullmatch(text):
        return None
    try:
        number = Decimal(text)
    except ArithmeticError:  # an exponent of more than 18 digits
        raise ValueError(f"the number {text[:40]} is out of range") from None
    first_digit = number.adjusted()
    last_digit = first_digit + 1 - len(number.as_tuple().digits)
    if max(abs(first_digit), abs(last_digit)) > min(_MAX_DIGITS, len(text) + _MAX_MORE_DIGITS):
        raise ValueError(f"the number {text[:40]} is out of range")
    return number


def _counting_decoder() -> json.JSONDecoder:
    room = MAX_GROWTH

    def check(text: str) -> None:
        nonlocal room
        _check_number(text)
        if "e" in text or "E" in text:
            room -= abs(int(text.lower().partition("e")[2]))
            if room < 0:
                raise ValueError("its numbers with exponents are too long when they are written out")

    return json.JSONDecoder(parse_constant=_refuse_constant, parse_float=check)


def _check_characters(value: Any) -> None:
    if isinstance(value, str):
        found = UNSTORABLE.search(value)
        if found:
            raise ValueError(f"PostgreSQL cannot store the character \\u{ord(found[0]):04x}")
    elif isinstance(value, list):
        for item in value:
            _check_characters(item)


_decoder = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_check_number)
# Objects as lists of their keys and values: also those that a later member of the same name replaces.
_decode_everything = json.JSONDecoder(object_pairs_hook=lambda pairs: [part for pair in pairs for part in pair]).decode
