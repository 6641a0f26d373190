"""A rollout by itself: whatever happens in which order, nobody is missed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from durable.config import Config
from workers.link import Link
from workers.rollout import Rollout
from workers.slots import Child, Slot, Slots

OLD = Config()


@pytest.fixture
def link() -> Iterator[Link]:
    """One for all: nothing is sent."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Link(ours)


class Service:
    """What a supervisor would do with the decisions, and what may happen to it meanwhile."""

    def __init__(self, size: int, link: Link) -> None:
        self._link = link
        self.size = size
        self.slots = Slots(size, OLD)
        for slot in self.slots:
            slot.child = self._child(ready_at=0.0)
        self.rollout = Rollout(replace(OLD))

    def _child(self, ready_at: float | None) -> Child:
        return Child(0, 0, self._link, None, 0.0, ready_at)

    def step(self) -> None:
        while leaving := self.rollout.step(self.slots):
            assert leaving.child is not None
            leaving.is_leaving, leaving.child.deadline = True, 1.0
        for slot in self.slots.staying:
            slot.child = slot.child or self._child(ready_at=None)

    def become_ready(self) -> None:
        for slot in self.slots.staying:
            if slot.child is not None:
                slot.child.ready_at = 1.0

    def end_leaving(self) -> None:
        for slot in [slot for slot in self.slots if slot.is_leaving]:
            self.slots.remove(slot)

    def break_down(self) -> None:
        """The oldest worker dies, and takes its time to come back."""
        first = self.slots.staying[0]
        if first is not self.rollout.spare and first.child is not None:
            first.child.ready_at = None

    def remove_worker(self) -> None:
        staying = [slot for slot in self.slots.staying if slot is not self.rollout.spare]
        if len(staying) > 1:
            self._leave(min(reversed(staying), key=lambda slot: slot.is_up))
            self.size -= 1

    def reload(self) -> None:
        if self.rollout.spare is not None:
            self._leave(self.rollout.spare)
        self.rollout = Rollout(replace(OLD))

    def _leave(self, slot: Slot) -> None:
        if slot.child is None:
            self.slots.remove(slot)
        else:
            slot.is_leaving, slot.child.deadline = True, 1.0

    @property
    def up(self) -> int:
        return sum(slot.is_up for slot in self.slots)


happenings = st.sampled_from([Service.step, Service.become_ready, Service.end_leaving, Service.reload])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=st.integers(1, 5), what=st.lists(happenings, max_size=60))
def test_there_are_never_fewer_workers_up_nor_more_than_one_on_top(link: Link, size: int, what: list[object]) -> None:
    service = Service(size, link)
    for happens in what:
        assert callable(happens)
        happens(service)
        assert service.up >= size
        assert len(service.slots.staying) <= size + 1
        assert sum(slot.is_leaving for slot in service.slots) <= 2  # an old worker, and a replacement given up


troubles = happenings | st.sampled_from([Service.break_down, Service.remove_worker])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(
    size=2,
    what=[
        Service.step,
        Service.become_ready,
        Service.step,
        Service.end_leaving,
        Service.step,
        Service.break_down,
        Service.remove_worker,
    ],
)
@given(size=st.integers(1, 5), what=st.lists(troubles, max_size=60))
def test_in_the_end_all_workers_have_the_newest_configuration(link: Link, size: int, what: list[object]) -> None:
    service = Service(size, link)
    for happens in what:
        assert callable(happens)
        happens(service)
    for _ in range(3 * size + 4):
        service.step()
        service.become_ready()
        service.end_leaving()
    assert service.rollout.is_done
    assert [slot.config is service.rollout.config for slot in service.slots] == [True] * service.size
    assert len({slot.number for slot in service.slots}) == service.size


def test_a_slot_without_a_working_worker_is_the_first_to_go(link: Link) -> None:
    service = Service(3, link)
    second = list(service.slots)[1]
    second.child = None
    service.rollout.step(service.slots)
    assert service.rollout.spare is not None
    service.rollout.spare.child = Child(0, 0, link, None, 0.0, 1.0)
    assert service.rollout.step(service.slots) is second
