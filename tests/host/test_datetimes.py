"""Points in time are exact, whoever wrote them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable.host.datetimes import datetime_record, nanoseconds_record, parse_rfc3339, rfc3339

MOMENTS = st.datetimes(
    datetime(1970, 1, 1), datetime(9998, 1, 1), timezones=st.integers(-1439, 1439).map(
        lambda minutes: timezone(timedelta(minutes=minutes))
    ),
)  # fmt: skip
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(moment=MOMENTS)
def test_a_moment_is_told_to_the_microsecond(moment: datetime) -> None:
    microseconds = (moment - EPOCH) // timedelta(microseconds=1)
    seconds, rest = divmod(microseconds, 1_000_000)
    assert datetime_record(moment) == (seconds, rest * 1000)


@given(moment=MOMENTS.filter(lambda moment: moment >= EPOCH))
def test_what_is_written_is_read_as_it_was(moment: datetime) -> None:
    text = rfc3339(moment)
    assert text.endswith("Z")
    assert parse_rfc3339(text) == datetime_record(moment)
    assert datetime.fromisoformat(text) == moment


@given(
    moment=MOMENTS.filter(lambda moment: moment >= EPOCH + timedelta(days=2)),
    fraction=st.text("0123456789", min_size=1, max_size=12),
    zone=st.sampled_from(["Z", "+00:00", "+05:30", "-08:00", "+14:00"]),
)
def test_any_number_of_digits_and_any_offset_is_read(moment: datetime, fraction: str, zone: str) -> None:
    whole = moment.replace(microsecond=0, tzinfo=None).isoformat()
    seconds, nanoseconds = parse_rfc3339(f"{whole}.{fraction}{zone}")
    assert nanoseconds == int((fraction + "0" * 9)[:9])
    assert seconds == datetime.fromisoformat(whole + zone).timestamp()


@pytest.mark.parametrize(
    ("text", "record"),
    [
        ("1970-01-01T00:00:00Z", (0, 0)),
        ("2026-01-02T03:04:05Z", (1_767_323_045, 0)),
        ("2026-01-02T03:04:05.123456789Z", (1_767_323_045, 123_456_789)),
        ("2026-01-02T03:04:05.000000001Z", (1_767_323_045, 1)),
        ("2026-01-02T03:04:05.9999999999Z", (1_767_323_045, 999_999_999)),
        ("2026-01-02T04:04:05.5+01:00", (1_767_323_045, 500_000_000)),
        ("2026-01-01T22:34:05.25-04:30", (1_767_323_045, 250_000_000)),
        ("2038-01-19T03:14:08Z", (2**31, 0)),
    ],
)
def test_known_moments(text: str, record: tuple[int, int]) -> None:
    assert parse_rfc3339(text) == record


def test_an_offset_keeps_its_sign() -> None:
    east, west = parse_rfc3339("2026-01-02T12:00:00+02:00"), parse_rfc3339("2026-01-02T12:00:00-02:00")
    assert west[0] - east[0] == 4 * 3600


@given(nanoseconds=st.integers(0, 2**64 - 1))
def test_nanoseconds_are_split_exactly(nanoseconds: int) -> None:
    seconds, rest = nanoseconds_record(nanoseconds)
    assert seconds * 10**9 + rest == nanoseconds
    assert 0 <= rest < 10**9
