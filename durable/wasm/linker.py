"""One linker for all guests of a process: every import of the world bound to a Python function.

A host function is called as `function(guest, *arguments)`, where `guest` is what its fiber was made with. It returns
the result, or a coroutine: then the guest is set aside until the event loop has awaited it. The callback below
runs on the guest's own small stack, so whatever is deep or slow belongs into the coroutine.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from types import CoroutineType
from typing import Any

import wasmtime
from wasmtime import component as wc

from durable.wasm import ffi
from durable.wasm.codec import Codec, codec_of
from durable.wasm.fiber import Fiber
from durable.wasm.signatures import base_name
from durable.wasm.world import Interface, World

HostFunction = Callable[..., Any]
#: Host functions by interface (without version) and name, for instance `["wasi:io/poll"]["poll"]`.
HostFunctions = Mapping[str, Mapping[str, HostFunction]]

_continuation = struct.Struct("=QQQ")
_error = struct.Struct("=Q")
_HOST_FAILED = b"host function failed"


class Linker:
    """Binds a world to host functions. Raises LookupError when one of the world's functions has none."""

    def __init__(self, engine: wasmtime.Engine, world: World, functions: HostFunctions) -> None:
        self._engine = engine
        self.fibers: dict[int, Fiber] = {}
        self._world = world
        self._callbacks: list[Any] = []  # ctypes callbacks live as long as the linker that calls them
        self._linker = wc.Linker(engine)
        with self._linker.root() as root:
            for name, interface in world.interfaces.items():
                with root.add_instance(name) as instance:
                    self._define(instance, interface, functions.get(base_name(name), {}))
        self.pointer = ffi.pointer_of(self._linker)
        self.engine_pointer = ffi.pointer_of(engine)

    def _define(self, instance: wc.LinkerInstance, interface: Interface, functions: Mapping[str, HostFunction]) -> None:
        for resource, number in interface.resources.items():
            self._add_resource(instance, resource, number)
        for name, ty in interface.functions.items():
            if name not in functions:
                raise LookupError(f"the host does not implement {interface.name} {name}")
            self._add_function(instance, name, functions[name], ty)

    def _add_resource(self, instance: wc.LinkerInstance, name: str, number: int) -> None:
        def destroyed(_env: int, context: int, rep: int) -> int:
            # A destructor is called while its guest runs, never when a store is closed.
            self.fibers[context].resources.drop(rep)
            return 0

        callback = ffi.Destructor(destroyed)
        self._callbacks.append(callback)
        encoded = name.encode()
        ty = wc.ResourceType.host(number)
        ffi.raise_error(
            ffi.linker_instance_add_resource(
                ffi.pointer_of(instance), encoded, len(encoded), ffi.pointer_of(ty), callback, None, None
            )
        )

    def _add_function(self, instance: wc.LinkerInstance, name: str, function: HostFunction, ty: wc.FuncType) -> None:
        parameters = [codec_of(parameter, self._world.resource_id) for _, parameter in ty.params]
        result = None if ty.result is None else codec_of(ty.result, self._world.resource_id)
        callback = ffi.HostCallback(_callback(self.fibers, function, parameters, result))
        self._callbacks.append(callback)
        encoded = name.encode()
        ffi.raise_error(
            ffi.linker_instance_add_func_async(ffi.pointer_of(instance), encoded, len(encoded), callback, None, None)
        )


def _callback(
    fibers: dict[int, Fiber], function: HostFunction, parameters: list[Codec], result: Codec | None
) -> Callable[..., None]:
    lifts = [(codec.lift, i * ffi.VALUE_SIZE) for i, codec in enumerate(parameters)]
    lower = None if result is None else result.lower
    # Written through the buffer: a function of ctypes would let go of the interpreter, and wait for it, each time.
    memory, write = ffi.memory, _continuation.pack_into
    strlen, done = ffi.STRLEN, ffi.DONE

    def call(
        _env: int, context: int, _type: int, arguments: int, _count: int, results: int, _results: int,
        error: int, continuation: int,
    ) -> None:  # fmt: skip
        fiber = fibers[context]
        try:
            resources = fiber.resources
            resources.begin_call()
            answer = function(fiber.guest, *[lift(resources, arguments + offset) for lift, offset in lifts])
            if type(answer) is CoroutineType:
                fiber.set_aside(answer, lower, results)
                write(memory, continuation, strlen, fiber.done_flag, 0)
                return
            if lower is not None:
                lower(resources, results, answer)
        except BaseException as failure:
            # Nothing may leave a ctypes callback: also KeyboardInterrupt or SystemExit would crash the process. It is
            # kept on the fiber, the guest is stopped by a plain error, and the fiber raises it on the event loop.
            fiber.failure = failure
            _error.pack_into(memory, error, ffi.error_new(_HOST_FAILED))
        write(memory, continuation, strlen, done, 0)

    return call
