"""The link by itself, over a real socket pair."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers import link
from workers.link import Link, LinkError, Message, Progress, Ready, Reclaim
from workers.orphans import BATCH

ids = st.lists(st.integers(1, 2**63 - 1), max_size=BATCH).map(tuple)
messages = st.one_of(
    st.builds(link.Registered, st.integers(1, 2**63 - 1)),
    st.builds(link.Ready),
    st.builds(link.Progress, st.integers(0, 5000)),
    st.builds(link.Draining),
    st.builds(link.Reclaimed, ids),
    st.builds(link.Failed, st.text()),
    st.builds(link.Stopped),
    st.builds(link.Reclaim, ids),
    st.builds(link.Drain),
    st.builds(link.Dump),
    st.builds(link.Fleet, ids, ids, ids, st.booleans()),
)


@pytest.fixture
def ends() -> Iterator[tuple[Link, socket.socket]]:
    """A link and the bare socket at its other end."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Link(ours), theirs


@given(messages)
def test_what_is_sent_is_received(message: Message) -> None:
    assert link.decode(link.encode(message)) == message


@given(st.lists(messages, max_size=5), st.integers(1, 200))
def test_messages_survive_any_cut_of_the_stream(sent: list[Message], size: int) -> None:
    data = b"".join(map(link.encode, sent))
    received: list[Message] = []
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reader = Link(ours)
        for start in range(0, len(data), size):
            theirs.sendall(data[start : start + size])
            received += reader.receive()
    assert received == sent


def test_the_longest_message_fits_the_smallest_socket_buffer() -> None:
    assert len(link.encode(Reclaim((2**63 - 1,) * BATCH))) < 8192


def test_the_last_words_of_a_peer_that_is_gone_are_heard(ends: tuple[Link, socket.socket]) -> None:
    reader, peer = ends
    reader.send(Ready())  # which the peer never reads: its end resets the connection
    peer.sendall(link.encode(Ready()))
    peer.close()
    assert reader.receive() == [Ready()]
    assert reader.ended


def test_speaking_to_a_peer_that_is_gone_raises_nothing(ends: tuple[Link, socket.socket]) -> None:
    writer, peer = ends
    peer.close()
    writer.send(Ready())
    writer.send(Ready())
    assert not writer.is_clogged


def test_a_peer_that_does_not_read_blocks_nobody_and_gets_all_later(ends: tuple[Link, socket.socket]) -> None:
    writer, peer = ends
    sent = [Progress(0)]
    writer.send(sent[0])
    while not writer.is_clogged:
        sent.append(Progress(len(sent)))
        writer.send(sent[-1])
    reader, received = Link(peer), list[Message]()
    while len(received) < len(sent):
        received += reader.receive()
        writer.receive()
    assert received == sent


@pytest.mark.parametrize(
    "line", [b"garbage\n", b"[]\n", b"{}\n", b'{"type":"nonsense"}\n', b'{"type":"ready","x":1}\n', b"7\n", b"\xff\n"]
)
def test_what_is_no_message_is_an_error(line: bytes, ends: tuple[Link, socket.socket]) -> None:
    reader, peer = ends
    peer.sendall(line)
    with pytest.raises(LinkError, match="not a message"):
        reader.receive()


def test_a_line_has_a_longest_length(ends: tuple[Link, socket.socket]) -> None:
    reader, peer = ends
    peer.sendall(b"x" * link.MAX_LINE_BYTES)
    assert reader.receive() == []
    peer.sendall(b"x")
    with pytest.raises(LinkError, match="a line of more than"):
        reader.receive()
