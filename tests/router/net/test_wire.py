"""Wires: partial writes, waits, and being interrupted."""

import socket
import threading

import pytest

from router.net.wire import Wire
from tests.router.net.material import tcp_pair


@pytest.fixture
def pair():
    ours, theirs = tcp_pair()
    wire = Wire(ours)
    yield wire, theirs
    wire.close()
    theirs.close()


def read_all(sock: socket.socket, into: bytearray) -> threading.Thread:
    def read() -> None:
        while data := sock.recv(65536):
            into.extend(data)

    thread = threading.Thread(target=read)
    thread.start()
    return thread


def test_everything_is_written_however_many_pieces_and_however_slow_the_peer(pair):
    wire, theirs = pair
    pieces = [bytes([index % 251]) * (index % 5000 + 1) for index in range(3000)]
    got = bytearray()
    reader = read_all(theirs, got)
    assert wire.send(pieces, 10.0)
    wire.close()
    reader.join()
    assert got == b"".join(pieces)


def test_empty_pieces_do_no_harm(pair):
    wire, theirs = pair
    assert wire.send([b"", b"a", b"", b"b", b""], 1.0)
    assert theirs.recv(10) == b"ab"


def test_a_peer_that_takes_nothing_times_out(pair):
    wire, _ = pair
    with pytest.raises(TimeoutError):
        wire.send([bytes(50_000_000)], 0.05)


def test_a_peer_that_says_nothing_times_out(pair):
    wire, _ = pair
    with pytest.raises(TimeoutError):
        wire.receive_into(memoryview(bytearray(10)), 0.01)


def test_input_while_the_peer_takes_nothing_is_shown_and_can_stop_the_writing(pair):
    wire, theirs = pair
    theirs.sendall(b"stop")
    heard = bytearray(10)

    def on_input() -> bool:
        wire.receive_into(memoryview(heard), 0.0)
        return False

    assert not wire.send([bytes(50_000_000)], 5.0, on_input)
    assert heard.startswith(b"stop")


def test_the_end_of_the_stream_is_zero_bytes(pair):
    wire, theirs = pair
    assert not wire.has_input()
    theirs.close()
    assert wire.receive_into(memoryview(bytearray(10)), 5.0) == 0
    assert wire.has_input()


def test_whoever_waits_can_be_interrupted(pair):
    wire, _ = pair
    timer = threading.Timer(0.02, wire.interrupt)
    timer.start()
    assert wire.receive_into(memoryview(bytearray(10)), 5.0) == 0
    timer.join()


def test_a_closed_wire_takes_no_harm_from_interrupt_or_close(pair):
    wire, _ = pair
    wire.close()
    wire.interrupt()
    wire.close()
    with pytest.raises(OSError, match="descriptor"):
        wire.receive_into(memoryview(bytearray(10)), 0.0)


def test_neither_nagle_nor_silence_for_ever(pair):
    wire, _ = pair
    sock = wire._socket
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
