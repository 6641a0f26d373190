"""What passes `check_json` can be stored by PostgreSQL, and comes out of a journal as the text that it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg.rows import TupleRow

from durable.journal.json_text import MAX_DEPTH, MAX_GROWTH, check_json, members


class Server:
    """A real jsonb, asked in the way of the statement that appends events."""

    def __init__(self, connection: psycopg.Connection[TupleRow]) -> None:
        self._connection = connection

    def takes(self, text: str) -> bool:
        query = "SELECT count(e.value::jsonb) FROM json_array_elements(%s::json) AS e"
        try:
            return self._connection.execute(query, (f"[{text}]",)).fetchall() == [(1,)]
        except (psycopg.Error, UnicodeEncodeError):
            return False

    def prints(self, text: str) -> str:
        (row,) = self._connection.execute("SELECT %s::jsonb::text", (text,)).fetchall()
        return str(row[0])


@pytest.fixture(scope="module")
def jsonb(server: Any) -> Iterator[Server]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        yield Server(connection)


def accepts(text: str) -> bool:
    try:
        check_json(text)
    except ValueError:  # anything else would be taken for a crash of the host
        return False
    return True


# -- against a real server -------------------------------------------------------------------------------------------
DIGITS = st.text("0123456789", min_size=1, max_size=25)
EXPONENTS = st.integers(-400, 400) | st.sampled_from(
    [15999, 16000, 16001, 16383, 16384, 131071, 131072, 10**10, 10**25]
)
NUMBERS = st.builds(
    lambda sign, whole, fraction, e, exponent, minus: (
        f"{sign}{whole}{fraction}{e}{minus if e else ''}{exponent if e else ''}"
    ),
    st.sampled_from(["", "-", "+"]),
    DIGITS | st.just("0"),
    st.just("") | DIGITS.map(lambda digits: f".{digits}"),
    st.sampled_from(["", "e", "E"]),
    EXPONENTS.map(abs),
    st.sampled_from(["", "-", "+"]),
)
CHARACTERS = st.characters() | st.sampled_from('\0\x01\x1f\x7f"\\/\ud800\udbff\udc00\udfff\ufeff\uffff\U0010ffff')
ESCAPES = st.sampled_from(
    [
        "\\u0000",
        "\\u0001",
        "\\ud83d",
        "\\ude00",
        "\\ud83d\\ude00",
        "\\ude00\\ud83d",
        "\\\\u0000",
        "\\\\\\u0000",
        "\\x",
        "\\u12",
        "\\/",
    ]
)
STRINGS = st.lists(CHARACTERS.filter(lambda c: c not in '"\\') | ESCAPES, max_size=6).map(
    lambda parts: f'"{"".join(parts)}"'
)
WORDS = st.sampled_from(["null", "true", "false", "NaN", "Infinity", "-Infinity", "nul", "None", ""])
SPACES = st.text(" \t\r\n", max_size=2) | st.sampled_from(["\x0c", "\xa0", "\ufeff"])


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    spaced = st.builds(lambda before, text, after: before + text + after, SPACES, inner, SPACES)
    member = st.builds(lambda key, text: f"{key}:{text}", STRINGS, spaced)
    return st.one_of(
        st.lists(spaced, max_size=4).map(lambda items: f"[{','.join(items)}]"),
        st.lists(member, max_size=4).map(lambda items: f"{{{','.join(items)}}}"),
    )


#: Mostly JSON, with whatever parsers disagree about.
NEARLY_JSON = st.recursive(NUMBERS | STRINGS | WORDS, _compound, max_leaves=8)
ANY_TEXT = st.text(st.sampled_from('[]{}:,"\\0123456789.eE+-ntfu \t\n\0\ud800') | st.characters(), max_size=12)
SERVER_CHECKS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@SERVER_CHECKS
@given(text=NEARLY_JSON | ANY_TEXT)
@example('{"a": "\\ud800", "a": 1}')
@example('{"\\u0000": 1, "\\u0000": 2, "a": 3}')
@example("1e9999999999999999999999")
def test_what_is_accepted_is_taken_by_jsonb(jsonb: Server, text: str) -> None:
    if accepts(text):
        assert jsonb.takes(text), text


JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab\\\"é😀"), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip


@SERVER_CHECKS
@given(value=JSON_VALUES, ascii=st.booleans(), indent=st.none() | st.integers(0, 2))
def test_ordinary_json_is_accepted_by_both(jsonb: Server, value: Any, ascii: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii, indent=indent)
    assert accepts(text)
    assert jsonb.takes(text)


NASTY = {
    "a lone surrogate": '"\\ud800"',
    "a lone low surrogate": '"\\udc00"',
    "surrogates in the wrong order": '"\\ude00\\ud83d"',
    "a surrogate before a pair": '"\\ud83d\\ud83d\\ude00"',
    "a surrogate in a key": '{"\\ud800": 1}',
    "a surrogate in a member that is replaced": '{"a": "\\ud800", "a": 1}',
    "a surrogate deep in a member that is replaced": '{"a": [{"b": "\\ud800"}], "a": 1}',
    "a key that is not storable and is replaced": '{"\\u0000": 1, "\\u0000": 2}',
    "U+0000": '"\\u0000"',
    "U+0000 after a backslash": '"\\\\\\u0000"',
    "U+0000 as it is": '"\0"',
    "a surrogate as it is": '"\ud800"',
    "a surrogate as it is in a key": '{"\udfff": 1}',
    "a control character as it is": '"\x1f"',
    "a number that is too large": "1e131072",
    "a number with an exponent beyond all limits": "1e9999999999999999999999",
    "a small number with an exponent beyond all limits": "1e-9999999999999999999999",
    "zero with an exponent beyond all limits": "0e9999999999999999999999",
    "zero with too many digits": "0e-16384",
    "a number with too many digits after the point": "1." + "1" * 16384,
    "a number whose digits and exponent together are too many": "1." + "1" * 390 + "e-16000",
    "a number with too many digits": "1" * 131073,
    "not a number": "NaN",
    "infinity": "-Infinity",
    "a leading zero": "01",
    "a leading plus": "+1",
    "a bare point": "1.",
    "a trailing comma": "[1,]",
    "a comment": "[1] // one",
    "two values": "1 2",
    "two values that would be two events": "1, 2",
    "a value that closes the array": "1], [2",
    "nothing": "",
    "only space": " ",
    "a byte order mark": "\ufeff1",
    "a space that is none of JSON's": "\xa01",
    "single quotes": "'a'",
    "an unknown escape": '"\\x41"',
    "an unfinished string": '"a',
    "an unfinished array": "[[]",
}  # fmt: skip


@pytest.mark.parametrize("name", NASTY)
def test_what_jsonb_refuses_is_refused(jsonb: Server, name: str) -> None:
    assert not jsonb.takes(NASTY[name])
    assert not accepts(NASTY[name])


FINE = [
    '"\\ud83d\\ude00"', '"\\\\u0000"', '"\\\\ud800"', '"\x7f"', '"' + "é" * 100_000 + '"',
    "18446744073709551615", "-9223372036854775809", "1.10", "-0", "1E+2",
    "1e308", "5e-324", "2.2250738585072014e-308", "1e400", "1e-400",
    "1" * 4300, "0." + "1" * 15000,
    '{"a": 1, "a": 2}', '{"": {"": [[], {}]}}', " [ 1 ]\n\t\r",
]  # fmt: skip


@pytest.mark.parametrize("text", FINE, ids=lambda text: text[:20])
def test_unusual_json_that_jsonb_takes_is_accepted(jsonb: Server, text: str) -> None:
    assert jsonb.takes(text)
    assert accepts(text)


@pytest.mark.parametrize(
    ("fits", "too_much"),
    [
        ("1" * 4300, "1" * 4301),
        ("0." + "1" * 16_000, "0." + "1" * 16_001),
        ("1e405", "1e406"),
        ("1e-406", "1e-407"),
        ("1E399", "1E+4000"),
    ],
    ids=lambda text: f"{text[:8]}, {len(text)} characters",
)
def test_numbers_are_accepted_up_to_their_limits(jsonb: Server, fits: str, too_much: str) -> None:
    assert accepts(fits)
    assert jsonb.takes(fits)
    assert not accepts(too_much)


@pytest.mark.parametrize("pattern", ["[]", '{"a":}', '[{"a":}]'])
def test_nesting_is_accepted_up_to_its_limit(jsonb: Server, pattern: str) -> None:
    opening, closing = pattern.rstrip("}]"), pattern[len(pattern.rstrip("}]")) :]
    levels = len(closing)

    def nested(depth: int) -> str:
        return opening * (depth // levels) + "1" + closing * (depth // levels)

    assert accepts(nested(MAX_DEPTH))
    assert jsonb.takes(nested(MAX_DEPTH))
    assert not accepts(nested(MAX_DEPTH + levels))
    assert not accepts(nested(200_000))


def test_brackets_within_strings_are_no_nesting() -> None:
    assert accepts('["' + "[" * 1000 + '", "\\"' + "{" * 1000 + '"]')


def test_the_message_is_for_the_author() -> None:
    with pytest.raises(ValueError, match=r"cannot store the character \\u0000"):
        check_json('"\\u0000"')
    with pytest.raises(ValueError, match="the number 1e99999 is out of range"):
        check_json("1e99999")
    with pytest.raises(ValueError, match="NaN is not JSON"):
        check_json("[NaN]")
    with pytest.raises(ValueError, match="nested deeper than 500 levels"):
        check_json("[" * 501 + "]" * 501)


NUMBERS_THAT_GROW = ["1e500", "1e16000", "1e-500", "0e-9999"]


@pytest.mark.parametrize("number", NUMBERS_THAT_GROW)
def test_a_number_that_jsonb_prints_much_longer_is_refused_since_many_could_never_be_read_again(
    jsonb: Server, number: str
) -> None:
    assert jsonb.takes(number)
    assert not accepts(number)


def test_exponents_may_stand_for_a_mebibyte_of_digits(jsonb: Server) -> None:
    """PostgreSQL prints them all, and 4 MiB of them make a text of 300 MB."""
    numbers = [f"1e-{MAX_GROWTH % 399}", *["-1E+399"] * (MAX_GROWTH // 399)]
    fits = f"[{','.join(numbers)}]"
    assert accepts(fits)
    assert len(jsonb.prints(fits)) < MAX_GROWTH + 5 * len(fits)
    assert not accepts(f"[1e1,{fits[1:]}")
    assert accepts(f'["{"1e399 " * 10_000}", {"1.25," * 10_000} 1e0]'), "neither strings nor other numbers grow"


# -- members ---------------------------------------------------------------------------------------------------------
@given(
    value=st.dictionaries(st.text(), JSON_VALUES),
    spaces=st.lists(st.text(" \t\r\n", max_size=3), min_size=5, max_size=5),
)
def test_members_are_the_exact_texts_of_the_values(value: dict[str, Any], spaces: list[str]) -> None:
    a, b, c, d, e = spaces
    texts = {key: json.dumps(item, indent=1) for key, item in value.items()}
    inside = ",".join(f"{a}{json.dumps(key)}{b}:{c}{text}{d}" for key, text in texts.items())
    assert members(f"{e}{{{inside or a}}}{e}") == texts


@settings(max_examples=50, deadline=None)
@given(value=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), JSON_VALUES))
def test_members_of_what_jsonb_prints_have_the_values_that_it_has(jsonb: Server, value: dict[str, Any]) -> None:
    printed = jsonb._connection.execute("SELECT %s::jsonb::text", (json.dumps(value),)).fetchone()
    assert printed is not None
    assert {key: json.loads(text) for key, text in members(printed[0]).items()} == json.loads(printed[0])


ANY_VALUE = [
    "1.10", "18446744073709551616", "1e400", '"}"', '"\\"}"', '["}", "\\\\", {"]": "{"}]', '{"data": 1}',
    "1" * 5000, "[" * 3000 + "]" * 3000,
]  # fmt: skip


@pytest.mark.parametrize("text", ANY_VALUE, ids=lambda text: text[:20])
def test_a_value_keeps_its_text_whatever_it_is(text: str) -> None:
    assert members(f'{{"data": {text}, "event": "e"}}') == {"data": text, "event": '"e"'}
    assert members(f'{{"event":"e","data":{text}}}') == {"data": text, "event": '"e"'}


def test_an_object_without_members_has_none() -> None:
    assert members("{}") == members(" { } ") == {}


@pytest.mark.parametrize("end", ["", "\\", "\n", '\\\n"]'])
def test_a_string_without_end_is_refused_as_soon_as_any_other_text(end: str) -> None:
    with pytest.raises(ValueError, match="Extra data"):
        check_json("[]" * (MAX_DEPTH + 1) + '"' + '\\"' * 1_000_000 + end)


def test_brackets_within_strings_do_not_count_and_those_after_them_do() -> None:
    check_json('["\\"[\\\\", ' + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1) + "]")
    with pytest.raises(ValueError, match="nested deeper"):
        check_json('["\\"]]\\\\", ' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "]")
