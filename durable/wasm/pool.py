"""Memory of guests from a pool: made once per process, so that a guest needs no system calls to map and unmap its own.

What is left of one guest is given back to the kernel, and so zeroed, before the next one gets the slot.
"""

from __future__ import annotations

import mmap
import sys

import wasmtime

from durable.wasm import ffi

_MIB = 1 << 20
_GIB = 1 << 30
#: On the average: a component compiled from Rust or C has two.
_TABLES_PER_GUEST = 8
_NORESERVE = 0x40 if sys.platform == "darwin" else 0x4000  # Python has no name for it before 3.13
_FLAGS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE
_PROT_NONE = 0
_STACK = 2 * _MIB  # of a fiber, as wasmtime has it
# What one component may have. The limits of a fiber are as low or lower: a guest must not find out by `table.grow` or
# `memory.grow` whether its host has a pool, or its replay on another host could differ.
_PER_COMPONENT = {
    "max_component_instance_size": 16 << 20,
    "max_core_instance_size": 16 << 20,
    "max_core_instances_per_component": 1000,
    "max_memories_per_component": 100,
    "max_memories_per_module": 100,
    "max_tables_per_component": 100,
    "max_tables_per_module": 100,
    "max_memory_size": 4 * _GIB,
    "table_elements": 1_000_000,
}


def has_room(guests: int) -> bool:
    """Whether this process can have so much address space. To ask wasmtime would be fatal: without it, it aborts."""
    tables = guests * _TABLES_PER_GUEST * _PER_COMPONENT["table_elements"] * 8
    try:
        with (
            # 4 GiB for a memory, and guards, that nothing may be read from or written to
            mmap.mmap(-1, guests * (4 * _GIB + 64 * _MIB), flags=_FLAGS, prot=_PROT_NONE),
            # where memory must not be promised to more than there is of it, the kernel refuses these
            mmap.mmap(-1, tables + guests * _STACK, flags=_FLAGS, prot=mmap.PROT_READ | mmap.PROT_WRITE),
        ):
            return True
    except OSError:
        return False


def use_pool(config: wasmtime.Config, guests: int) -> None:
    """Let the engine that is made from `config` have room for so many guests at once.

    That takes about 4 GiB of address space for each, and memory only for what is used. A guest for which there is no
    room cannot be instantiated.
    """
    totals = {
        "total_component_instances": guests,
        "total_core_instances": guests * _PER_COMPONENT["max_core_instances_per_component"],
        "total_memories": guests,
        "total_tables": max(guests * _TABLES_PER_GUEST, _PER_COMPONENT["max_tables_per_component"]),
        "total_stacks": guests,
    }
    pool = ffi.pooling_config_new()
    try:
        for limit, value in (_PER_COMPONENT | totals).items():
            ffi.pooling_config_set(pool, limit, value)
        ffi.pooling_strategy_set(ffi.pointer_of(config), pool)
    finally:
        ffi.pooling_config_delete(pool)
