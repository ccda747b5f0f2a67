"""Turns: one after the other, but nobody waits for ever."""

import threading

from router.net.turns import LONGEST_WAIT, Turn, Turns
from router.net.wire import Wire
from tests.programs import wait_until
from tests.router.net.material import tcp_pair


def in_thread(act) -> threading.Thread:
    thread = threading.Thread(target=act)
    thread.start()
    return thread


def test_the_next_begins_when_the_one_before_has_given_way():
    turns = Turns()
    mine, other = Turn(turns), Turn(turns)
    mine.take()
    mine.take()  # it is ours already
    assert turns.is_taken()
    mine.give()
    mine.give()
    assert not turns.is_taken()
    other.take()
    assert turns.is_taken()
    mine.give()  # not ours
    assert turns.is_taken()


def test_who_waits_for_something_lets_others_go_meanwhile():
    turns = Turns()
    turn = Turn(turns)
    turn.take()
    with turn.aside():
        assert not turns.is_taken()
    assert turns.is_taken()


def test_nobody_waits_for_ever_for_one_that_does_not_give_way():
    turns = Turns()
    Turn(turns).take()
    turn, went_on = Turn(turns), threading.Event()

    def go() -> None:
        turn.take()
        went_on.set()
        turn.give()

    thread = in_thread(go)
    assert went_on.wait(LONGEST_WAIT + 10)
    thread.join()
    assert turns.is_taken(), "the turn of the other one is still the other one's"


def test_a_wire_has_the_turn_from_what_it_has_read_until_it_waits():
    turns = Turns()
    ours, theirs = tcp_pair()
    wire = Wire(ours, Turn(turns))
    view = memoryview(bytearray(10))
    assert not turns.is_taken()
    theirs.sendall(b"ab")
    assert wire.receive_into(view, 10.0) == 2
    assert turns.is_taken()
    reader = in_thread(lambda: wire.receive_into(view, 10.0))
    other = Turn(turns)
    other.take()
    other.give()
    theirs.sendall(b"c")
    reader.join()
    assert turns.is_taken()
    wire.close()
    assert not turns.is_taken()
    theirs.close()


def test_a_peer_that_takes_nothing_keeps_nobody_from_their_turn():
    turns = Turns()
    ours, theirs = tcp_pair()
    wire = Wire(ours, Turn(turns))
    theirs.sendall(b"a")
    wire.receive_into(memoryview(bytearray(10)), 10.0)
    assert turns.is_taken()
    left = 50_000_000
    sender = in_thread(lambda: wire.send([bytes(left)], 10.0))
    wait_until(turns.begin, "the turn, while it waits for room")
    assert sender.is_alive()
    turns.end()
    while left:
        left -= len(theirs.recv(1 << 20))
    sender.join()
    assert turns.is_taken(), "it had its turn again"
    wire.close()
    theirs.close()
