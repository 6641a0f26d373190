"""A body in chunks is what was sent, however it was cut, or an error; what its chunks cost is bounded."""

from __future__ import annotations

import threading
import time
from random import Random

import pytest

from durable.net.chunks import MAX_FRAMING, read_chunked
from durable.net.errors import RequestFailed, ResponseTooLarge
from durable.net.turn import Turn
from tests.net.arriving import Arriving, buffered, buffering


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


PIECES = pytest.mark.parametrize("piece", [1, 7, 1_000_000])


@PIECES
def test_a_body_in_chunks(piece: int) -> None:
    data = b"5\r\nhello\r\n1;name=value\r\n \r\n0000a  \r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nmore"
    stream = buffered(data, piece)
    assert read_chunked(stream, 16) == b"hello 0123456789"
    assert stream.read() == b"more"


def test_chunks_are_what_was_sent_however_they_arrive() -> None:
    seed = int(time.time())
    random = Random(seed)
    for number in range(300):
        sizes = [random.choice((1, 2, 40, 1000, 65_530, 70_000)) for _ in range(random.randrange(30))]
        chunks = [random.randbytes(size) for size in sizes]
        data = b"".join(map(chunk, [*chunks, b""])) + b"more"
        stream = buffered(data, random.choice((100, 8192, 65_536, 10_000_000)))
        where = f"seed {seed}, number {number}"
        assert read_chunked(stream, sum(sizes)) == b"".join(chunks), where
        assert stream.read() == b"more", where


def in_time(turn: threading.Lock) -> Turn:
    return Turn(turn, time.monotonic() + 10)


def test_nobody_waits_for_a_server_in_his_turn() -> None:
    turn = threading.Lock()

    class Server(Arriving):
        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            assert not turn.locked()
            return super().readinto(buffer)

    data = chunk(b"x" * 40) * 10_000 + chunk(b"")
    assert read_chunked(buffering(Server(data, 1000)), 1_000_000, in_time(turn)) == b"x" * 400_000
    assert not turn.locked()


def test_chunks_are_decoded_when_it_is_ones_turn() -> None:
    turn = threading.Lock()
    bodies: list[bytes] = []
    reader = threading.Thread(
        target=lambda: bodies.append(read_chunked(buffered(chunk(b"x") + chunk(b"")), 1, in_time(turn))), daemon=True
    )
    with turn:
        reader.start()
        reader.join(0.1)
        assert bodies == []
    reader.join(10)
    assert bodies == [b"x"]


def test_a_turn_that_does_not_come_in_time_is_not_waited_for() -> None:
    lock = threading.Lock()
    turn = Turn(lock, time.monotonic() + 0.2)
    with lock, pytest.raises(TimeoutError):
        read_chunked(buffered(chunk(b"x") + chunk(b"")), 1, turn)
    assert not lock.locked()
    assert read_chunked(buffered(chunk(b"x") + chunk(b"")), 1, turn) == b"x", "nobody else has it: no wait, no time"


@PIECES
def test_chunks_are_limited_together(piece: int) -> None:
    data = chunk(b"hello") + chunk(b"x" * 10) + chunk(b"")
    assert read_chunked(buffered(data, piece), 15) == b"hello" + b"x" * 10
    with pytest.raises(ResponseTooLarge, match=r"max_http_body \(14 bytes\)"):
        read_chunked(buffered(data, piece), 14)


def test_a_huge_chunk_is_not_even_read() -> None:
    arriving = Arriving(b"fffffffffffffff\r\n" + b"x" * 1000, piece=100)
    with pytest.raises(ResponseTooLarge):
        read_chunked(buffering(arriving), 1000)
    assert arriving.given == 100


@pytest.mark.parametrize("piece", [50, 1_000_000])
def test_what_stands_around_chunks_may_have_a_mebibyte(piece: int) -> None:
    most = MAX_FRAMING // len(chunk(b"x")[1:])
    assert len(read_chunked(buffered(chunk(b"x") * most + chunk(b""), piece), 1_000_000)) == most
    with pytest.raises(RequestFailed, match="too many chunks for so few bytes"):
        read_chunked(buffered(chunk(b"x") * (most + 1) + chunk(b""), piece), 1_000_000)


def test_where_bodies_may_be_large_more_may_stand_around_chunks() -> None:
    size = 8 * 3 * MAX_FRAMING
    body = chunk(b"x" * 48) * (size // 48)
    assert len(read_chunked(buffered(body + chunk(b"")), size)) == size


REST = b"\r\nhello\r\n0\r\n\r\n"  # after a size that should be 5


@PIECES
@pytest.mark.parametrize(
    "data",
    [
        b"", b"5", b"5\r\n", b"5\r\nhel", b"5\r\nhello", b"5\r\nhello\r\n", b"0\r\n", b"0\r\nTrailer: x\r\n",
        b"-1" + REST, b"+5" + REST, b"0x5" + REST, b"5_0" + REST, b" 5" + REST, REST, b"g" + REST, b"4" + REST,
        b"6" + REST, b"5 5" + REST, b"5\rhello\r\n0\r\n\r\n", b"\xff\r\n", b"5" * 20 + b"\r\n",
        b"5;" + b"x" * 10_000 + REST, b"0\r\n" + b"a: b\r\n" * 101 + b"\r\n",
    ],
)  # fmt: skip
def test_chunks_that_are_damaged_are_an_error(data: bytes, piece: int) -> None:
    with pytest.raises(RequestFailed):
        read_chunked(buffered(data, piece), 1000)


@pytest.mark.parametrize(
    ("begins", "unit", "most", "ends"),
    [(b"5;", b"x", 8188, REST), (b"5\r\nhello\r\n0\r\n", b"a: b\r\n", 99, b"\r\n")],
    ids=["8192 bytes for the line of a chunk", "99 trailers"],
)
def test_what_stands_around_chunks_has_limits(begins: bytes, unit: bytes, most: int, ends: bytes) -> None:
    assert read_chunked(buffered(begins + unit * most + ends), 5) == b"hello"
    with pytest.raises(RequestFailed):
        read_chunked(buffered(begins + unit * (most + 1) + ends), 5)
