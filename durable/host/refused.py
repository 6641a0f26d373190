"""Interfaces that link but refuse every call: a Python or Go guest imports them without using them.

A function whose result has an error for "no" answers with that error; any other call stops the guest and says why.
"""

from __future__ import annotations

from typing import Any

from wasmtime import component as wc

from durable.wasm.linker import HostFunction
from durable.wasm.traps import GuestTrap
from durable.wasm.values import Case, Err
from durable.wasm.world import Interface, World

_ADVICE = {
    "wasi:filesystem/types": "workflows have no files; keep state in task data, transactions and notifications",
    "wasi:sockets": "workflows have no sockets",
    "wasi:http": "workflows have no wasi:http; use durable:core/http",
}
#: The ways in which these interfaces say no, the best first.
_REFUSALS = ("unsupported", "not-supported", "access-denied", "HTTP-request-denied")


def refused_functions(world: World) -> dict[str, dict[str, HostFunction]]:
    """A refusal for every function of the interfaces above."""
    return {
        name.split("@")[0]: _refuse_all(interface, advice)
        for name, interface in world.interfaces.items()
        for prefix, advice in _ADVICE.items()
        if name.startswith(prefix)
    }


def instance_network(run: Any) -> object:
    """The one call of these that cannot say no: a handle to a network on which every call is refused."""
    return object()


FUNCTIONS = {"wasi:sockets/instance-network": {"instance-network": instance_network}}


def _refuse_all(interface: Interface, advice: str) -> dict[str, HostFunction]:
    return {name: _refusal(interface, name, ty, advice) for name, ty in interface.functions.items()}


def _refusal(interface: Interface, name: str, ty: wc.FuncType, advice: str) -> HostFunction:
    answer = _refusing_answer(ty.result)

    def refuse(run: Any, *arguments: Any) -> Any:
        if answer is None:
            raise GuestTrap(f"{interface.name} {name} was called: {advice}")
        return answer

    return refuse


def _refusing_answer(result: wc.ValType | None) -> Err | None:
    if not isinstance(result, wc.ResultType):
        return None
    if isinstance(result.err, wc.EnumType):
        names = result.err.names
        return next((Err(refusal) for refusal in _REFUSALS if refusal in names), None)
    if isinstance(result.err, wc.VariantType):
        bare = {name for name, payload in result.err.cases if payload is None}
        return next((Err(Case(refusal)) for refusal in _REFUSALS if refusal in bare), None)
    return None
