"""Loads and runs damaged components in a process of its own: `python -m tests.hostile.mutants SEED FIRST CASES URL`.

As in `calls`: each case is named before it runs, and one line of JSON at the end tells what became of all.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

from durable.errors import InvalidComponent
from durable.wasm.inspect import compile_component
from durable.wasm.program import Program
from tests.engine.database import workflow
from tests.engine.fetching import fetching
from tests.hostile.calls import MAX_REASON, Host, resident_bytes
from tests.hostile.encoding import leb, section, sections
from tests.hostile.puppet import puppet


def originals(host: Host) -> list[bytes]:
    """Small ones come up more often: a bit that is hit in them matters more, and they compile at once."""
    with tempfile.TemporaryDirectory() as folder:
        small = fetching("http://127.0.0.1:1/", Path(folder)).read_bytes()
    tiny = [workflow(name).read_bytes() for name in ("exit-with-code-3", "unknown-import")]
    return [
        *tiny * 4,
        *[small] * 12,
        puppet(host.world),
        *[workflow(name).read_bytes() for name in ("noop", "c-hello")],
    ]


def mutant(chance: random.Random, originals: list[bytes]) -> bytes:
    """A component with one to four damages."""
    damaged = chance.choice(originals)
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        damaged = chance.choice(_DAMAGES)(chance, damaged, originals)
    return damaged


# -- damages ---------------------------------------------------------------------------------------------------------
def _flip_bits(chance: random.Random, wasm: bytes, _: list[bytes]) -> bytes:
    flipped = bytearray(wasm)
    for _bit in range(chance.choice([1, 1, 2, 8])):
        if flipped:
            flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
    return bytes(flipped)


def _set_byte(chance: random.Random, wasm: bytes, _: list[bytes]) -> bytes:
    at = chance.randrange(len(wasm) + 1)
    return wasm[:at] + bytes([chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])]) + wasm[at + 1 :]


def _truncate(chance: random.Random, wasm: bytes, _: list[bytes]) -> bytes:
    return wasm[: chance.randrange(len(wasm) + 1)]


def _huge_number(chance: random.Random, wasm: bytes, _: list[bytes]) -> bytes:
    """A size or count that is far too large."""
    at = chance.randrange(len(wasm) + 1)
    return wasm[:at] + leb(chance.choice([2**32 - 1, 2**31, 2**20, 2**64 - 1])) + wasm[at + 1 :]


def _cut_out(chance: random.Random, wasm: bytes, _: list[bytes]) -> bytes:
    at = chance.randrange(len(wasm) + 1)
    return wasm[:at] + wasm[at + chance.choice([1, 2, 16, 300]) :]


def _of_sections(wasm: bytes) -> list[bytes]:
    try:
        return [section(number, wasm[begin:end]) for number, begin, end in sections(wasm)]
    except IndexError:  # damaged before
        return []


def _swap_sections(chance: random.Random, wasm: bytes, _: list[bytes]) -> bytes:
    parts = _of_sections(wasm)
    if parts:
        one, other = chance.randrange(len(parts)), chance.randrange(len(parts))
        parts[one], parts[other] = parts[other], parts[one]
    return wasm[:8] + b"".join(parts)


def _drop_or_double_section(chance: random.Random, wasm: bytes, _: list[bytes]) -> bytes:
    parts = _of_sections(wasm)
    if parts:
        at = chance.randrange(len(parts))
        parts[at : at + 1] = [parts[at]] * chance.choice([0, 2])
    return wasm[:8] + b"".join(parts)


def _foreign_section(chance: random.Random, wasm: bytes, originals: list[bytes]) -> bytes:
    parts, foreign = _of_sections(wasm), _of_sections(chance.choice(originals))
    parts.insert(chance.randrange(len(parts) + 1), chance.choice(foreign))
    return wasm[:8] + b"".join(parts)


_DAMAGES = [
    _flip_bits, _flip_bits, _flip_bits, _set_byte, _set_byte, _truncate, _huge_number, _cut_out, _swap_sections,
    _drop_or_double_section, _foreign_section,
]  # fmt: skip


# -- loading and running ---------------------------------------------------------------------------------------------
async def became(host: Host, wasm: bytes) -> str:
    """What a worker does with it: refuse it, or run it to an end."""
    try:
        program = Program(compile_component(host.engine, wasm), host.engine, host.world)
    except InvalidComponent as error:
        assert len(str(error).encode()) <= MAX_REASON, "the reason is too long"
        return "refused"
    state, _ = await host.end_of(program, "")
    return state


async def all_cases(host: Host, seed: int, first: int, cases: int) -> dict[str, object]:
    outcomes, problems, bases, resident = Counter[str](), [], originals(host), 0
    for case in range(first, first + cases):
        print(case, flush=True)
        try:
            outcomes[await became(host, mutant(random.Random(f"{seed} {case}"), bases))] += 1
        except Exception as error:
            problems.append(f"case {case} of seed {seed}: {error!r}"[:2000])
        if case == first + cases // 5:
            resident = resident_bytes()
    await host.close()
    return {"outcomes": outcomes, "problems": problems, "growth": resident_bytes() - resident}


def main() -> None:
    seed, first, cases = map(int, sys.argv[1:4])
    print(json.dumps(asyncio.run(all_cases(Host(sys.argv[4]), seed, first, cases))), flush=True)


if __name__ == "__main__":
    main()
