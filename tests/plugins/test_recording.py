"""What is recorded of a plugin's functions, when they are called, and what a replay does instead."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from durable.execution.outcome import Suspend
from durable.execution.transaction import Transaction
from durable.journal.cursor import BrokenJournal, Divergence
from durable.journal.faults import JournalUnavailable
from durable.model import TaskState
from durable.plugins import (
    Call,
    Err,
    Ok,
    Plugin,
    Resource,
    ResultError,
    TaskFailure,
    Unavailable,
    effect,
    local,
    pure,
    transactional,
)
from durable.plugins.errors import PluginFailed
from durable.wasm.traps import GuestLimit, GuestTrap, HostExhausted
from tests.host.stage import Stage, journal
from tests.plugins.interfaces import load, types

RESULT = "(result (result string (error string)))"


class Desk(Plugin):
    """Each function does what the test says."""

    types = types(
        f'"send" (param "to" string) {RESULT}',
        '"draw" (result u64)',
        '"double" (param "n" u32) (result u32)',
        f'"pay" (param "cents" u32) {RESULT}',
        '"[constructor]note" (result (own $note))',
        '"burn" (param "note" (own $note))',
        interface="acme:desk/all@1.0.0",
        declarations='(export "note" (type $note (sub resource)))',
    )

    def __init__(self, does: Callable[..., Any] = lambda call, *arguments: "done") -> None:
        self.does = does
        self.calls: list[tuple[str, Sequence[Any]]] = []

    def _do(self, call: Call, *arguments: Any) -> Any:
        self.calls.append((call.label.partition(".")[2], arguments))
        return self.does(call, *arguments)

    @effect
    async def send(self, call: Call, to: str) -> Any:
        return self._do(call, to)

    @local
    def draw(self, call: Call) -> Any:
        return self._do(call)

    @pure
    def double(self, call: Call, n: int) -> Any:
        return self._do(call, n)

    @transactional(blocking=True)
    def pay(self, call: Call, cents: int) -> Any:
        return self._do(call, cents)

    @pure("note")
    def note(self, call: Call) -> Any:
        return self._do(call)

    @effect
    def burn(self, call: Call, note: Any) -> None:
        self._do(call, note)


class Scene:
    """A desk and one run that calls it. `journal` is what an earlier run recorded."""

    def __init__(self, desk: Desk, *recorded: tuple[str, str], **config: Any) -> None:
        self.desk = desk
        self.stage = Stage(journal(*recorded), **config)
        self._functions = load(desk).functions["acme:desk/all"]

    def call(self, name: str, *arguments: Any) -> Any:
        return asyncio.run(self.later(name, *arguments))

    async def later(self, name: str, *arguments: Any) -> Any:
        return await self._functions[name](self.stage.run, *arguments)

    def enter(self) -> Transaction:
        run = self.stage.run
        run.transaction = Transaction("step", is_db=False, log=run.new_log())
        return run.transaction


SEND, DRAW, BURN = "acme:desk/all.send", "acme:desk/all.draw", "acme:desk/all.burn"


# -- kinds -----------------------------------------------------------------------------------------------------------
def test_an_effect_is_recorded_and_not_made_again() -> None:
    first = Scene(Desk(lambda call, to: f"to {to}"))
    assert first.call("send", "Ada") == Ok("to Ada")
    assert first.stage.recorded == [(SEND, '{"Ok": "to Ada"}')]

    again = Scene(Desk(), *first.stage.recorded)
    assert again.call("send", "Ada") == Ok("to Ada")
    assert again.desk.calls == []
    assert again.stage.recorded == []


def test_everything_before_an_effect_is_durable_before_it_begins() -> None:
    seen: list[int] = []

    def does(call: Call, to: str) -> str:
        seen.append(len(scene.stage._written.parts))
        return "ok"

    scene = Scene(Desk(does))
    scene.stage.run.append("before", "null")
    scene.call("send", "Ada")
    assert seen == [1], "the effect began while an event before it was in memory only"


def test_a_local_call_is_recorded_and_waits_for_nothing() -> None:
    seen: list[int] = []

    def does(call: Call) -> int:
        seen.append(len(scene.stage._written.parts))
        return 2**64 - 1

    scene = Scene(Desk(does))
    scene.stage.run.append("before", "null")
    assert scene.call("draw") == 2**64 - 1
    assert seen == [0]
    assert scene.stage.recorded == [("before", "null"), (DRAW, "18446744073709551615")]
    again = Scene(Desk(), *scene.stage.recorded[1:])
    assert again.call("draw") == 2**64 - 1
    assert again.desk.calls == []


def test_a_pure_call_is_made_on_every_run_and_never_recorded() -> None:
    scene = Scene(Desk(lambda call, n: 2 * n), ("other", "null"))
    assert scene.call("double", 21) == 42
    assert scene.stage.recorded == []
    assert scene.stage.run.cursor.index == 0


def test_an_effect_does_not_begin_under_a_lease_that_may_be_over() -> None:
    scene = Scene(Desk())
    scene.stage.run.lease_is_trusted = lambda: False
    with pytest.raises(JournalUnavailable, match="lease"):
        scene.call("send", "Ada")
    assert scene.desk.calls == []


def test_within_a_transaction_nothing_is_recorded() -> None:
    def does(call: Call, *arguments: Any) -> Any:
        call.log(f"{call.label}\n")
        return "x" if arguments else 1

    scene = Scene(Desk(does))
    transaction = scene.enter()
    assert scene.call("send", "Ada") == Ok("x")
    assert scene.call("draw") == 1
    assert scene.call("pay", 100) == Ok("x")
    assert scene.stage.recorded == []
    assert str(transaction.log).splitlines() == [SEND, DRAW, "acme:desk/all.pay"]


def test_a_transactional_function_needs_a_transaction() -> None:
    scene = Scene(Desk())
    with pytest.raises(GuestTrap, match=r"acme:desk/all.pay can only be called within a transaction"):
        scene.call("pay", 100)
    assert scene.desk.calls == []


def test_another_call_at_its_index_is_a_divergence() -> None:
    with pytest.raises(Divergence, match=SEND):
        Scene(Desk(), ("other", "null")).call("send", "Ada")


def test_a_recorded_value_of_another_type_is_told_as_a_change_of_the_plugin() -> None:
    with pytest.raises(BrokenJournal, match=r"event 0 .* the plugin's types have changed"):
        Scene(Desk(), (SEND, '"to Ada"')).call("send", "Ada")


@pytest.mark.parametrize("recorded", ['"17"', "null", "true", "-1", "1.5", "18446744073709551616", "[1]"])
def test_neither_does_a_replay_take_a_number_for_what_is_none(recorded: str) -> None:
    with pytest.raises(BrokenJournal, match=r"event 0 .* the plugin's types have changed"):
        Scene(Desk(), (DRAW, recorded)).call("draw")


# -- the call --------------------------------------------------------------------------------------------------------
def test_a_call_knows_its_task_and_has_a_key_that_no_other_call_has() -> None:
    keys: list[str] = []

    def note(call: Call, *arguments: Any) -> str:
        assert (call.task_id, call.task_name, call.task_created_at.year) == (7, "the-task", 2026)
        keys.append(call.idempotency_key)
        return "ok"

    def run() -> None:
        scene = Scene(Desk(note))
        scene.call("send", "Ada")
        scene.call("send", "Ada")
        scene.enter()
        scene.call("send", "Ada")
        scene.call("pay", 1)

    run()
    first, keys[:] = list(keys), []
    run()
    assert first == keys, "an attempt that is repeated has another key"
    assert len(set(first)) == 4


def test_what_a_call_logs_stands_at_its_event_once() -> None:
    def does(call: Call, to: str) -> str:
        call.log("one\n")
        call.log("two\n")
        return "ok"

    scene = Scene(Desk(does))
    scene.call("send", "Ada")
    assert scene.stage.logs == [(0, "one\ntwo\n")]
    again = Scene(Desk(), (SEND, '{"Ok": "ok"}'))
    again.call("send", "Ada")
    assert again.stage.logs == []


def test_a_call_that_logs_more_than_the_task_may_print_fails_the_task() -> None:
    scene = Scene(Desk(lambda call, to: call.log("x" * 101)), max_task_log_bytes=100)
    with pytest.raises(GuestLimit, match="max_task_log_bytes"):
        scene.call("send", "Ada")


@pytest.mark.parametrize(("size", "is_cut"), [(1000, False), (1001, True)])
def test_what_one_recorded_call_logs_is_cut_like_what_a_workflow_prints(size: int, is_cut: bool) -> None:
    scene = Scene(Desk(lambda call: call.log("x" * size) or 7), max_log_bytes_per_transaction=1000)
    assert scene.call("draw") == 7
    ((index, text),) = scene.stage.logs
    assert index == 0
    assert (text != "x" * size) is is_cut
    assert len(text) < 1100


def test_a_pure_call_cannot_log() -> None:
    with pytest.raises(PluginFailed, match="is pure and has no event to log with"):
        Scene(Desk(lambda call, n: call.log("x"))).call("double", 1)


# -- errors ----------------------------------------------------------------------------------------------------------
def raising(error: BaseException) -> Desk:
    def does(*_: Any) -> Any:
        raise error

    return Desk(does)


def test_an_error_of_the_interface_is_an_answer_and_recorded() -> None:
    for desk in (raising(ResultError("full")), Desk(lambda *_: Err("full"))):
        scene = Scene(desk)
        assert scene.call("send", "Ada") == Err("full")
        assert scene.stage.recorded == [(SEND, '{"Err": "full"}')]


def test_a_task_failure_fails_the_task_with_its_message() -> None:
    scene = Scene(raising(TaskFailure("the account is closed")))
    with pytest.raises(GuestTrap, match=r"^the account is closed$"):
        scene.call("send", "Ada")
    assert scene.stage.recorded == []


def test_unavailable_suspends_the_task_for_as_long_as_it_says() -> None:
    scene = Scene(raising(Unavailable("no route", retry_after=30)))
    now = scene.stage.time.clock.now() // 1000
    with pytest.raises(Suspend) as suspended:
        scene.call("send", "Ada")
    change = suspended.value.change
    assert (change.state, change.wakes_on_notification) == (TaskState.SUSPENDED, False)
    assert change.wakeup_at == now + 30_000_000
    assert scene.stage.recorded == []


@pytest.mark.parametrize("seconds", [float("nan"), None])
def test_unavailable_wants_a_number_of_seconds(seconds: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"retry_after|float"):
        Unavailable("no route", retry_after=seconds)


ARGUMENTS: dict[str, list[Any]] = {"send": ["Ada"], "draw": [], "double": [1], "pay": [1], "[constructor]note": []}


@pytest.mark.parametrize("error", [ValueError("boom"), SystemExit(3), GeneratorExit(), asyncio.CancelledError()])
@pytest.mark.parametrize("name", ["send", "draw", "pay"])
def test_every_other_exception_is_a_bug_of_the_plugin(error: BaseException, name: str) -> None:
    scene = Scene(raising(error))
    if name == "pay":
        scene.enter()
    said = f"^the plugin 'Desk' failed in acme:desk/all.{name}: {type(error).__name__}"
    with pytest.raises(PluginFailed, match=said):
        scene.call(name, *ARGUMENTS[name])


def test_a_host_without_a_thread_for_a_plugin_tries_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    scene = Scene(Desk())
    scene.enter()
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    with pytest.raises(HostExhausted, match=r"acme:desk/all\.pay cannot be called now: can't start new thread"):
        scene.call("pay", 1)


WRONG_VALUES = [("send", 1), ("draw", -1), ("double", "two"), ("[constructor]note", None)]


@pytest.mark.parametrize(("name", "value"), WRONG_VALUES)
def test_a_value_that_is_not_of_the_type_is_a_bug_of_the_plugin(name: str, value: Any) -> None:
    scene = Scene(Desk(lambda *_: value))
    with pytest.raises(PluginFailed, match=r"the plugin 'Desk' failed in .*(where WIT has|out of the range)"):
        scene.call(name, *ARGUMENTS[name])
    assert scene.stage.recorded == []


class Hostile:
    """Whoever looks at it runs the plugin's code."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __index__(self) -> int:
        raise self._error

    def __repr__(self) -> str:
        raise self._error


@pytest.mark.parametrize("error", [RuntimeError("detached"), SystemExit(3), Unavailable("later"), GeneratorExit()])
@pytest.mark.parametrize("name", ["send", "draw"])
def test_a_value_that_fails_when_it_is_looked_at_is_a_bug_of_the_plugin(name: str, error: BaseException) -> None:
    scene = Scene(Desk(lambda *_: Hostile(error)))
    said = f"^the plugin 'Desk' failed in acme:desk/all.{name}: {type(error).__name__}"
    with pytest.raises(PluginFailed, match=said):
        scene.call(name, *ARGUMENTS[name])
    assert scene.stage.recorded == []


def test_an_error_where_the_interface_has_none_is_a_bug_of_the_plugin() -> None:
    with pytest.raises(PluginFailed, match="where WIT has u64"):
        Scene(raising(ResultError("full"))).call("draw")


def test_a_value_above_the_limit_fails_the_task() -> None:
    with pytest.raises(GuestLimit, match="max_event_bytes"):
        Scene(Desk(lambda *_: "x" * 100), max_event_bytes=100).call("send", "Ada")


# -- threads, cancelling ---------------------------------------------------------------------------------------------
def test_a_blocking_call_leaves_the_event_loop_alone() -> None:
    released = threading.Event()
    scene = Scene(Desk(lambda call, cents: released.wait(20) and threading.current_thread().name))
    scene.enter()

    async def both() -> Any:
        paying = asyncio.create_task(scene.later("pay", 1))
        await asyncio.sleep(0)
        released.set()
        return await paying

    assert asyncio.run(both()).value.startswith("durable-plugin-Desk")


def test_a_run_that_is_stopped_waits_for_a_thread_that_has_begun() -> None:
    """No lease is given back while code may still act on it."""
    began, released, ended = threading.Event(), threading.Event(), threading.Event()

    def does(*_: Any) -> str:
        began.set()
        released.wait(20)
        ended.set()
        return "paid"

    scene = Scene(Desk(does))
    scene.enter()

    async def stop() -> None:
        paying = asyncio.create_task(scene.later("pay", 1))
        await asyncio.to_thread(began.wait, 20)
        paying.cancel()
        done, _ = await asyncio.wait([paying], timeout=0.05)
        assert not done
        released.set()
        with pytest.raises(asyncio.CancelledError):
            await paying
        assert ended.is_set()

    asyncio.run(stop())


def test_a_run_that_is_stopped_is_no_bug_of_the_plugin() -> None:
    class Slow(Desk):
        @effect
        async def send(self, call: Call, to: str) -> Any:
            await asyncio.Event().wait()

    scene = Scene(Slow())

    async def stop() -> None:
        sending = asyncio.create_task(scene.later("send", "Ada"))
        await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending

    asyncio.run(stop())


def test_a_worker_that_drains_lets_an_effect_end_and_drops_the_guest_then() -> None:
    scene = Scene(Desk())
    run = scene.stage.run
    assert run.is_between_steps

    def does(call: Call, to: str) -> str:
        assert not run.is_between_steps
        run.is_leaving = True
        return "ok"

    scene.desk.does = does
    with pytest.raises(asyncio.CancelledError):
        scene.call("send", "Ada")
    assert scene.stage.recorded == [(SEND, '{"Ok": "ok"}')]


def test_an_effect_that_failed_is_over() -> None:
    scene = Scene(raising(ValueError()))
    with pytest.raises(PluginFailed):
        scene.call("send", "Ada")
    assert scene.stage.run.is_between_steps


# -- resources -------------------------------------------------------------------------------------------------------
class Note(Resource):
    closed = 0

    def close(self) -> None:
        self.closed += 1


def test_a_resource_that_is_given_to_a_recorded_call_is_closed_by_the_replay() -> None:
    note = Note()
    live = Scene(Desk(lambda *_: None))
    live.call("burn", note)
    assert live.desk.calls == [("burn", (note,))]
    assert note.closed == 0, "the function has it now"
    Scene(Desk(), (BURN, "null")).call("burn", note)
    assert note.closed == 1
