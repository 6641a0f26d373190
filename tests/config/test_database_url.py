"""A password is never shown."""

from __future__ import annotations

import pytest

from durable.database_url import checked, has_password, redacted

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://me:{SECRET}@host/db",
        f"postgres://me:{SECRET}@host:5432/db?sslmode=require",
        f"postgresql://:{SECRET}@host",
        f"cannot reach postgresql://me:{SECRET}@host/db, sorry",
        f"postgresql://me:x/{SECRET}@host/db",
        f"postgresql://me:x@{SECRET}@host/db",
        f"https://me:{SECRET}@example.org/",
        f"postgresql://host/db?user=me&password={SECRET}&x=1",
        f"host=x password={SECRET} dbname=y",
        f"host=x password = '{SECRET} \\' {SECRET}' dbname=y",
        f"sslpassword={SECRET}",
    ],
)
def test_a_password_is_replaced_wherever_it_stands(text: str) -> None:
    assert SECRET not in redacted(text)
    assert "***" in redacted(text)
    assert has_password(text)


@pytest.mark.parametrize("text", ["postgresql://me@host/db", "host=x", "http://a:80/ and b@c", ""])
def test_what_holds_no_password_stays_as_it_is(text: str) -> None:
    assert redacted(text) == text
    assert not has_password(text)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me@host/db",
        "postgres://me:p%40ss@host:5432,other:5432/db?target_session_attrs=read-write",
        "postgresql:///db?host=%2Ftmp%2Fsocket",
        "postgresql://me:a?b#c@host/db",
        "host=/tmp/socket dbname=db",
        " postgresql://host/db\n",
    ],
)
def test_what_libpq_takes_is_taken(url: str) -> None:
    assert checked(url) == url.strip()
