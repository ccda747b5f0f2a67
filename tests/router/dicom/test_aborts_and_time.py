"""How an association ends without agreement: by the peer, by us, by silence, by a loss."""

import pytest

from router.dicom.association import Association
from router.dicom.commands import CEchoRq
from router.dicom.events import Aborted, AssociationRequested, Closed, CommandReceived
from router.dicom.limits import Limits, Timers
from router.dicom.pdu_writer import write_pdu
from router.dicom.pdus import (
    AAssociateRj,
    AReleaseRp,
    AReleaseRq,
    PDataTf,
    PresentationDataValue,
)
from router.dicom.reasons import AbortReason
from router.dicom.states import State
from router.dicom.uids import VERIFICATION
from tests.router.dicom.material import (
    CT,
    MR,
    STORE_RQ,
    Pair,
    events_of,
    message_bytes,
    request_for,
)


def a_abort(source: int, reason: int) -> bytes:
    return bytes([7, 0, 0, 0, 0, 4, 0, 0, source, reason])


def value(data: bytes, *, context_id: int = 1, command: bool = False, last: bool = True) -> bytes:
    fragment = PresentationDataValue(
        context_id=context_id, is_command=command, is_last=last, data=data
    )
    return write_pdu(PDataTf(values=(fragment,)))


def aborted_by_us(association: Association) -> Aborted:
    *_, event = events_of(association)
    assert isinstance(event, Aborted)
    assert not event.by_peer
    assert event.error is not None
    return event


# By the peer.


def test_an_abort_of_the_peer_is_told_with_source_and_reason() -> None:
    pair = Pair()
    pair.requestor.abort()
    assert pair.requestor.outgoing() == a_abort(0, 0)
    pair.acceptor.receive(a_abort(2, 6))
    assert list(events_of(pair.acceptor)) == [Aborted(source=2, reason=6, by_peer=True), Closed()]
    assert pair.acceptor.close_expected()


def test_an_abort_may_come_in_the_middle_of_an_object() -> None:
    pair = Pair()
    wire = message_bytes(pair.requestor, 1, STORE_RQ, bytes(100))
    pair.acceptor.receive(wire[:-112] + value(bytes(50), last=False) + a_abort(0, 0))
    assert [type(event).__name__ for event in events_of(pair.acceptor)] == [
        "CommandReceived", "DataReceived", "Aborted", "Closed",
    ]  # fmt: skip


# By us.


def test_an_abort_of_ours_waits_for_the_peer_to_close() -> None:
    pair = Pair()
    pair.acceptor.abort()
    assert pair.to_requestor() == [Aborted(source=0, reason=0, by_peer=True), Closed()]
    assert pair.acceptor.state is State.AWAITING_CLOSE
    assert pair.acceptor.next_event() is None
    pair.acceptor.receive(message_bytes(Pair().requestor, 1, STORE_RQ, bytes(100)))
    assert pair.acceptor.next_event() is None  # what was on its way is ignored
    pair.acceptor.receive_eof()
    assert pair.acceptor.next_event() == Closed()


def test_an_abort_is_allowed_in_every_state() -> None:
    acceptor = Association.acceptor(now=0.0)
    acceptor.abort()
    assert acceptor.outgoing() == b""  # there is no association yet
    assert acceptor.close_expected()
    acceptor.abort()
    assert acceptor.next_event() == Closed()
    pair = Pair()
    pair.acceptor.abort()
    pair.acceptor.abort()
    assert pair.acceptor.outgoing() == a_abort(0, 0)
    assert pair.acceptor.close_expected()


def test_our_user_may_speak_for_the_provider() -> None:
    pair = Pair()
    pair.acceptor.abort(2, 0)
    assert pair.acceptor.outgoing() == a_abort(2, 0)


# Because of what the peer sent.


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", a_abort(0, 0)),
        (b"\x00", a_abort(0, 0)),
        (write_pdu(AReleaseRq()), a_abort(0, 0)),
        (value(b""), a_abort(0, 0)),
        (b"\x04\0\0\0\0\x06", a_abort(0, 0)),
        (b"\x01\0\xff\xff\xff\xff", a_abort(0, 0)),
    ],
    ids=["http", "nul", "release", "data", "data to come", "giant request"],
)
def test_before_a_request_the_user_aborts(data: bytes, answer: bytes) -> None:
    acceptor = Association.acceptor(now=0.0)
    acceptor.receive(data)
    aborted_by_us(acceptor)
    assert acceptor.outgoing() == answer  # PS3.8 table 9-9, AA-1
    assert acceptor.state is State.AWAITING_CLOSE


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x08\0\0\0\0\0", AbortReason.UNRECOGNIZED_PDU),
        (b"\x00", AbortReason.UNRECOGNIZED_PDU),
        (write_pdu(request_for()), AbortReason.UNEXPECTED_PDU),
        (write_pdu(AAssociateRj(result=1, source=1, reason=1)), AbortReason.UNEXPECTED_PDU),
        (write_pdu(AReleaseRp()), AbortReason.UNEXPECTED_PDU),
        (b"\x05\0\0\0\x01\0", AbortReason.INVALID_PARAMETER_VALUE),
        (b"\x04\0\0\0\0\0", AbortReason.INVALID_PARAMETER_VALUE),
        (b"\x04\0\x10\0\0\x01", AbortReason.INVALID_PARAMETER_VALUE),
        (b"\x04\0\0\0\0\x05" + bytes(5), AbortReason.INVALID_PARAMETER_VALUE),
        (b"\x04\0\0\0\0\x06\0\0\0\x01\x01\0", AbortReason.INVALID_PARAMETER_VALUE),
        (b"\x04\0\0\0\0\x06\0\0\0\x03\x01\0", AbortReason.INVALID_PARAMETER_VALUE),
        (value(b"", context_id=5, command=True), AbortReason.UNEXPECTED_PARAMETER),
        (value(b"data"), AbortReason.UNEXPECTED_PARAMETER),
    ],
    ids=[
        "unknown type",
        "unknown type, one byte",
        "request",
        "reject",
        "release response",
        "long release",
        "empty data",
        "giant data",
        "data too short for a fragment",
        "fragment too short for its header",
        "fragment longer than its PDU",
        "context not accepted",
        "data set without command",
    ],
)
def test_in_an_association_the_provider_aborts_and_says_why(
    data: bytes, reason: AbortReason
) -> None:
    pair = Pair()
    pair.acceptor.receive(data)
    event = aborted_by_us(pair.acceptor)
    assert (event.source, event.reason) == (2, reason)
    assert pair.acceptor.outgoing() == a_abort(2, reason)
    pair.acceptor.receive(b"whatever follows")
    assert pair.acceptor.next_event() is None
    pair.acceptor.receive_eof()
    assert pair.acceptor.next_event() == Closed()


@pytest.mark.parametrize(
    "command_set",
    [b"", b"garbage", bytes(8), b"\x08\0\x18\0\0\0\0\0"],
    ids=["empty", "garbage", "no field", "other group"],
)
def test_a_command_set_that_is_none_is_the_users_to_abort(command_set: bytes) -> None:
    pair = Pair()
    pair.acceptor.receive(value(command_set, command=True))
    event = aborted_by_us(pair.acceptor)
    assert (event.source, event.reason) == (0, 0)
    assert pair.acceptor.outgoing() == a_abort(0, 0)


def test_a_command_set_has_a_longest_length() -> None:
    pair = Pair()
    part = value(bytes(1000), command=True, last=False)
    for _ in range(Limits().command_set_length // 1000):
        pair.acceptor.receive(part)
        assert pair.acceptor.next_event() is None
    pair.acceptor.receive(part)
    assert aborted_by_us(pair.acceptor).source == 0


@pytest.mark.parametrize(
    "intruder",
    [value(b"", command=True), value(b"ab", context_id=3)],
    ids=["command", "other context"],
)
def test_fragments_of_two_messages_do_not_mix(intruder: bytes) -> None:
    pair = Pair(request_for(CT, MR))
    pair.requestor.send_command(1, STORE_RQ, has_data=True)
    assert [type(event) for event in pair.to_acceptor()] == [CommandReceived]
    pair.acceptor.receive(intruder)
    event = aborted_by_us(pair.acceptor)
    assert (event.source, event.reason) == (2, AbortReason.UNEXPECTED_PARAMETER)


def test_commands_on_two_contexts_do_not_mix() -> None:
    pair = Pair(request_for(CT, MR))
    pair.acceptor.receive(value(b"\0\0", command=True, last=False))
    pair.acceptor.receive(value(b"\0\0", command=True, context_id=3))
    event = aborted_by_us(pair.acceptor)
    assert (event.source, event.reason) == (2, AbortReason.UNEXPECTED_PARAMETER)


def test_a_request_while_waiting_for_the_close_is_answered_with_an_abort() -> None:
    pair = Pair()
    pair.acceptor.abort()
    pair.acceptor.outgoing()
    pair.acceptor.receive(write_pdu(request_for()))
    assert pair.acceptor.next_event() is None
    assert pair.acceptor.outgoing() == a_abort(2, AbortReason.UNEXPECTED_PDU)


def test_events_before_the_mistake_are_told_first() -> None:
    pair = Pair(request_for(VERIFICATION))
    echo = CEchoRq(message_id=1, affected_sop_class_uid=VERIFICATION)
    pair.requestor.send_command(1, echo, has_data=False)
    pair.acceptor.receive(pair.requestor.outgoing() + b"garbage")
    assert [type(event) for event in events_of(pair.acceptor)] == [CommandReceived, Aborted]


# A lost connection.


def test_a_lost_connection_is_told_after_what_came_before() -> None:
    pair = Pair()
    wire = message_bytes(pair.requestor, 1, STORE_RQ, bytes(100))
    pair.acceptor.receive(wire[:-1])
    pair.acceptor.receive_eof()
    assert [type(event).__name__ for event in events_of(pair.acceptor)] == [
        "CommandReceived", "DataReceived", "Closed",
    ]  # fmt: skip
    assert pair.acceptor.next_event() == Closed(lost=True)
    pair.acceptor.receive_eof()
    assert pair.acceptor.next_event() == Closed(lost=True)


def test_a_connection_without_a_request_is_no_loss() -> None:
    acceptor = Association.acceptor(now=0.0)
    acceptor.receive_eof()
    assert acceptor.next_event() == Closed()


def test_a_requestor_whose_request_is_not_answered_loses_the_connection() -> None:
    requestor = Association.requestor(request_for(), now=0.0)
    requestor.receive_eof()
    assert requestor.next_event() == Closed(lost=True)


# Time.


def test_artim_runs_until_a_request_comes() -> None:
    acceptor = Association.acceptor(now=100.0, timers=Timers(artim=30.0))
    assert acceptor.deadline(110.0) == 130.0
    acceptor.expired(129.9)
    assert acceptor.next_event() is None
    acceptor.expired(130.0)
    assert acceptor.next_event() == Closed()
    assert acceptor.close_expected()
    assert acceptor.deadline(131.0) is None


def test_artim_stops_with_the_request() -> None:
    acceptor = Association.acceptor(now=100.0)
    acceptor.receive(write_pdu(request_for()))
    assert isinstance(acceptor.next_event(), AssociationRequested)
    assert acceptor.deadline(200.0) is None
    acceptor.expired(1000.0)
    assert acceptor.state is State.AWAITING_LOCAL_ANSWER


def test_artim_runs_from_when_the_clock_is_next_told() -> None:
    pair = Pair()
    pair.acceptor.abort()
    assert pair.acceptor.deadline(5000.0) == 5030.0
    assert pair.acceptor.deadline(5010.0) == 5030.0
    pair.acceptor.expired(5030.0)
    assert pair.acceptor.next_event() == Closed()


def test_artim_runs_after_a_release_response_and_a_reject() -> None:
    pair = Pair()
    pair.requestor.release()
    pair.to_acceptor()
    pair.acceptor.release_response()
    assert pair.acceptor.deadline(7.0) == 37.0
    acceptor = Association.acceptor(now=0.0)
    acceptor.receive(write_pdu(request_for()))
    acceptor.next_event()
    acceptor.reject(2, 3, 1)
    assert acceptor.deadline(7.0) == 37.0


def test_an_answer_that_does_not_come_ends_the_association_where_asked_for() -> None:
    requestor = Association.requestor(request_for(), now=0.0, timers=Timers(answer=10.0))
    requestor.outgoing()
    assert requestor.deadline(1.0) == 10.0
    requestor.expired(10.0)
    assert aborted_by_us(requestor).source == 0
    assert requestor.outgoing() == a_abort(0, 0)
    assert requestor.deadline(11.0) == 41.0
    assert Association.requestor(request_for(), now=0.0).deadline(1.0) is None


def test_a_release_that_is_not_answered_ends_the_association() -> None:
    requestor = Association.requestor(request_for(), now=0.0, timers=Timers(answer=10.0))
    acceptor = Pair().acceptor
    assert acceptor.acceptance is not None
    requestor.receive(write_pdu(acceptor.acceptance))
    requestor.next_event()
    assert requestor.deadline(1.0) is None
    requestor.release()
    assert requestor.deadline(20.0) == 30.0
    requestor.expired(30.0)
    assert aborted_by_us(requestor).source == 0
