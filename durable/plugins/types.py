"""The WIT types of plugins: read from their components, and matched with their Python functions."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import wasmtime
from wasmtime import component as wc

from durable.errors import ConfigError, InvalidComponent
from durable.plugins.declaring import Declared, Kind, declared_functions
from durable.plugins.plugin import Plugin
from durable.plugins.shapes import Shape, shape_of
from durable.wasm.inspect import Inspection, compile_component
from durable.wasm.inspect import inspect as inspect_wasm
from durable.wasm.signatures import base_name
from durable.wasm.world import Interface, World


@dataclass(frozen=True, slots=True)
class Implementation:
    """One WIT function of a plugin, and the method that implements it; all that a call needs to know."""

    interface: str  # without version
    name: str  # as the component has it, such as `[method]draft.send`
    label: str
    method: str
    declared: Declared
    parameters: Sequence[Shape]
    owned: Sequence[int]  # which parameters are handles that the function takes over
    result: Shape
    has_error: bool  # whether the result is a WIT `result`


def add_types(world: World, engine: wasmtime.Engine, plugin: Plugin) -> list[Interface]:
    """Add a plugin's interfaces to the world and return those that have something to implement.

    Raises ConfigError when its types cannot be read, or the world has one of its interfaces already.
    """
    try:
        component = compile_component(engine, _bytes(plugin))
        return [interface for interface in world.add(component, engine) if interface.signatures]
    except InvalidComponent as error:
        raise ConfigError(
            f"the plugin {plugin.name!r}: types are no component: {error}".splitlines()[0]
            + "; make them with `python -m durable.plugins`"
        ) from None
    except (TypeError, ValueError) as error:
        raise ConfigError(f"the plugin {plugin.name!r} cannot provide its interfaces: {error}") from None


def inspect_program(wasm: bytes, plugins: Sequence[Plugin]) -> Inspection:
    """Inspect a component for a host with these plugins. Raises InvalidComponent, ConfigError."""

    def extend(world: World, engine: wasmtime.Engine) -> None:
        for plugin in plugins:
            add_types(world, engine, plugin)

    return inspect_wasm(wasm, extend if plugins else None)


def match(plugin: Plugin, interfaces: Iterable[Interface]) -> list[Implementation]:
    """The implementation of every function of the interfaces.

    Raises ConfigError when a function has no method, or two; a method no function; or one does not fit the other.
    """
    types = {
        _label(interface.name, name): (interface, name) for interface in interfaces for name in interface.functions
    }
    methods: dict[str, tuple[str, Declared]] = {}
    for method, declared in declared_functions(type(plugin)).items():
        label = _find(plugin, declared.wit_name, list(types))
        if label in methods:
            raise ConfigError(f"the plugin {plugin.name!r} has two methods for {label}: {methods[label][0]}, {method}")
        methods[label] = method, declared
    if missing := sorted(types.keys() - methods.keys()):
        raise ConfigError(f"the plugin {plugin.name!r} has no method for {', '.join(missing)}")
    return [_implementation(plugin, label, *types[label], *methods[label]) for label in types]


def _implementation(
    plugin: Plugin, label: str, interface: Interface, name: str, method: str, declared: Declared
) -> Implementation:
    ty = interface.functions[name]
    try:
        if interface.signatures[name].startswith("async"):
            raise TypeError("an async func in WIT; write func, whose Python may be async all the same")
        found = Implementation(
            base_name(interface.name), name, label, method, declared,
            parameters=[shape_of(parameter) for _, parameter in ty.params],
            owned=[i for i, (_, parameter) in enumerate(ty.params) if isinstance(parameter, wc.OwnType)],
            result=shape_of(ty.result),
            has_error=isinstance(ty.result, wc.ResultType),
        )  # fmt: skip
        if declared.kind in (Kind.LOCAL, Kind.EFFECT) and not found.result.recordable:
            raise TypeError("it returns a resource, which cannot be recorded: declare it pure or transactional")
        inspect.signature(getattr(plugin, method)).bind(None, *found.parameters)
    except TypeError as error:
        raise ConfigError(f"the plugin {plugin.name!r} cannot provide {label} by {method}: {error}") from None
    return found


def _find(plugin: Plugin, wit_name: str, labels: Sequence[str]) -> str:
    found = [label for label in labels if wit_name in (label, label.partition(".")[2])]
    if len(found) > 1:
        raise ConfigError(f"the plugin {plugin.name!r}: {wit_name!r} may be any of {', '.join(found)}; write which")
    if not found:
        raise ConfigError(f"the plugin {plugin.name!r}: its types have no function {wit_name!r}")
    return found[0]


def _label(interface: str, name: str) -> str:
    """`[method]draft.send` of `acme:mail/send@1.0.0` → `acme:mail/send.draft.send`, as the host's own labels are."""
    return f"{base_name(interface)}.{name.rpartition(']')[2]}"


def _bytes(plugin: Plugin) -> bytes:
    types = getattr(plugin, "types", None)
    if types is None:
        raise TypeError("it has no `types`; make them with `python -m durable.plugins`")
    if isinstance(types, bytes):
        return types
    try:
        return bytes(types.read_bytes())
    except OSError as error:
        raise TypeError(f"its types cannot be read: {error}") from None
