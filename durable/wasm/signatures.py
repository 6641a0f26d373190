"""Component types as text, so that what a guest expects can be compared with what the host gives, and shown."""

from __future__ import annotations

from collections.abc import Mapping

import wasmtime
from wasmtime import component as wc

from durable.wasm import ffi


def base_name(interface: str) -> str:
    """`wasi:io/poll@0.2.9` → `wasi:io/poll`."""
    return interface.split("@", 1)[0]


class ResourceNames:
    """Names resource types within one component, where the same type appears in several interfaces.

    The interface that defines a resource always comes before those that use it, so the first name is its home.
    """

    def __init__(self) -> None:
        self._known: list[tuple[wc.ResourceType, str]] = []

    def learn(self, ty: wc.ResourceType, name: str) -> str:
        for known, first_name in self._known:
            if known == ty:
                return first_name
        self._known.append((ty, name))
        return name

    def name(self, ty: wc.ResourceType) -> str:
        return self.learn(ty, "an unnamed resource")


#: What stands for the signature of a resource: host and guest either both have it or not.
RESOURCE = "resource"


def function_signature(function: wc.FuncType, names: ResourceNames) -> str:
    """The types of a function's parameters and result, in the notation of WIT."""
    kind = "async func" if ffi.func_type_is_async(ffi.pointer_of(function)) else "func"
    parameters = ", ".join(_describe(ty, names) for _, ty in function.params)
    result = function.result
    return f"{kind}({parameters})" + ("" if result is None else f" -> {_describe(result, names)}")


def _describe(ty: wc.ValType | None, names: ResourceNames) -> str:
    def inner(part: wc.ValType | None) -> str:
        return _describe(part, names)

    match ty:
        case None:
            return "_"
        case wc.ListType():
            return f"list<{inner(ty.element)}>"
        case wc.TupleType():
            return f"tuple<{', '.join(map(inner, ty.elements))}>"
        case wc.OptionType():
            return f"option<{inner(ty.payload)}>"
        case wc.ResultType():
            return f"result<{inner(ty.ok)}, {inner(ty.err)}>"
        case wc.RecordType():
            return "record {" + ", ".join(f"{name}: {inner(field)}" for name, field in ty.fields) + "}"
        case wc.VariantType():
            return "variant {" + ", ".join(f"{name}({inner(payload)})" for name, payload in ty.cases) + "}"
        case wc.EnumType():
            return "enum {" + ", ".join(ty.names) + "}"
        case wc.FlagsType():
            return "flags {" + ", ".join(ty.names) + "}"
        case wc.OwnType():
            return f"own<{names.name(ty.ty)}>"
        case wc.BorrowType():
            return f"borrow<{names.name(ty.ty)}>"
        case _:
            return type(ty).__name__.lower()


def imported_functions(component: wc.Component, engine: wasmtime.Engine) -> dict[str, dict[str, str]]:
    """The signature of every function a component imports, by interface (with its version) and function name.

    Whatever else has to be provided is there as well, a resource as RESOURCE. An import that is not an interface stands
    under its own name with the key "".
    """
    names = ResourceNames()
    functions: dict[str, dict[str, str]] = {}
    for import_name, extern in component.type.imports(engine).items():
        item = extern.ty
        if not isinstance(item, wc.ComponentInstanceType):
            functions[import_name] = {"": type(item).__name__}
            continue
        functions[import_name] = _interface_functions(import_name, item.exports(engine), names)
    return functions


def _interface_functions(name: str, exports: Mapping[str, object], names: ResourceNames) -> dict[str, str]:
    functions = {}
    for export_name, extern in exports.items():
        item = extern.ty  # type: ignore[attr-defined]  # ComponentExtern is not exported by the stock layer
        if isinstance(item, wc.ResourceType):
            names.learn(item, f"{base_name(name)}.{export_name}")
            functions[export_name] = RESOURCE
        elif isinstance(item, wc.FuncType):
            functions[export_name] = function_signature(item, names)
        elif not isinstance(item, wc.ValType):
            functions[export_name] = type(item).__name__
    return functions
