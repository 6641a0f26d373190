"""Sections of a component in binary form, after the component model's `Binary.md`.

In WAT every type of every import would have to be spelled out.
The world of the host is itself a component of imports only, so a guest that imports all of it is that component with
sections added behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

CORE_MODULE, CORE_INSTANCE, INSTANCE, ALIAS, TYPE, CANON, IMPORT, EXPORT = 1, 2, 5, 6, 7, 8, 10, 11
CORE_FUNC, CORE_MEMORY = b"\x00\x00", b"\x00\x02"
FUNC, TYPE_SORT, INSTANCE_SORT = b"\x01", b"\x03", b"\x05"


def leb(number: int) -> bytes:
    """Unsigned LEB128."""
    encoded = bytearray()
    while True:
        number, low = number >> 7, number & 0x7F
        encoded.append(low | (0x80 if number else 0))
        if not number:
            return bytes(encoded)


def read_leb(data: bytes, at: int) -> tuple[int, int]:
    """A number and where it ends."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, at


def name(text: str) -> bytes:
    return leb(len(text.encode())) + text.encode()


def vector(items: Sequence[bytes]) -> bytes:
    return leb(len(items)) + b"".join(items)


def section(number: int, content: bytes) -> bytes:
    return bytes([number]) + leb(len(content)) + content


def sections(component: bytes) -> Iterator[tuple[int, int, int]]:
    """Number, begin and end of the content of every section of a component or module."""
    at = 8
    while at < len(component):
        number = component[at]
        size, begin = read_leb(component, at + 1)
        yield number, begin, begin + size
        at = begin + size


def counted(component: bytes, number: int) -> int:
    """How many items all sections of this number hold together."""
    return sum(read_leb(component, begin)[0] for one, begin, _ in sections(component) if one == number)


def alias(sort: bytes, instance: int, item: str) -> bytes:
    return sort + b"\x00" + leb(instance) + name(item)


def core_alias(sort: bytes, instance: int, item: str) -> bytes:
    return sort + b"\x01" + leb(instance) + name(item)


def lower(function: int) -> bytes:
    """As UTF-8, with core memory 0 and core function 0 as realloc."""
    return b"\x01\x00" + leb(function) + vector([b"\x00", b"\x03\x00", b"\x04\x00"])


def drop(resource: int) -> bytes:
    return b"\x03" + leb(resource)


def lift(core_function: int, ty: int) -> bytes:
    return b"\x00\x00" + leb(core_function) + vector([]) + leb(ty)


def instantiate(module: int, **arguments: int) -> bytes:
    given = [name(what) + b"\x12" + leb(instance) for what, instance in arguments.items()]
    return b"\x00" + leb(module) + vector(given)


def core_exports(functions: dict[str, int]) -> bytes:
    """A core instance of functions only."""
    return b"\x01" + vector([name(what) + b"\x00" + leb(index) for what, index in functions.items()])
