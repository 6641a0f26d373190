"""Points in time as guests see them (`record datetime {seconds, nanoseconds}`) and as the journal holds them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

Datetime = tuple[int, int]

_FRACTION = re.compile(r"\.(\d+)")


def datetime_record(moment: datetime) -> Datetime:
    """Exact to the microsecond, which is what PostgreSQL keeps."""
    return int(moment.replace(microsecond=0).timestamp()), moment.microsecond * 1000


def nanoseconds_record(nanoseconds: int) -> Datetime:
    return divmod(nanoseconds, 1_000_000_000)


def rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_rfc3339(text: str) -> Datetime:
    """The inverse of `rfc3339`, for any number of digits after the second: other engines write nanoseconds."""
    fraction = _FRACTION.search(text)
    whole = datetime.fromisoformat(_FRACTION.sub("", text))
    return int(whole.timestamp()), int(fraction[1].ljust(9, "0")[:9]) if fraction else 0
