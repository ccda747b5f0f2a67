"""Whatever comes, and however it is split: the same events, or an abort, never anything else."""

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from router.dicom.association import Association
from router.dicom.commands import Command
from router.dicom.events import AssociationRequested, Closed, CommandReceived, DataReceived, Event
from router.dicom.negotiation import Acceptance, negotiate
from router.dicom.pdu_writer import write_pdu
from tests.router.dicom import fuzz_acceptor
from tests.router.dicom.material import (
    Pair,
    commands,
    control_pdus,
    data_pdus,
    events_of,
    message_bytes,
    request_for,
)

messages = st.lists(st.tuples(commands, st.binary(max_size=300)), max_size=4)
pieces = st.binary(max_size=60) | (control_pdus | data_pdus).map(write_pdu)


def told(events: list[Event]) -> list[object]:
    """Return events with data sets joined, since how they are cut follows how they came."""
    joined: list[object] = []
    data = b""
    for event in events:
        if not isinstance(event, DataReceived):
            joined.append(event)
            continue
        data += event.data
        if event.last:
            joined.append((event.context_id, data))
            data = b""
    return joined


@given(
    messages=messages,
    max_length=st.integers(8, 300),
    cuts=st.lists(st.integers(1, 50), min_size=1, max_size=20),
)
def test_any_split_of_the_stream_tells_the_same(
    messages: list[tuple[Command, bytes]], max_length: int, cuts: list[int]
) -> None:
    pair = Pair(acceptance=Acceptance(max_length=max_length))
    wire = b"".join(message_bytes(pair.requestor, 1, *message) for message in messages)
    pair.requestor.release()
    wire += pair.requestor.outgoing()
    events: list[Event] = []
    at = turn = 0
    while at < len(wire):
        cut = cuts[turn % len(cuts)]
        pair.acceptor.receive(wire[at : at + cut])
        events.extend(map(_kept, events_of(pair.acceptor)))
        at += cut
        turn += 1
    expected: list[object] = []
    for command, data in messages:
        expected += [CommandReceived(context_id=1, command=command, has_data=True), (1, data)]
    assert told(events)[:-1] == expected
    assert type(events[-1]).__name__ == "ReleaseRequested"


def _kept(event: Event) -> Event:
    """Copy data, which is valid only until more is received."""
    if isinstance(event, DataReceived):
        data = memoryview(bytes(event.data))
        return DataReceived(context_id=event.context_id, data=data, last=event.last)
    return event


def _serve(acceptor: Association, limit: int) -> int:
    """Answer as a careless server would; return how many events there were."""
    count = 0
    while (event := acceptor.next_event()) is not None and not isinstance(event, Closed):
        count += 1
        assert count <= limit, "events without end"
        if isinstance(event, AssociationRequested):
            acceptor.accept(negotiate(event.request, Acceptance()))
        elif type(event).__name__ == "ReleaseRequested":
            acceptor.release_response()
        acceptor.outgoing()
    return count


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    associated=st.booleans(),
    stream=st.lists(pieces, max_size=8).map(b"".join),
    cut=st.integers(1, 100),
)
@example(associated=False, stream=b"", cut=1)
def test_any_bytes_end_in_events_and_nothing_else(
    associated: bool, stream: bytes, cut: int
) -> None:
    acceptor = Pair().acceptor if associated else Association.acceptor(now=0.0)
    for at in range(0, len(stream), cut):
        acceptor.receive(stream[at : at + cut])
        _serve(acceptor, limit=len(stream) + 10)
    acceptor.receive_eof()
    _serve(acceptor, limit=10)
    assert acceptor.close_expected()
    assert isinstance(acceptor.next_event(), Closed)


@given(stream=st.lists(pieces, max_size=4).map(b"".join))
def test_any_answer_to_a_request_ends_in_events_and_nothing_else(stream: bytes) -> None:
    requestor = Association.requestor(request_for(), now=0.0)
    requestor.receive(stream)
    list(events_of(requestor))
    requestor.receive_eof()
    assert isinstance(list(events_of(requestor))[-1], Closed)


@given(
    place=st.integers(0, 10_000),
    value=st.integers(0, 255),
    message=st.tuples(commands, st.binary(max_size=100)),
)
def test_one_wrong_byte_anywhere_is_survived(
    place: int, value: int, message: tuple[Command, bytes]
) -> None:
    pair = Pair()
    request = write_pdu(request_for())
    wire = bytearray(
        request + message_bytes(pair.requestor, 1, *message) + b"\x05\0\0\0\0\x04" + bytes(4)
    )
    wire[place % len(wire)] = value
    acceptor = Association.acceptor(now=0.0)
    acceptor.receive(bytes(wire))
    _serve(acceptor, limit=len(wire))
    acceptor.receive_eof()
    _serve(acceptor, limit=10)
    assert acceptor.close_expected()


def test_every_beginning_of_a_conversation_ends_well_when_the_peer_vanishes() -> None:
    for seed in fuzz_acceptor.seeds():
        for length in range(len(seed) + 1):
            fuzz_acceptor.run(seed[:length])
