"""schema.sql, which people read, is what the migrations make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from durable.embedded import EmbeddedServer
from durable.store.migrations import latest, migrate, schema_version
from tests.conftest import url_of

SCHEMA = Path(__file__).parent.parent.parent / "schema.sql"

CATALOG = {
    "columns": """
        SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns
        WHERE table_schema = 'durable' ORDER BY 1, 2""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'durable'::regnamespace ORDER BY 1, 2""",
    "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'durable' ORDER BY 1",
    "functions": """
        SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'durable'::regnamespace ORDER BY proname""",
    "triggers": """
        SELECT tgname, pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
        WHERE c.relnamespace = 'durable'::regnamespace AND NOT tgisinternal ORDER BY 1""",
    "states": """
        SELECT enumlabel FROM pg_enum WHERE enumtypid = 'durable.task_state'::regtype ORDER BY enumsortorder""",
    "settings": """
        SELECT relname, reloptions FROM pg_class
        WHERE relnamespace = 'durable'::regnamespace AND relkind = 'r' ORDER BY 1""",
    "sequences": """
        SELECT sequencename, data_type::text FROM pg_sequences WHERE schemaname = 'durable' ORDER BY 1""",
    "versions": "SELECT version, name, works_from FROM durable.migration ORDER BY 1",
}


@pytest.fixture
def two_databases(server: EmbeddedServer) -> Any:
    names = ("schema_by_migrations", "schema_by_file")
    with psycopg.connect(server.url, autocommit=True) as connection:
        for name in names:
            connection.execute(f"CREATE DATABASE {name}")
    yield [url_of(server, name) for name in names]
    with psycopg.connect(server.url, autocommit=True) as connection:
        for name in names:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_it_equals_the_sum_of_the_migrations(two_databases: list[str]) -> None:
    by_migrations, by_file = (psycopg.connect(url, autocommit=True) for url in two_databases)
    with by_migrations, by_file:
        migrate(by_migrations)
        by_file.execute(SCHEMA.read_text())
        for what, query in CATALOG.items():
            assert by_file.execute(query).fetchall() == by_migrations.execute(query).fetchall(), what


def test_a_database_made_of_it_is_up_to_date_and_can_be_taken_down(two_databases: list[str]) -> None:
    with psycopg.connect(two_databases[1], autocommit=True) as connection:
        connection.execute(SCHEMA.read_text())
        assert schema_version(connection).current == latest()
        assert migrate(connection) == []
        migrate(connection, 0)
        assert connection.execute("SELECT to_regnamespace('durable')").fetchone() == (None,)
