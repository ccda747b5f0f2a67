"""The accepting shell, against a peer played on the bare socket."""

import socket
import threading
import weakref
from collections.abc import Callable

import pytest

from router.dicom.association import Association
from router.dicom.commands import CEchoRq, CStoreRq
from router.dicom.events import (
    Aborted,
    AssociationAccepted,
    AssociationRequested,
    Closed,
    CommandReceived,
    DataReceived,
    Event,
    ReleaseRequested,
)
from router.dicom.limits import SMALLEST_BUFFER, Timers
from router.dicom.negotiation import Acceptance, negotiate
from router.dicom.pdu_writer import write_pdu
from router.dicom.pdus import AReleaseRp, AReleaseRq
from router.dicom.uids import VERIFICATION
from router.net import connection as connection_module
from router.net.connection import Patience
from router.net.errors import ConnectionLost, TimedOut
from router.net.wire import Wire
from tests.router.net.material import CT, Ends, a_request

MakeEnds = Callable[..., Ends]
ABORT_BY_USER = bytes.fromhex("07000000000400000000")


@pytest.fixture
def associate(ends: MakeEnds):
    """A connection with an association on it, and the peer's half of that."""

    def make(patience: Patience | None = None, timers: Timers | None = None):
        both = ends(patience, timers)
        peer = Association.requestor(a_request(), now=0.0)
        both.socket.sendall(peer.outgoing())
        event = both.connection.next_event()
        assert isinstance(event, AssociationRequested)
        both.connection.association.accept(negotiate(event.request, Acceptance()))
        both.connection.flush()
        while (heard := peer.next_event()) is None:
            peer.receive(both.socket.recv(65536))
        assert isinstance(heard, AssociationAccepted)
        return both, peer

    return make


def start_object(both: Ends, peer: Association, data: bytes, length: int) -> None:
    """Send a C-STORE of `length` bytes whose data stops after `data`."""
    command = CStoreRq(message_id=1, affected_sop_class_uid=CT, affected_sop_instance_uid="1.2")
    peer.send_command(1, command, has_data=True)
    output = peer.outgoing()
    header, _ = next(iter(peer.data_headers(1, length)))
    both.socket.sendall(output + header + data)


def test_release_is_answered_and_the_peer_closes(associate):
    both, _ = associate()
    both.socket.sendall(write_pdu(AReleaseRq()))
    assert isinstance(both.connection.next_event(), ReleaseRequested)
    both.connection.association.release_response()
    both.connection.flush()
    assert both.socket.recv(100) == write_pdu(AReleaseRp())
    both.socket.close()
    assert both.connection.next_event() == Closed(lost=False)
    assert both.connection.next_event() == Closed(lost=False)


def test_a_peer_that_does_not_close_after_release_is_closed_by_artim(associate):
    both, _ = associate(timers=Timers(artim=0.05))
    both.socket.sendall(write_pdu(AReleaseRq()))
    both.connection.next_event()
    both.connection.association.release_response()
    assert both.connection.next_event() == Closed(lost=False)


def test_a_peer_that_requests_nothing_is_closed_by_artim(ends: MakeEnds):
    both = ends(timers=Timers(artim=0.05))
    event = both.connection.next_event()
    assert isinstance(event, Closed)


def test_a_peer_that_is_gone_is_lost(associate):
    both, _ = associate()
    both.socket.close()
    assert both.connection.next_event() == Closed(lost=True)


def test_silence_between_messages_is_aborted_as_idle(associate):
    both, _ = associate(Patience(idle=0.05, network=30))
    assert both.connection.next_event() == Aborted(source=0, reason=0, by_peer=False)
    assert isinstance(both.connection.failure, TimedOut)
    assert both.connection.failure.what == "idle"
    assert both.socket.recv(100) == ABORT_BY_USER


def test_silence_inside_a_message_is_aborted_sooner(associate):
    both, peer = associate(Patience(idle=30, network=0.05))
    start_object(both, peer, b"half", 8)
    heard: list[Event] = []
    while not heard or not isinstance(heard[-1], Aborted):
        heard.append(both.connection.next_event())
    assert isinstance(heard[0], CommandReceived)
    assert b"".join(e.data for e in heard if isinstance(e, DataReceived)) == b"half"
    assert isinstance(both.connection.failure, TimedOut)
    assert both.connection.failure.what == "network"


def test_after_a_message_silence_is_idleness_again(associate):
    both, peer = associate(Patience(idle=0.1, network=0.0))
    start_object(both, peer, b"whole!", 6)
    while True:
        event = both.connection.next_event()
        if isinstance(event, DataReceived) and event.last:
            break
    assert isinstance(both.connection.next_event(), Aborted)
    assert isinstance(both.connection.failure, TimedOut)
    assert both.connection.failure.what == "idle"


def test_what_breaks_the_protocol_is_answered(associate):
    both, _ = associate()
    both.socket.sendall(b"\x55noise")
    event = both.connection.next_event()
    assert isinstance(event, Aborted)
    assert event.error is not None
    both.connection.flush()
    assert both.socket.recv(100)[0] == 7


def test_end_from_another_thread_aborts_whoever_waits(associate):
    both, _ = associate()
    timer = threading.Timer(0.02, both.connection.end)
    timer.start()
    assert both.connection.next_event() == Aborted(source=0, reason=0, by_peer=False)
    timer.join()
    assert isinstance(both.connection.failure, ConnectionLost)
    assert both.socket.recv(100) == ABORT_BY_USER


def test_end_after_release_is_no_abort(associate):
    both, _ = associate()
    both.socket.sendall(write_pdu(AReleaseRq()))
    both.connection.next_event()
    both.connection.association.release_response()
    both.connection.end()
    assert both.connection.next_event() == Closed(lost=False)
    assert both.socket.recv(100) == write_pdu(AReleaseRp())


def test_close_aborts_what_still_stands_and_may_be_repeated(associate):
    both, _ = associate()
    both.connection.close()
    both.connection.close()
    assert both.socket.recv(100) == ABORT_BY_USER
    assert isinstance(both.connection.next_event(), Closed)


def test_a_quiet_association_gives_its_grown_buffer_back(associate, monkeypatch):
    monkeypatch.setattr(connection_module, "_SHRINK_AFTER", 0.05)
    both, peer = associate()
    data = bytes(300_000)
    sender = threading.Thread(target=start_object, args=(both, peer, data, len(data)))
    sender.start()
    while True:
        event = both.connection.next_event()
        if isinstance(event, DataReceived) and event.last:
            break
    sender.join()
    assert len(both.connection.association.receive_buffer()) > SMALLEST_BUFFER
    timer = threading.Timer(0.2, both.socket.close)
    timer.start()
    assert isinstance(both.connection.next_event(), Closed)
    timer.join()
    assert len(both.connection.association.receive_buffer()) == SMALLEST_BUFFER


def test_a_wait_holds_no_buffer_that_was_given_back(associate, monkeypatch):
    """An exception being handled holds the views of the frames it came through."""
    monkeypatch.setattr(connection_module, "_SHRINK_AFTER", 0.05)
    both, _ = associate()
    views: list[weakref.ref[memoryview]] = []
    alive: list[int] = []

    class Watched(Wire):
        def receive_into(self, view: memoryview, timeout: float | None) -> int:
            views.append(weakref.ref(view))
            alive.append(sum(ref() is not None for ref in views))
            raise TimeoutError

    both.connection._wire.__class__ = Watched
    monkeypatch.setattr(connection_module, "SMALLEST_BUFFER", 1)  # this buffer counts as grown
    assert isinstance(both.connection.next_event(), Aborted)
    assert alive == [1, 1]


def test_poll_event_waits_for_nothing(associate):
    both, peer = associate()
    assert both.connection.poll_event() is None
    request = CEchoRq(message_id=1, affected_sop_class_uid=VERIFICATION)
    peer.send_command(3, request, has_data=False)
    output = peer.outgoing()
    both.socket.sendall(output[:10])
    assert both.connection.poll_event() is None
    both.socket.sendall(output[10:])
    event = both.connection.poll_event()
    assert isinstance(event, CommandReceived)
    assert event.command == request


def test_quiet_for_counts_from_the_last_bytes(associate):
    both, _ = associate()
    assert 0 <= both.connection.quiet_for() < 5


def test_a_peer_that_hung_up_before_our_answer_is_not_an_error(associate):
    both, peer = associate()
    start_object(both, peer, b"data", 4)
    while not (isinstance(event := both.connection.next_event(), DataReceived) and event.last):
        pass
    both.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    both.socket.close()
    for _ in range(3):
        both.connection.send_command(3, CEchoRq(message_id=1, affected_sop_class_uid=VERIFICATION))
    assert both.connection.next_event() == Closed(lost=True)
