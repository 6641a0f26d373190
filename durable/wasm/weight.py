"""How heavy a component is to compile, told from its bytes.

The compiler's time and memory grow with the square of one function's size, and only linearly with the number of
functions: measured, one of 64 KiB can take 40 s and 640 MB, one of 16 KiB 1.4 s and 30 MB.
"""

from __future__ import annotations

from collections.abc import Iterator

_CORE_MODULE, _COMPONENT, _CODE = 1, 4, 10
_MODULE_LAYER = b"\x01\x00\x00\x00"
_MAX_NESTING = 50
#: Together these bound what a hostile component can cost to some 20 s of CPU time and 100 MB.
_LIGHT_COMPONENT, _LIGHT_FUNCTION = 256 << 10, 16 << 10


def is_light(wasm: bytes) -> bool:
    """True when the component can be compiled without limits on time and memory. False for what cannot be read."""
    if len(wasm) > _LIGHT_COMPONENT:
        return False
    try:
        return _largest_function(wasm, 0, len(wasm), 0) <= _LIGHT_FUNCTION
    except IndexError:
        return False


def _largest_function(wasm: bytes, begin: int, end: int, depth: int) -> int:
    """Of the component or core module in these bytes. Raises IndexError where they end too early."""
    if depth > _MAX_NESTING:
        raise IndexError("nested too deep")
    is_module = wasm[begin + 4 : begin + 8] == _MODULE_LAYER
    largest = 0
    for number, start, stop in _sections(wasm, begin + 8, end):
        if is_module and number == _CODE:
            largest = max([largest, *_bodies(wasm, start, stop)])
        elif not is_module and number in (_CORE_MODULE, _COMPONENT):
            largest = max(largest, _largest_function(wasm, start, stop, depth + 1))
    return largest


def _sections(wasm: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, begin and end of each."""
    while at < end:
        size, start = _number(wasm, at + 1)
        yield wasm[at], start, start + size
        at = start + size


def _bodies(wasm: bytes, at: int, end: int) -> Iterator[int]:
    """The size of each function."""
    _, at = _number(wasm, at)
    while at < end:
        size, at = _number(wasm, at)
        yield size
        at += size


def _number(wasm: bytes, at: int) -> tuple[int, int]:
    """An unsigned LEB128 number and where it ends."""
    number = 0
    for shift in range(0, 35, 7):
        byte = wasm[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    raise IndexError("a number of more than 32 bits")
