"""What a panic said stands before the trap that it ended in."""

from __future__ import annotations

import pytest

from durable.execution.last_words import LastWords

TRAP = "wasm trap: wasm `unreachable` instruction executed\nerror while executing at wasm backtrace:"


@pytest.mark.parametrize(
    ("pieces", "first_line"),
    [
        (["task 'a' panicked at ", "src/main.rs:6:5:\n", "boom\n"], "task 'a' panicked at src/main.rs:6:5: boom"),
        (
            [
                "trying again\n\nthread 'main' panicked at src/main.rs:1:2:\nno\n  such file\n",
                "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n",
            ],
            "thread 'main' panicked at src/main.rs:1:2: no such file",
        ),
        (["t panicked at a:1:1:\nfirst\n" * 300, "t panicked at b:2:2:\nlast\n"], "t panicked at b:2:2: last"),
        (["panic: runtime error: index out of range\n"], "panic: runtime error: index out of range"),
        (["trying again\n"], "wasm trap: wasm `unreachable` instruction executed"),
        ([], "wasm trap: wasm `unreachable` instruction executed"),
    ],
)
def test_the_last_panic_comes_first_in_one_line(pieces: list[str], first_line: str) -> None:
    words = LastWords()
    for piece in pieces:
        words.add(piece)
    explained = words.explain(TRAP)
    assert explained.splitlines()[0] == first_line
    assert explained.endswith(TRAP)


def test_other_ends_have_nothing_to_do_with_a_panic_that_was_caught() -> None:
    words = LastWords()
    words.add("t panicked at a:1:1:\nfirst\n")
    assert words.explain("call stack exhausted") == "call stack exhausted"


def test_much_output_is_not_kept() -> None:
    words = LastWords()
    for _ in range(100):
        words.add("x" * 10_000)
    assert words.explain(TRAP) == TRAP
