"""Which types the database of the guests has, remembered by OID, and which statements were looked at already."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from durable.store.pg_types import PgType, known_types
from durable.store.queries import load
from durable.store.session import Connection

_TYPES = load("guest")["types"]
_REMEMBERED_STATEMENTS = 1000
#: Characters of one that is remembered: guests write statements as long as they like.
_LONG_STATEMENT = 10_000


class TypeCatalog:
    """Shared by all transactions of a worker. A type that is unknown reads as one without a shape."""

    def __init__(self) -> None:
        self._types = known_types()
        self._statements: OrderedDict[str, None] = OrderedDict()

    def type_of(self, oid: int) -> PgType:
        return self._types.get(oid) or PgType(oid, f"the type with OID {oid}", None)

    def knows_statement(self, sql: str) -> bool:
        return sql in self._statements

    def remember_statement(self, sql: str) -> None:
        """Its column types are known; a later change of the schema shows as a type without a shape."""
        if len(sql) > _LONG_STATEMENT:
            return
        self._statements[sql] = None
        while len(self._statements) > _REMEMBERED_STATEMENTS:
            self._statements.popitem(last=False)

    async def learn_one(self, connection: Connection, oid: int) -> PgType:
        await self.learn(connection, [oid])
        return self.type_of(oid)

    async def learn(self, connection: Connection, oids: Sequence[int]) -> None:
        """Look unknown OIDs up. Array and domain types need another look, at what they are made of."""
        unknown = {oid for oid in oids if oid not in self._types}
        if not unknown:
            return
        cursor = await connection.execute(_TYPES, {"oids": sorted(unknown)})
        rows = await cursor.fetchall()
        parts = [element or base for _, _, _, element, base, _ in rows if element or base]
        await self.learn(connection, parts)
        for oid, name, kind, element, base, category in rows:
            self._types[oid] = self._made_of(oid, name, kind, element, base, category)

    def _made_of(self, oid: int, name: str, kind: str, element: int, base: int, category: str) -> PgType:
        if kind == "e" or name == "citext":
            return PgType(oid, name, "text")
        if kind == "d":
            inner = self.type_of(base)
            return PgType(oid, name, inner.shape, inner.is_array, inner.element)
        if category == "A" and element:
            inner = self.type_of(element)
            return PgType(oid, f"{inner.name}[]", None if inner.is_array else inner.shape, True, element)
        return PgType(oid, name, None)
