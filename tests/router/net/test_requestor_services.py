"""Services beyond storage on an association of ours: actions, reports, queries."""

import threading
from collections.abc import Callable

import pytest

from router.dicom.commands import (
    CFindRq,
    CFindRsp,
    Command,
    NActionRq,
    NActionRsp,
    NEventReportRq,
    NEventReportRsp,
)
from router.dicom.events import (
    AssociationRequested,
    CommandReceived,
    DataReceived,
    ReleaseRequested,
)
from router.dicom.negotiation import Acceptance, negotiate
from router.dicom.pdus import AAssociateRq, ProposedContext, RoleSelection, UserInformation
from router.dicom.uids import (
    IMPLEMENTATION_CLASS_UID,
    IMPLICIT_VR_LITTLE_ENDIAN,
    STORAGE_COMMITMENT_PUSH_MODEL,
    STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
)
from router.net import requestor
from router.net.connection import Connection
from router.net.errors import ProtocolViolation
from router.net.requestor import OutgoingAssociation, Serve, Timeouts, open_association
from tests.router.net.material import Listen

COMMITMENT = STORAGE_COMMITMENT_PUSH_MODEL
INSTANCE = STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
BOTH = RoleSelection(sop_class_uid=COMMITMENT, scu_role=True, scp_role=True)

Answer = Callable[[Connection, int, Command, bytes], None]


def peer(answer: Answer) -> Callable[[Connection], None]:
    """Accepts everything in every role, and has `answer` deal with each whole message."""

    def serve(connection: Connection) -> None:
        event = connection.next_event()
        assert isinstance(event, AssociationRequested)
        acceptance = Acceptance(abstract_syntaxes=lambda _: True, roles=lambda _: (True, True))
        connection.association.accept(negotiate(event.request, acceptance))
        while True:
            match connection.next_event():
                case CommandReceived() as event:
                    answer(connection, event.context_id, event.command, data_of(connection, event))
                case ReleaseRequested():
                    connection.association.release_response()
                case _:
                    return

    return serve


def data_of(connection: Connection, event: CommandReceived) -> bytes:
    data, more = b"", event.has_data
    while more:
        part = connection.next_event()
        assert isinstance(part, DataReceived)
        data, more = data + bytes(part.data), not part.last
    return data


def report(connection: Connection, context_id: int, data: bytes) -> None:
    request = NEventReportRq(
        message_id=1,
        affected_sop_class_uid=COMMITMENT,
        affected_sop_instance_uid=INSTANCE,
        event_type_id=1,
    )
    connection.send_command(context_id, request, data)


def accept_action(connection: Connection, context_id: int, command: NActionRq) -> None:
    response = NActionRsp(message_id_being_responded_to=command.message_id, status=0)
    connection.send_command(context_id, response)


class Reports:
    """What the peer reported, answered Success."""

    def __init__(self) -> None:
        self.data: list[bytes] = []
        self.came = threading.Event()

    def __call__(self, _context_id: int, command: Command, data: bytes) -> Command:
        assert isinstance(command, NEventReportRq)
        self.data.append(data)
        self.came.set()
        return NEventReportRsp(message_id_being_responded_to=command.message_id, status=0)


def connect(
    port: int, serve: Serve | None, timeouts: Timeouts | None = None
) -> OutgoingAssociation:
    request = AAssociateRq(
        called_ae_title="PEER",
        calling_ae_title="ROUTER",
        presentation_contexts=tuple(
            ProposedContext(
                context_id=number,
                abstract_syntax=syntax,
                transfer_syntaxes=(IMPLICIT_VR_LITTLE_ENDIAN,),
            )
            for number, syntax in ((1, COMMITMENT), (3, STUDY_ROOT_FIND))
        ),
        user_information=UserInformation(
            max_length=0,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
            role_selections=(BOTH,),
        ),
    )
    return open_association("127.0.0.1", port, request, serve=serve, timeouts=timeouts)


def act(association: OutgoingAssociation, data: bytes = b"asked") -> NActionRsp:
    return association.action(
        1, sop_class_uid=COMMITMENT, sop_instance_uid=INSTANCE, action_type_id=1, data=data
    )


def test_a_report_before_the_response_is_served(listen: Listen):
    def answer(connection: Connection, context_id: int, command: Command, data: bytes) -> None:
        if isinstance(command, NActionRq):
            report(connection, context_id, b"report on " + data)
            accept_action(connection, context_id, command)

    reports = Reports()
    with connect(listen(peer(answer)).port, reports) as association:
        assert act(association).status == 0
    assert reports.data == [b"report on asked\0"]  # padded to even length


def test_a_report_after_the_response_is_listened_for(listen: Listen):
    def answer(connection: Connection, context_id: int, command: Command, data: bytes) -> None:
        if isinstance(command, NActionRq):
            accept_action(connection, context_id, command)
            report(connection, context_id, data)

    reports = Reports()
    with connect(listen(peer(answer)).port, reports) as association:
        act(association, b"asks")
        while not reports.came.is_set():
            assert association.listen(0.1)
    assert reports.data == [b"asks"]


def test_who_listens_in_vain_still_has_the_association(listen: Listen):
    def answer(connection: Connection, context_id: int, command: Command, _: bytes) -> None:
        if isinstance(command, NActionRq):
            accept_action(connection, context_id, command)

    with connect(listen(peer(answer)).port, Reports()) as association:
        assert association.listen(0.05)
        assert act(association).status == 0


def test_a_peer_that_goes_is_noticed_while_listening(listen: Listen):
    def answer(connection: Connection, _context: int, _command: Command, _data: bytes) -> None:
        connection.association.abort()

    association = connect(listen(peer(answer)).port, Reports())
    association._send(1, NActionRq(
        message_id=9,
        requested_sop_class_uid=COMMITMENT,
        requested_sop_instance_uid=INSTANCE,
        action_type_id=1,
    ), b"x ")  # fmt: skip
    assert not association.listen(5.0)


def test_without_a_servant_a_request_is_a_violation(listen: Listen):
    def answer(connection: Connection, context_id: int, _command: Command, data: bytes) -> None:
        report(connection, context_id, data)

    association = connect(listen(peer(answer)).port, None)
    with pytest.raises(ProtocolViolation, match="NEventReportRq instead of NActionRsp"):
        act(association)


def test_a_report_longer_than_memory_allows_is_refused(
    listen: Listen, monkeypatch: pytest.MonkeyPatch
):
    def answer(connection: Connection, context_id: int, _command: Command, data: bytes) -> None:
        report(connection, context_id, data)

    monkeypatch.setattr(requestor, "LONGEST_IDENTIFIER", 1000)
    association = connect(listen(peer(answer)).port, Reports())
    with pytest.raises(ProtocolViolation, match="too long"):
        act(association, bytes(2000))


def test_our_own_report_is_answered(listen: Listen):
    def answer(connection: Connection, context_id: int, command: Command, _: bytes) -> None:
        assert isinstance(command, NEventReportRq)
        response = NEventReportRsp(
            message_id_being_responded_to=command.message_id, status=0x0110, event_type_id=2
        )
        connection.send_command(context_id, response)

    with connect(listen(peer(answer)).port, None) as association:
        response = association.report(
            1, sop_class_uid=COMMITMENT, sop_instance_uid=INSTANCE, event_type_id=2, data=b"ab"
        )
    assert (response.status, response.event_type_id) == (0x0110, 2)


def test_a_query_gives_every_match_and_the_final_status(listen: Listen):
    def answer(connection: Connection, context_id: int, command: Command, data: bytes) -> None:
        assert isinstance(command, CFindRq)
        for status, found in ((0xFF00, data + b"1 "), (0xFF01, data + b"2 "), (0x0000, None)):
            response = CFindRsp(
                message_id_being_responded_to=command.message_id,
                affected_sop_class_uid=command.affected_sop_class_uid,
                status=status,
            )
            connection.send_command(context_id, response, found)

    with connect(listen(peer(answer)).port, None) as association:
        found = [
            (response.status, data)
            for response, data in association.find(
                3, sop_class_uid=STUDY_ROOT_FIND, identifier=b"id"
            )
        ]
    assert found == [(0xFF00, b"id1 "), (0xFF01, b"id2 "), (0x0000, b"")]
