"""`wasi:random`: drawn once, then replayed."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Coroutine
from typing import Any

from durable.execution.run import Run
from durable.journal import labels
from durable.wasm.traps import GuestLimit


def _bytes_of(label: str) -> Callable[[Run, int], bytes | Coroutine[Any, Any, bytes]]:
    def get_random_bytes(run: Run, count: int) -> bytes | Coroutine[Any, Any, bytes]:
        if count > run.config.max_returned_buffer_len:
            raise GuestLimit(
                f"{count} random bytes were requested; "
                f"max_returned_buffer_len allows {run.config.max_returned_buffer_len}"
            )
        if run.transaction is None and 3 * count > run.config.max_event_bytes:
            # Each takes three characters at least; writing millions of them, only to be refused, takes a second.
            raise GuestLimit(
                f"{count} random bytes were requested outside of a transaction; "
                f"max_event_bytes ({run.config.max_event_bytes}) allows no event of so many"
            )
        return run.record(
            label,
            lambda: secrets.token_bytes(count) if run.entropy is None else run.entropy(count),
            lambda data: str(list(data)),
            lambda text: bytes(json.loads(text)),
        )

    return get_random_bytes


def _u64_of(label: str) -> Callable[[Run], int | Coroutine[Any, Any, int]]:
    def get_random_u64(run: Run) -> int | Coroutine[Any, Any, int]:
        return run.record(label, lambda: _draw_u64(run), str, int)

    return get_random_u64


def _draw_u64(run: Run) -> int:
    return secrets.randbits(64) if run.entropy is None else int.from_bytes(run.entropy(8), "big")


def insecure_seed(run: Run) -> tuple[int, int]:
    """For hash maps: the same at every run of a task, so it need not be recorded."""
    digest = hashlib.sha256(f"{run.task.id}:{run.task.name}".encode()).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little")


FUNCTIONS = {
    "wasi:random/random": {
        "get-random-bytes": _bytes_of(labels.RANDOM_BYTES),
        "get-random-u64": _u64_of(labels.RANDOM_U64),
    },
    "wasi:random/insecure": {
        "get-insecure-random-bytes": _bytes_of(labels.INSECURE_RANDOM_BYTES),
        "get-insecure-random-u64": _u64_of(labels.INSECURE_RANDOM_U64),
    },
    "wasi:random/insecure-seed": {"insecure-seed": insecure_seed},
}
