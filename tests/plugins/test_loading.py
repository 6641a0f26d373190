"""A plugin that does not fit is told before any task runs: by its name, in one line, as a ConfigError."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from durable.errors import ConfigError, InvalidComponent, MissingPlugin
from durable.plugins import Call, Plugin, effect, local, pure, transactional
from durable.plugins.plugin import Readable
from durable.plugins.types import inspect_program
from tests.plugins.interfaces import STORE, load, types
from tests.wasm.guests import importing

GET = '"get" (param "key" string) (result u32)'
PUT = '"put" (param "key" string) (param "value" u32)'
RESOURCE = '(export "lock" (type $lock (sub resource)))'
NEW_LOCK = '"[constructor]lock" (result (own $lock))'
UNLOCK = '"[method]lock.unlock" (param "self" (borrow $lock))'


class Store(Plugin):
    name = "store"
    types: ClassVar[bytes | Readable] = types(GET)

    @local
    def get(self, call: Call, key: str) -> int:
        return 1


def refusal(*plugins: Any) -> str:
    with pytest.raises(ConfigError) as refused:
        load(*plugins)
    assert refused.value.exit_code == 78
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_functions_are_found_by_their_names_in_wit() -> None:
    class Locks(Plugin):
        types = types(NEW_LOCK, UNLOCK, GET, PUT, declarations=RESOURCE)

        @pure("lock")
        def new_lock(self, call: Call) -> object:
            return object()

        @effect("lock.unlock", blocking=True)
        def unlock(self, call: Call, lock: object) -> None: ...

        @local("acme:store/kv.get")
        def read(self, call: Call, key: str) -> int:
            return 0

        @transactional
        async def put(self, call: Call, *key_and_value: object) -> None: ...

    loaded = load(Locks())
    assert set(loaded.functions["acme:store/kv"]) == {"[constructor]lock", "[method]lock.unlock", "get", "put"}
    assert loaded.interfaces == {"Locks": [STORE]}


def test_types_may_be_a_file(tmp_path: Path) -> None:
    class FromFile(Store):
        types = tmp_path / "store.wasm"

    assert "types cannot be read: " in refusal(FromFile())
    FromFile.types.write_bytes(types(GET))
    assert load(FromFile()).interfaces == {"store": [STORE]}


def test_types_that_are_none_are_refused() -> None:
    class Nothing(Plugin): ...

    class Nonsense(Plugin):
        types = b"nonsense"

    assert refusal(Nothing()).startswith("the plugin 'Nothing' cannot provide its interfaces: it has no `types`")
    assert refusal(Nonsense()).startswith("the plugin 'Nonsense': types are no component: ")
    assert "is not a plugin" in refusal(Store)


@pytest.mark.parametrize("number", [0, -1, 2.5, "8"])
def test_threads_are_at_least_one(number: Any) -> None:
    """With none, blocking calls would wait for ever."""

    class Threadless(Store):
        threads = number

    assert refusal(Threadless()) == f"the plugin 'store': threads is {number!r}; at least 1 is needed"


def test_a_function_without_a_method_is_named() -> None:
    class Half(Store):
        types = types(GET, PUT)

    assert refusal(Half()) == "the plugin 'store' has no method for acme:store/kv.put"


def test_a_method_without_a_function_is_named() -> None:
    class More(Store):
        @effect
        def put_all(self, call: Call) -> None: ...

    assert refusal(More()) == "the plugin 'store': its types have no function 'put-all'"


def test_two_methods_for_one_function_are_named() -> None:
    class Twice(Store):
        @pure("get")
        def other(self, call: Call, key: str) -> int:
            return 1

    assert refusal(Twice()) == "the plugin 'store' has two methods for acme:store/kv.get: get, other"


@pytest.mark.parametrize(
    ("wit", "said"),
    [
        (GET.replace("u32", "(stream u8)"), "cannot provide acme:store/kv.get by get: stream is a type that no plugin"),
        (GET.replace("u32", "(option (option u8))"), "an option of an option"),
        ('"get" (result u32)', "cannot provide acme:store/kv.get by get: missing a required argument: 'key'"),
        (GET + " ", None),
        ('"get" (param "a" u8) (param "b" u8)', "too many positional arguments"),
    ],
)
def test_a_function_and_a_method_that_do_not_fit_are_told(wit: str, said: str | None) -> None:
    class Misfit(Store):
        types = types(wit)

    if said is None:
        load(Misfit())
    else:
        assert said in refusal(Misfit())


def test_an_async_func_of_wit_is_refused() -> None:
    class Async(Store):
        types = types('"get" async (param "key" string) (result u32)')

    assert "write func, whose Python may be async all the same" in refusal(Async())


@pytest.mark.parametrize("kind", [local, effect])
def test_a_resource_cannot_be_recorded(kind: Any) -> None:
    class Locks(Plugin):
        name = "locks"
        types = types(NEW_LOCK, declarations=RESOURCE)

        def new_lock(self, call: Call) -> object:
            return object()

    Locks.new_lock = kind("lock")(Locks.new_lock)  # type: ignore[method-assign]
    assert "it returns a resource, which cannot be recorded: declare it pure or transactional" in refusal(Locks())


def test_a_blocking_function_is_not_async() -> None:
    with pytest.raises(TypeError, match="is async, so it cannot be blocking"):

        @effect(blocking=True)
        async def send(self: Plugin, call: Call) -> None: ...


@pytest.mark.parametrize("interface", ["wasi:random/random@0.2.0", "durable:core/core@2.0.0"])
def test_an_interface_of_the_host_stays_the_hosts(interface: str) -> None:
    class Random(Store):
        types = types(GET, interface=interface)

    assert f"the world has {interface.partition('@')[0]}@" in refusal(Random())


def test_an_interface_has_one_plugin() -> None:
    class Other(Store):
        name = "other"

    assert refusal(Store(), Other()) == (
        f"the plugin 'other' cannot provide its interfaces: the world has {STORE} already"
    )
    assert "two plugins are called 'store'" in refusal(Store(), Store())


# -- programs --------------------------------------------------------------------------------------------------------
IMPORT = f'(import "{STORE}" (instance (export "get" (func (param "key" string) (result u32)))))'


def test_a_program_may_import_what_a_plugin_provides() -> None:
    inspect_program(importing(IMPORT), [Store()]).require_runnable()
    inspect_program(importing(IMPORT.replace("1.2.0", "1.0.7")), [Store()]).require_runnable()


def test_what_neither_host_nor_plugin_provides_is_named() -> None:
    with pytest.raises(MissingPlugin, match=r"does not provide: acme:store/kv@1\.2\.0"):
        inspect_program(importing(IMPORT), []).require_runnable()
    wrong = IMPORT.replace("u32", "u64")
    with pytest.raises(MissingPlugin, match=r"get as func\(string\) -> u64 \(the host has func\(string\) -> u32\)"):
        inspect_program(importing(wrong), [Store()]).require_runnable()


def test_a_plugin_cannot_make_up_for_an_import_of_the_hosts_own() -> None:
    with pytest.raises(InvalidComponent) as refused:
        missing = '(import "wasi:nn/tensor" (instance (export "t" (func))))'
        inspect_program(importing(IMPORT + missing), []).require_runnable()
    assert not isinstance(refused.value, MissingPlugin)


def test_plugins_of_one_program_do_not_stay_for_the_next() -> None:
    inspect_program(importing(IMPORT), [Store()]).require_runnable()
    with pytest.raises(MissingPlugin):
        inspect_program(importing(IMPORT), []).require_runnable()
