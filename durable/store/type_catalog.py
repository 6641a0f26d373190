"""Which types the database of the guests has, remembered by OID, and what the columns of statements were last time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from durable.store.pg_types import PgType, known_types
from durable.store.queries import load
from durable.store.session import Connection

_TYPES = load("guest")["types"]
_REMEMBERED_STATEMENTS = 1000
#: Characters of one that is remembered: guests write statements as long as they like.
_LONG_STATEMENT = 10_000
#: More than the columns of one statement could need, and what they are made of; guests make types as they like.
REMEMBERED_TYPES = 10_000


class TypeCatalog:
    """Shared by all transactions of a worker.

    PostgreSQL gives an OID to another type only after four billion others; but a server that takes the place of another
    one may, and that shows as new connections. So everything is forgotten when one is opened.
    """

    def __init__(self) -> None:
        self._same_everywhere = known_types()
        self._types: OrderedDict[int, PgType] = OrderedDict()
        self._statements: OrderedDict[str, Sequence[PgType]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._types)

    def forget_all(self) -> None:
        self._types.clear()
        self._statements.clear()

    # -- statements --------------------------------------------------------------------------------------------------
    def columns_of(self, sql: str) -> Sequence[PgType] | None:
        """The types of a statement's columns when it was last looked at: of the same text they may be others now."""
        return self._statements.get(sql)

    def remember(self, sql: str, types: Sequence[PgType]) -> None:
        if len(sql) > _LONG_STATEMENT:
            return
        self._statements[sql] = types
        while len(self._statements) > _REMEMBERED_STATEMENTS:
            self._statements.popitem(last=False)

    def forget(self, sql: str) -> None:
        self._statements.pop(sql, None)

    # -- types -------------------------------------------------------------------------------------------------------
    def find(self, oids: Sequence[int]) -> list[PgType] | None:
        """Their types, None when one of them is unknown."""
        types = [ty for ty in map(self._get, oids) if ty is not None]
        return types if len(types) == len(oids) else None

    async def learn(self, connection: Connection, oids: Sequence[int]) -> list[PgType]:
        """Their types; what is unknown is looked up. What the database does not have is a type without a shape."""
        learned = await self._look_up(connection, oids)
        for oid, ty in learned.items():
            self._types[oid] = ty
        while len(self._types) > REMEMBERED_TYPES:
            self._types.popitem(last=False)
        return [learned.get(oid) or self._get(oid) or _nameless(oid) for oid in oids]

    def _get(self, oid: int) -> PgType | None:
        return self._same_everywhere.get(oid) or self._types.get(oid)

    async def _look_up(self, connection: Connection, oids: Iterable[int]) -> dict[int, PgType]:
        """Array and domain types need another look, at what they are made of."""
        unknown = {oid for oid in oids if self._get(oid) is None}
        if not unknown:
            return {}
        cursor = await connection.execute(_TYPES, {"oids": sorted(unknown)})
        rows = await cursor.fetchall()
        parts = {oid: base if kind == "d" else element for oid, _, kind, element, base, _ in rows}
        found = await self._look_up(connection, [part for part in parts.values() if part])
        for oid, name, kind, *_, category in rows:
            part = parts[oid]
            inner = found.get(part) or self._get(part) or _nameless(part)
            found[oid] = _made_of(oid, name, kind, category, inner)
        return found


def _nameless(oid: int) -> PgType:
    return PgType(oid, f"the type with OID {oid}", None)


def _made_of(oid: int, name: str, kind: str, category: str, inner: PgType) -> PgType:
    """`inner` is what a domain is based on, or what the elements of an array are."""
    if kind == "e" or name == "citext":
        return PgType(oid, name, "text")
    if kind == "d":
        return PgType(oid, name, inner.shape, inner.is_array, inner.element)
    if category == "A" and inner.oid:
        return PgType(oid, f"{inner.name}[]", None if inner.is_array else inner.shape, True, inner.oid)
    return PgType(oid, name, None)
