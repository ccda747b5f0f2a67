"""An association through its door: two ends back to back, in the words of PS3.8 and PS3.7."""

import pytest

from router.dicom.association import Association
from router.dicom.commands import CEchoRq, CEchoRsp, CStoreRsp
from router.dicom.errors import LocalProtocolError
from router.dicom.events import (
    AssociationRejected,
    AssociationRequested,
    Closed,
    CommandReceived,
    DataReceived,
    Released,
    ReleaseRequested,
)
from router.dicom.negotiation import Acceptance
from router.dicom.states import State
from router.dicom.uids import VERIFICATION
from tests.router.dicom.material import (
    CT,
    EXPLICIT,
    MR,
    STORE_RQ,
    Pair,
    events_of,
    message_bytes,
    request_for,
)

ECHO_RQ = CEchoRq(message_id=1, affected_sop_class_uid=VERIFICATION)
ECHO_RSP = CEchoRsp(message_id_being_responded_to=1, status=0)


def test_both_ends_know_the_same_contexts_and_titles() -> None:
    pair = Pair(request_for(CT, MR), Acceptance(preference=(EXPLICIT,)))
    assert pair.requestor.contexts == pair.acceptor.contexts
    assert set(pair.acceptor.contexts) == {1, 3}
    assert pair.acceptor.contexts[3].transfer_syntax == EXPLICIT
    assert pair.acceptor.calling_ae_title == pair.requestor.calling_ae_title == "CT01"
    assert pair.acceptor.called_ae_title == pair.requestor.called_ae_title == "ROUTER"
    assert pair.requestor.acceptance == pair.acceptor.acceptance
    assert pair.requestor.request == pair.acceptor.request
    assert pair.acceptor.peer_max_length == 16384
    assert pair.requestor.peer_max_length == 1 << 20


def test_before_a_request_nothing_is_known() -> None:
    acceptor = Association.acceptor(now=0.0)
    assert acceptor.request is None
    assert acceptor.acceptance is None
    assert acceptor.contexts == {}
    assert not acceptor.awaits_data
    assert acceptor.peer_max_length == 0
    assert acceptor.calling_ae_title == acceptor.called_ae_title == ""


def test_an_echo_and_its_response() -> None:
    pair = Pair(request_for(VERIFICATION))
    pair.requestor.send_command(1, ECHO_RQ, has_data=False)
    assert pair.to_acceptor() == [CommandReceived(context_id=1, command=ECHO_RQ, has_data=False)]
    pair.acceptor.send_command(1, ECHO_RSP, has_data=False)
    assert pair.to_requestor() == [CommandReceived(context_id=1, command=ECHO_RSP, has_data=False)]


@pytest.mark.parametrize("max_length", [8, 9, 100, 16384, 0, 1 << 31])
@pytest.mark.parametrize("size", [0, 2, 1000, 70001])
def test_an_object_arrives_whole_whatever_the_maximum_length(max_length: int, size: int) -> None:
    pair = Pair(acceptance=Acceptance(max_length=max_length))
    data = bytes(number % 251 for number in range(size))
    wire = message_bytes(pair.requestor, 1, STORE_RQ, data)
    pair.acceptor.receive(wire)
    command, *fragments = events_of(pair.acceptor)
    assert command == CommandReceived(context_id=1, command=STORE_RQ, has_data=True)
    assert b"".join(bytes(f.data) for f in fragments if isinstance(f, DataReceived)) == data
    assert [f.last for f in fragments if isinstance(f, DataReceived)][-1]
    for length in _pdu_lengths(wire):
        assert length <= (max_length or 1 << 20)


def _pdu_lengths(wire: bytes) -> list[int]:
    lengths = []
    at = 0
    while at < len(wire):
        assert wire[at] == 4
        lengths.append(int.from_bytes(wire[at + 2 : at + 6], "big"))
        at += 6 + lengths[-1]
    return lengths


def test_fragments_sent_are_of_even_length_but_for_the_last() -> None:
    pair = Pair(acceptance=Acceptance(max_length=101))
    pair.requestor.send_command(1, STORE_RQ, has_data=True)
    *whole, last = [length for _, length in pair.requestor.data_headers(1, 1001)]
    assert set(whole) == {94}
    assert sum(whole) + last == 1001


def test_a_maximum_length_of_0_does_not_mean_one_giant_pdu() -> None:
    pair = Pair(acceptance=Acceptance(max_length=0))
    pair.requestor.send_command(1, STORE_RQ, has_data=True)
    headers = list(pair.requestor.data_headers(1, 3 << 20))
    assert len(headers) == 4
    assert max(length for _, length in headers) < 1 << 20


def test_data_is_told_as_it_comes_without_copying() -> None:
    pair = Pair()
    wire = message_bytes(pair.requestor, 1, STORE_RQ, bytes(range(200)))
    command_length = len(wire) - 212
    pair.acceptor.receive(wire[: command_length + 12 + 50])
    _, first = events_of(pair.acceptor)
    assert isinstance(first, DataReceived)
    assert bytes(first.data) == bytes(range(50))
    assert not first.last
    assert pair.acceptor.awaits_data
    space = pair.acceptor.receive_buffer()
    space[:150] = bytes(range(50, 200))
    pair.acceptor.received(150)
    (second,) = events_of(pair.acceptor)
    assert isinstance(second, DataReceived)
    assert bytes(second.data) == bytes(range(50, 200))
    assert second.last
    space[0] = 99  # what the shell received into is what the event shows
    assert second.data[0] == 99


def test_several_messages_and_several_values_in_a_pdu() -> None:
    pair = Pair()
    wire = message_bytes(pair.requestor, 1, STORE_RQ, b"abcdef")
    one_pdu = b"".join(_values(wire))
    joined = b"\x04\0" + len(one_pdu * 2).to_bytes(4, "big") + one_pdu * 2
    pair.acceptor.receive(joined)
    events = list(events_of(pair.acceptor))
    assert len(events) == 4
    assert [type(event) for event in events] == [CommandReceived, DataReceived] * 2


def _values(wire: bytes) -> list[bytes]:
    values = []
    at = 0
    for length in _pdu_lengths(wire):
        values.append(wire[at + 6 : at + 6 + length])
        at += 6 + length
    return values


def test_an_empty_fragment_that_is_not_the_last_is_not_told() -> None:
    pair = Pair()
    wire = message_bytes(pair.requestor, 1, STORE_RQ, b"ab")
    command, data = _values(wire)
    empty = b"\0\0\0\x02\x01\x00"
    body = command + empty + data
    pair.acceptor.receive(b"\x04\0" + len(body).to_bytes(4, "big") + body)
    assert [type(event) for event in events_of(pair.acceptor)] == [CommandReceived, DataReceived]


def test_responses_may_overtake_nothing_but_may_come_while_data_is_sent() -> None:
    pair = Pair()
    pair.requestor.send_command(1, STORE_RQ, has_data=True)
    pair.to_acceptor()
    response = CStoreRsp(message_id_being_responded_to=7, status=0xA700)
    pair.acceptor.send_command(1, response, has_data=False)
    (event,) = pair.to_requestor()
    assert event == CommandReceived(context_id=1, command=response, has_data=False)


# Release.


def test_a_release_ends_both_ends() -> None:
    pair = Pair()
    pair.requestor.release()
    assert pair.to_acceptor() == [ReleaseRequested()]
    assert pair.acceptor.state is State.AWAITING_LOCAL_RELEASE_RESPONSE
    pair.acceptor.release_response()
    assert pair.to_requestor() == [Released(), Closed()]
    assert pair.requestor.close_expected()
    assert not pair.acceptor.close_expected()  # the requestor closes the connection
    pair.acceptor.receive_eof()
    assert list(events_of(pair.acceptor)) == [Closed()]
    assert pair.acceptor.close_expected()
    assert pair.acceptor.next_event() == Closed()


def test_the_acceptor_may_release_too() -> None:
    pair = Pair()
    pair.acceptor.release()
    assert pair.to_requestor() == [ReleaseRequested()]
    pair.requestor.release_response()
    assert pair.to_acceptor() == [Released(), Closed()]


def test_responses_that_are_due_may_follow_a_release_request() -> None:
    pair = Pair(request_for(VERIFICATION))
    pair.requestor.send_command(1, ECHO_RQ, has_data=False)
    pair.requestor.release()
    assert [type(event) for event in pair.to_acceptor()] == [CommandReceived, ReleaseRequested]
    pair.acceptor.send_command(1, ECHO_RSP, has_data=False)
    assert [type(event) for event in pair.to_requestor()] == [CommandReceived]
    pair.acceptor.release_response()
    assert pair.to_requestor() == [Released(), Closed()]


@pytest.mark.parametrize("answers_at_once", [True, False])
def test_a_release_collision_ends_well(answers_at_once: bool) -> None:
    pair = Pair()
    pair.requestor.release()
    pair.acceptor.release()
    crossing = pair.requestor.outgoing()
    assert pair.to_requestor() == [ReleaseRequested()]
    pair.acceptor.receive(crossing)
    assert list(events_of(pair.acceptor)) == [ReleaseRequested()]
    if answers_at_once:  # the answer waits until the requestor's has come
        pair.acceptor.release_response()
        assert pair.acceptor.outgoing() == b""
    pair.requestor.release_response()
    assert pair.to_acceptor() == [Released()]
    if not answers_at_once:
        pair.acceptor.release_response()
    assert pair.to_requestor() == [Released(), Closed()]
    assert pair.acceptor.state is State.AWAITING_CLOSE


# Rejection.


def test_a_rejection_tells_why() -> None:
    requestor = Association.requestor(request_for(), now=0.0)
    acceptor = Association.acceptor(now=0.0)
    acceptor.receive(requestor.outgoing())
    assert isinstance(acceptor.next_event(), AssociationRequested)
    acceptor.reject(1, 1, 7)
    requestor.receive(acceptor.outgoing())
    assert list(events_of(requestor)) == [
        AssociationRejected(result=1, source=1, reason=7),
        Closed(),
    ]
    assert acceptor.state is State.AWAITING_CLOSE


@pytest.mark.parametrize(
    ("change", "rejection"),
    [
        ((7, b"\x02"), AssociationRejected(result=1, source=2, reason=2)),
        ((80, b"9"), AssociationRejected(result=1, source=1, reason=2)),
    ],
    ids=["protocol version", "application context"],
)
def test_what_the_layer_cannot_speak_it_rejects_itself(
    change: tuple[int, bytes], rejection: AssociationRejected
) -> None:
    requestor = Association.requestor(request_for(), now=0.0)
    acceptor = Association.acceptor(now=0.0)
    data = bytearray(requestor.outgoing())
    data[change[0] : change[0] + 1] = change[1]
    acceptor.receive(bytes(data))
    assert list(events_of(acceptor)) == [rejection]
    requestor.receive(acceptor.outgoing())
    assert list(events_of(requestor)) == [rejection, Closed()]


# Our own mistakes.


def test_what_the_state_does_not_allow_is_our_mistake_and_changes_nothing() -> None:
    acceptor = Association.acceptor(now=0.0)
    for attempt in (
        acceptor.release,
        acceptor.release_response,
        lambda: acceptor.reject(1, 1, 1),
        lambda: acceptor.send_command(1, ECHO_RQ, has_data=False),
        lambda: acceptor.data_headers(1, 10),
    ):
        with pytest.raises(LocalProtocolError):
            attempt()
    assert acceptor.state is State.AWAITING_REQUEST
    assert acceptor.outgoing() == b""


def test_a_data_set_belongs_to_its_command() -> None:
    pair = Pair(request_for(CT, MR))
    with pytest.raises(LocalProtocolError, match="no data set is due"):
        pair.requestor.data_headers(1, 10)
    with pytest.raises(LocalProtocolError, match="not accepted"):
        pair.requestor.send_command(5, STORE_RQ, has_data=True)
    pair.requestor.send_command(1, STORE_RQ, has_data=True)
    with pytest.raises(LocalProtocolError, match="no data set is due"):
        pair.requestor.data_headers(3, 10)
    with pytest.raises(LocalProtocolError, match="not sent"):
        pair.requestor.send_command(1, STORE_RQ, has_data=True)
    with pytest.raises(LocalProtocolError, match="not sent"):
        pair.requestor.release()
    assert list(pair.requestor.data_headers(1, 10))
    pair.requestor.release()


def test_more_bytes_than_there_was_space_are_our_mistake() -> None:
    acceptor = Association.acceptor(now=0.0)
    with pytest.raises(LocalProtocolError):
        acceptor.received(len(acceptor.receive_buffer()) + 1)


def test_an_acceptance_that_cannot_be_written_leaves_the_state() -> None:
    requestor = Association.requestor(request_for(), now=0.0)
    acceptor = Association.acceptor(now=0.0)
    acceptor.receive(requestor.outgoing())
    assert isinstance(acceptor.next_event(), AssociationRequested)
    with pytest.raises(LocalProtocolError):
        acceptor.reject(256, 1, 1)
    assert acceptor.state is State.AWAITING_LOCAL_ANSWER
    acceptor.reject(1, 1, 1)


def test_nothing_is_sent_on_a_context_that_was_not_accepted() -> None:
    pair = Pair(request_for(CT, VERIFICATION), Acceptance(abstract_syntaxes=CT.__eq__))
    assert set(pair.requestor.contexts) == {1}
    with pytest.raises(LocalProtocolError, match="not accepted"):
        pair.requestor.send_command(3, ECHO_RQ, has_data=False)


def test_a_quiet_association_gives_its_memory_back() -> None:
    pair = Pair()
    pair.acceptor.receive(message_bytes(pair.requestor, 1, STORE_RQ, bytes(1 << 20)))
    list(events_of(pair.acceptor))
    grown = pair.acceptor.receive_buffer().obj
    assert isinstance(grown, bytearray)
    with pytest.raises(BufferError):
        grown.clear()  # refused as long as anybody holds a view of it
    pair.acceptor.shrink()
    grown.clear()
    assert len(pair.acceptor.receive_buffer()) == 16384
