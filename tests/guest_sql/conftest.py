from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator

import psycopg
import pytest

from durable.embedded import EmbeddedServer
from durable.store.migrations import migrate
from tests.conftest import url_of
from tests.execution.tables import Tables

_numbers = itertools.count(1)

_SCHEMA = """
CREATE SCHEMA app;
CREATE TABLE app.effect (task bigint NOT NULL, n integer NOT NULL);
CREATE SEQUENCE app.numbers;
CREATE FUNCTION app.write(task bigint, n integer) RETURNS integer LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO app.effect VALUES (task, n); RETURN n; END $$;
CREATE PROCEDURE app.write_and_commit(task bigint, n integer) LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO app.effect VALUES (task, n); COMMIT; END $$;

-- Work that the commit itself has to do, and reasons for it to fail.
CREATE TABLE app.later (task bigint NOT NULL, n integer NOT NULL);
CREATE FUNCTION app.write_later() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO app.effect VALUES (NEW.task, NEW.n); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON app.later DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION app.write_later();
CREATE TABLE app.refused (n integer);
CREATE FUNCTION app.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
CREATE CONSTRAINT TRIGGER refused AFTER INSERT ON app.refused DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION app.refuse();
CREATE TABLE app.parent (n integer PRIMARY KEY);
CREATE TABLE app.child (n integer REFERENCES app.parent DEFERRABLE INITIALLY DEFERRED);

-- What our own statements would find if they trusted the guest's search_path.
CREATE SCHEMA hijack;
CREATE FUNCTION hijack.pg_current_xact_id_if_assigned() RETURNS xid8 LANGUAGE sql AS $$ SELECT xid8 '7' $$;
CREATE FUNCTION hijack.pg_advisory_unlock_all() RETURNS void LANGUAGE sql AS 'SELECT';
CREATE FUNCTION hijack.set_config(text, text, boolean) RETURNS text LANGUAGE sql AS $$ SELECT 'no' $$;
CREATE FUNCTION hijack.equal(name, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR hijack.= (LEFTARG = name, RIGHTARG = text, FUNCTION = hijack.equal);
CREATE DOMAIN hijack.text AS pg_catalog.text CHECK (length(VALUE) > 1000);
CREATE DOMAIN hijack.jsonb AS pg_catalog.jsonb CHECK (VALUE <> 'true');
"""


@pytest.fixture(scope="session")
def preparing_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A server that allows PREPARE TRANSACTION, which by default none does."""
    server = EmbeddedServer(tmp_path_factory.mktemp("postgres"), fsync=False)
    server.ensure_running()
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET max_prepared_transactions = 4")
        connection.execute("CREATE DATABASE shape_of_guest_sql")
    server.restart("immediate")
    with psycopg.connect(url_of(server, "shape_of_guest_sql"), autocommit=True) as connection:
        migrate(connection)
        connection.execute(_SCHEMA)
    yield server
    server.stop("immediate")


@pytest.fixture
def database_url(preparing_server: EmbeddedServer) -> Iterator[str]:
    """The URL of a database with tables of an application beside those of the engine."""
    name = f"guest_sql_{next(_numbers)}"
    with psycopg.connect(preparing_server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE shape_of_guest_sql")
        yield url_of(preparing_server, name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def tables(database_url: str) -> Iterator[Tables]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield Tables(connection)


@pytest.fixture
def other_role(tables: Tables) -> Iterator[str]:
    """A role that may do nothing, which a workflow could try to become."""
    name = f"nobody_{secrets.token_hex(4)}"
    tables.rows(f"CREATE ROLE {name}")
    yield name
    tables.rows(f"DROP ROLE {name}")


@pytest.fixture
def own_login(tables: Tables, database_url: str) -> Iterator[str]:
    """The URL of a login as ops/roles.sql makes it, with the application's tables granted."""
    name = f"guest_{secrets.token_hex(4)}"
    tables.rows(f"CREATE ROLE {name} LOGIN")
    tables.rows(f"GRANT USAGE ON SCHEMA app, hijack, durable TO {name}")
    tables.rows(f"GRANT ALL ON ALL TABLES IN SCHEMA app TO {name}")
    tables.rows(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA app TO {name}")
    tables.rows(f"GRANT EXECUTE ON FUNCTION durable.guest_begin, durable.guest_record TO {name}")
    yield database_url.replace("//durable@", f"//{name}@")
    tables.rows(f"DROP OWNED BY {name} CASCADE")
    tables.rows(f"DROP ROLE {name}")
