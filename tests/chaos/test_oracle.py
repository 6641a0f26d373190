"""The oracle sees each broken promise: a world in which all is well, and worlds in which one thing is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from tests.chaos.oracle import judge
from tests.chaos.witness import STEPS, WAIT_AFTER, Ledger, Post, Witnesses

_CALLS = (
    "wasi:clocks/wall-clock.now", "wasi:random/random.get-random-u64", "durable::http::send(POST http://127.0.0.1/)",
    "row", "wasi:io/streams.output-stream.write",
)  # fmt: skip
_WAIT = ("durable:core/notify.notification-blocking", "wasi:io/streams.output-stream.write")


def _labels() -> list[str]:
    return [label for step in range(STEPS) for label in (*_CALLS, *(_WAIT if step == WAIT_AFTER else ()))]


def _printed(task: int) -> list[str]:
    lines = [f"step {step} {1000 + step} {task * 100 + step}\n" for step in range(STEPS)]
    return [*lines[: WAIT_AFTER + 1], f"go {task}\n", *lines[WAIT_AFTER + 1 :]]


@dataclass
class World:
    """Two tasks that ended as they have to; the second one was claimed twice, and sent its first request twice."""

    tasks: list[list[Any]] = field(default_factory=lambda: [[1, "one", "complete", 1], [2, "two", "complete", 2]])
    rows: list[list[Any]] = field(
        default_factory=lambda: [
            [task, step, 1000 + step, task * 100 + step, task if step else 1]
            for task in (1, 2)
            for step in range(STEPS)
        ]
    )
    events: list[list[Any]] = field(
        default_factory=lambda: [[task, index, label] for task in (1, 2) for index, label in enumerate(_labels())]
    )
    logs: list[list[Any]] = field(default_factory=lambda: [[task, text] for task in (1, 2) for text in _printed(task)])
    posts: list[Post] = field(
        default_factory=lambda: [
            Post(0.0, task, step, 1000 + step, task * 100 + step, "")
            for task, step in [(2, 0), *((task, step) for task in (1, 2) for step in range(STEPS))]
        ]
    )
    ledger: Ledger = field(default_factory=lambda: Ledger({"one": 1, "two": 2, "lost": None}, {1: {1}, 2: {2, 9}}))

    def judge(self) -> str:
        return judge(cast(Witnesses, _Scene(self)))


class _Scene:
    """What the oracle asks of the witnesses."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.database = self.receiver = self.crowd = self
        self.ledger = world.ledger

    def seen(self) -> list[Post]:
        return self._world.posts

    def failure(self, task: int) -> str:
        return "its reason"

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        world = self._world
        match statement.partition(" FROM ")[2].split()[0], statement.count(","):
            case "durable.task", 1:
                return [(id_, lease) for id_, _, _, lease in world.tasks]
            case "durable.task", _:
                return [(id_, name, state) for id_, name, state, _ in world.tasks]
        table = {"witness.step": world.rows, "durable.event": world.events, "durable.log": world.logs}
        return [tuple(row) for row in table[statement.partition(" FROM ")[2].split()[0]]]


def test_a_world_in_which_all_is_well_is_accepted() -> None:
    told = "2 tasks (1 launches failed, 0 of them took place), 10 rows, 11 requests, 1 of them repeated, 3 claims"
    assert World().judge() == told


def test_a_launch_in_doubt_may_have_taken_place() -> None:
    world = World()
    world.ledger.launches["two"] = None
    assert "(2 launches failed, 1 of them took place)" in world.judge()


def _other_number(world: World) -> None:
    world.posts[3] = world.posts[3]._replace(number=77)


def _all_of(task: int) -> Callable[[World], None]:
    def remove(world: World) -> None:
        world.events = [event for event in world.events if event[0] != task]

    return remove


def _relabel(index: int, label: str) -> Callable[[World], None]:
    return lambda world: world.events[index].__setitem__(2, label)


BROKEN: dict[str, Callable[[World], Any]] = {
    "a task failed": lambda world: world.tasks[0].__setitem__(2, "failed"),
    "a task has not ended": lambda world: world.tasks[0].__setitem__(2, "active"),
    "a launch took place twice": lambda world: world.tasks[1].__setitem__(1, "one"),
    "nobody has launched it": lambda world: world.ledger.launches.pop("one"),
    "an acknowledged launch is lost": lambda world: world.ledger.launches.update(three=3),
    "an acknowledged launch has another id": lambda world: world.ledger.launches.update(one=3),
    "a row is there twice": lambda world: world.rows.append(world.rows[0]),
    "a row is lost": lambda world: world.rows.pop(),
    "a row is of nobody": lambda world: world.rows.append([3, 0, 1000, 1, 1]),
    "a row is of a lease that was over": lambda world: world.rows[7].__setitem__(4, 1),
    "a row is of a lease that never was": lambda world: world.rows[9].__setitem__(4, 3),
    "a row says something else": lambda world: world.rows[2].__setitem__(3, 77),
    "a request was never sent": lambda world: world.posts.pop(),
    "a request is of nobody": lambda world: world.posts.append(Post(0.0, 3, 0, 1000, 1, "")),
    "a request told of another answer": _other_number,
    "a request was sent again by the same claim": lambda world: world.posts.append(world.posts[1]),
    "requests were sent again more often than claimed": lambda world: world.posts.append(world.posts[0]),
    "an event is lost": lambda world: world.events.pop(3),
    "an event is there twice": lambda world: world.events.insert(3, world.events[3]),
    "the last event is lost": lambda world: world.events.pop(),
    "a journal is lost": _all_of(1),
    "a journal is of nobody": lambda world: world.events.append([3, 0, "row"]),
    "an event is another one": _relabel(1, "wasi:clocks/wall-clock.now"),
    "a line of the log is lost": lambda world: world.logs.pop(1),
    "a line of the log is there twice": lambda world: world.logs.insert(1, world.logs[1]),
    "lines of the log have changed places": lambda world: world.logs.insert(0, world.logs.pop(1)),
    "a log is lost": lambda world: world.logs.__delitem__(slice(0, STEPS + 1)),
    "a notification is of nobody": lambda world: world.ledger.told.update({1: {8}}),
    "a task that nobody told anything went on": lambda world: world.ledger.told.pop(1),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_promise_is_seen(what: str) -> None:
    world = World()
    BROKEN[what](world)
    with pytest.raises(AssertionError):
        world.judge()
