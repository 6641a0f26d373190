"""A database that answers and cannot write, without a disk that is full: a trigger says what the server would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.sql import SQL

SAYS = "could not extend file: No space left on device"


@contextmanager
def impaired(url: str, what: str, state: str = "53100", says: str = SAYS) -> Iterator[None]:
    """Within it all that `what` names, such as `INSERT ON durable.event`, fails with that SQLSTATE."""
    raising = f"BEGIN RAISE EXCEPTION '{says}' USING ERRCODE = '{state}'; END"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            SQL(f"CREATE FUNCTION public.impaired() RETURNS trigger LANGUAGE plpgsql AS $$ {raising} $$")
        )
        try:
            connection.execute(SQL(f"CREATE TRIGGER impaired BEFORE {what} EXECUTE FUNCTION public.impaired()"))
            yield
        finally:
            connection.execute("DROP FUNCTION public.impaired CASCADE")
