"""What a guest may import: the types of `durable/wit`, read from the component that is built of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import resources

import wasmtime
from wasmtime import component as wc

from durable.wasm.signatures import RESOURCE, ResourceNames, base_name, function_signature


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface of the host: function types, their signatures, and its resources by their number."""

    name: str
    functions: dict[str, wc.FuncType] = field(default_factory=dict)
    signatures: dict[str, str] = field(default_factory=dict)
    resources: dict[str, int] = field(default_factory=dict)


class World:
    """All interfaces of the host. Resource types are numbered once for the whole world."""

    def __init__(self, component: wc.Component, engine: wasmtime.Engine) -> None:
        self._resource_types: list[wc.ResourceType] = []
        # Signatures and types stay valid only as long as the components they were read from.
        self._components: list[wc.Component] = []
        self.interfaces: dict[str, Interface] = {}
        self._by_base_name: dict[str, str] = {}
        self.add(component, engine)

    def add(self, component: wc.Component, engine: wasmtime.Engine) -> list[Interface]:
        """Add what another component imports, and return the new interfaces; one that only has types is left out
        if the world has it already.

        Raises ValueError when the world has one of them: resources of one name would be of two types.
        """
        self._components.append(component)
        names = ResourceNames()
        added = []
        for name, extern in component.type.imports(engine).items():
            interface = self._interface(name, extern.ty, engine, names)
            known = self._by_base_name.setdefault(base_name(name), name)
            if known in self.interfaces:
                if interface.signatures:
                    raise ValueError(f"the world has {known} already")
                continue
            self.interfaces[name] = interface
            added.append(interface)
        return added

    def resource_id(self, ty: wc.ResourceType) -> int:
        """The number of a resource type, the same for all interfaces that use the type."""
        for number, known in enumerate(self._resource_types):
            if known == ty:
                return number
        self._resource_types.append(ty)
        return len(self._resource_types) - 1

    def provides(self, imported: str) -> Interface | None:
        """The interface that satisfies an import, by the rule of semver-compatible versions, or None."""
        name = self._by_base_name.get(base_name(imported))
        if name is None or _track(name) != _track(imported):
            return None
        return self.interfaces[name]

    def _interface(self, name: str, item: object, engine: wasmtime.Engine, names: ResourceNames) -> Interface:
        if not isinstance(item, wc.ComponentInstanceType):
            raise TypeError(f"{name} of the host world is not an interface")
        interface = Interface(name)
        for export_name, extern in item.exports(engine).items():
            ty = extern.ty
            if isinstance(ty, wc.ResourceType):
                names.learn(ty, f"{base_name(name)}.{export_name}")
                interface.resources[export_name] = self.resource_id(ty)
                interface.signatures[export_name] = RESOURCE
            elif isinstance(ty, wc.FuncType):
                interface.functions[export_name] = ty
                interface.signatures[export_name] = function_signature(ty, names)
        return interface


def _track(interface: str) -> str:
    """Versions on one track are compatible: the major version, or the minor one before 1.0 (semver.org, rule 4).

    A pre-release is compatible with nothing but itself.
    """
    version = interface.partition("@")[2].partition("+")[0]
    if "-" in version:
        return version
    major, minor, *_ = *version.split("."), "", ""
    return major if major != "0" else f"0.{minor}"


def world_bytes() -> bytes:
    """The component that imports every interface of the host (built of `durable/wit` by `make guests`)."""
    return (resources.files("durable") / "wit" / "host.wasm").read_bytes()


def host_world(engine: wasmtime.Engine) -> World:
    """The world of the host alone."""
    return World(wc.Component(engine, world_bytes()), engine)
