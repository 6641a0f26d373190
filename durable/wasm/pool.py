"""Memory of guests from a pool: made once per process, so that a guest needs no system calls to map and unmap its own.

What is left of one guest is given back to the kernel, and so zeroed, before the next one gets the slot.
"""

from __future__ import annotations

import wasmtime

from durable.wasm import ffi

_GIB = 1 << 30
#: On the average: a component compiled from Rust or C has two.
_TABLES_PER_GUEST = 8
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


def use_pool(config: wasmtime.Config, guests: int) -> None:
    """Let the engine that is made from `config` have room for so many guests at once.

    Making the engine fails where the address space does not allow it: about 4 GiB per guest, of which only what is used
    takes memory. A guest for which there is no room cannot be instantiated.
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
