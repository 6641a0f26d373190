"""A shop with its payment service: orders of every kind of luck, and what has to be left of each in the world outside.

The workflow is examples/order. What happened is read where it happened: from the requests that the payment service got,
and from the shop's tables, in which nothing is unique that the engine has to keep unique.
"""

from __future__ import annotations

import json
import random
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.engine.database import EXAMPLES, Database
from tests.net.servers import Received, Server, response, serving

STOCK = 1_000_000
#: Seconds that a confirmation may take which comes, and one which does not.
LONG, SHORT = 900, 1


@dataclass(frozen=True)
class Luck:
    """What becomes of an order. `steps` are its rows, `charges` and `refunds` whether the service hears of them."""

    steps: tuple[str, ...]
    charged: bool
    refunded: bool
    item: str = "hat"
    patience: int = LONG
    confirmation: bool | None = None
    quantity: int = 2


LUCK = {
    "shipped": Luck(("reserved", "shipped"), True, False, confirmation=True),
    # The first answer is an error of the server: the workflow charges again after a pause.
    "flaky": Luck(("reserved", "shipped"), True, False, confirmation=True),
    "declined": Luck(("reserved", "cancelled"), True, True),
    "unconfirmed": Luck(("reserved", "cancelled"), True, True, confirmation=False),
    "silent": Luck(("reserved", "cancelled"), True, True, patience=SHORT),
    "sold-out": Luck((), False, False, item="umbrella"),
}
_WEIGHTS = (10, 2, 3, 2, 2, 1)


class Payments:
    """The payment service. `requests` is its log: (order, "charge" or "refund") of each that came."""

    def __init__(self) -> None:
        self.requests: list[tuple[int, str]] = []
        self.keys: dict[str, set[bytes]] = {}
        self._unconfirmed: set[int] = set()
        self._lock = threading.Lock()

    def __call__(self, request: Received, connection: socket.socket) -> bool:
        _, luck, what = request.path.split("/")
        order = json.loads(request.body)["order"]
        connection.sendall(response(b"{}", self._note(luck, what, order, request.values("idempotency-key"))))
        return True

    def to_confirm(self) -> list[int]:
        """Orders that were charged and wait for their customer."""
        with self._lock:
            return list(self._unconfirmed)

    def confirmed(self, order: int) -> None:
        with self._lock:
            self._unconfirmed.discard(order)

    def _note(self, luck: str, what: str, order: int, keys: list[bytes]) -> int:
        with self._lock:
            first = (order, what) not in self.requests
            self.requests.append((order, what))
            self.keys.setdefault(f"{what}-{order}", set()).update(keys)
            if what == "charge" and first and LUCK[luck].confirmation is not None:
                self._unconfirmed.add(order)
        if what == "charge" and luck == "declined":
            return 402
        return 503 if what == "charge" and luck == "flaky" and first else 200


@dataclass
class Shop:
    database: Database
    payments: Payments
    server: Server
    orders: dict[int, str]

    def order(self, chance: random.Random, count: int) -> None:
        """Launch this many orders, each of a kind that chance decides."""
        for luck in chance.choices(list(LUCK), _WEIGHTS, k=count):
            about = LUCK[luck]
            data = {
                "item": about.item, "quantity": about.quantity, "cents": 1999, "patience": about.patience,
                "payments": self.server.url(f"/{luck}"),
            }  # fmt: skip
            self.orders[self.database.launch("order", data)] = luck

    def confirm(self) -> None:
        """The customers of charged orders confirm, or refuse."""
        for order in self.payments.to_confirm():
            luck = self.orders.get(order)
            if luck is None:
                continue  # charged before the launch has returned
            try:
                self.database.notify(order, "payment", {"confirmed": LUCK[luck].confirmation})
            except psycopg.OperationalError:
                return  # PostgreSQL is away; a second notification does no harm
            self.payments.confirmed(order)

    # -- what has to be true in the end ------------------------------------------------------------------------------
    def check(self, cut_short: int) -> str:
        """Every order is as it has to be, and requests were repeated at most once for each task that was cut short."""
        database = self.database
        assert database.query("SELECT state, count(*) FROM durable.task GROUP BY 1") == [("complete", len(self.orders))]
        steps: dict[int, list[str]] = {}
        for order, step in database.query("SELECT order_id, step FROM shop.steps"):
            steps.setdefault(order, []).append(step)
        for order, luck in self.orders.items():
            assert Counter(steps.get(order, [])) == Counter(LUCK[luck].steps), (order, luck, steps.get(order))
            database.assert_dense(order)
        assert set(steps) <= set(self.orders)
        self._check_stock()
        repeats = self._repeats()
        assert repeats <= cut_short
        return f"{len(self.orders)} orders, {len(self.payments.requests)} requests, {repeats} of them repeated"

    def _check_stock(self) -> None:
        shipped = sum(LUCK[luck].quantity for luck in self.orders.values() if "shipped" in LUCK[luck].steps)
        assert self.database.value("SELECT available FROM shop.stock WHERE item = 'hat'") == STOCK - shipped

    def _repeats(self) -> int:
        """Requests beyond those that the journal has an answer of.

        A run sends a request only when everything before is durable. So of all that it sent, at most the last one has
        no event, and only if the run did not reach its end: it was cut short, and another claim came after it.
        """
        sent = Counter(self.payments.requests)
        answered = self._answered()
        claims: dict[int, int] = dict(self.database.query("SELECT id, lease FROM durable.task"))
        for order, luck in self.orders.items():
            heard = (sent[order, "charge"] > 0, sent[order, "refund"] > 0)
            assert heard == (LUCK[luck].charged, LUCK[luck].refunded), (order, luck, heard)
            repeats = [sent[order, what] - answered[order, what] for what in ("charge", "refund")]
            assert min(repeats) >= 0, (order, luck, "answered, but never sent")
            assert sum(repeats) <= claims[order] - 1, (order, luck, repeats, claims[order])
        assert all(len(keys) == 1 for keys in self.payments.keys.values())
        return sum(sent.values()) - sum(answered.values())

    def _answered(self) -> Counter[tuple[int, str]]:
        rows = self.database.query(
            "SELECT task_id, substring(label FROM '/(charge|refund)\\)$') FROM durable.event "
            "WHERE label LIKE '%%http::send%%'"
        )
        return Counter((task, what) for task, what in rows)


@contextmanager
def shop(database: Database) -> Iterator[Shop]:
    database.query(Path(EXAMPLES / "order" / "schema.sql").read_text())
    database.query("UPDATE shop.stock SET available = %s WHERE item = 'hat'", STOCK)
    payments = Payments()
    with serving(payments) as server:
        yield Shop(database, payments, server, {})
