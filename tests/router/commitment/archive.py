"""An archive that is asked to commit and answers as a script says: one function for each habit
that archives were seen to have."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from router.commitment.calling import Peer, call
from router.commitment.data_sets import (
    TRANSFER_SYNTAXES,
    Transaction,
    encode_report,
    read_transaction,
)
from router.config import DestinationTimeouts
from router.dicom.commands import (
    CEchoRq,
    CEchoRsp,
    CStoreRq,
    CStoreRsp,
    NActionRq,
    NActionRsp,
    NEventReportRq,
    NEventReportRsp,
)
from router.dicom.events import (
    AssociationRequested,
    Closed,
    CommandReceived,
    DataReceived,
    ReleaseRequested,
)
from router.dicom.negotiation import Acceptance, negotiate
from router.dicom.uids import (
    STORAGE_COMMITMENT_PUSH_MODEL,
    STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
)
from router.net.acceptor import Acceptor
from router.net.connection import Connection

PUSH = STORAGE_COMMITMENT_PUSH_MODEL
Habit = Callable[["Talk"], None]


@dataclass
class Talk:
    """One N-ACTION and the association it came on."""

    archive: Archive
    connection: Connection
    context_id: int
    syntax: str
    request: NActionRq
    asked: Transaction

    def respond(self, status: int = 0) -> None:
        response = NActionRsp(
            message_id_being_responded_to=self.request.message_id,
            affected_sop_class_uid=PUSH,
            affected_sop_instance_uid=STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
            action_type_id=1,
            status=status,
        )
        self.connection.send_command(self.context_id, response)

    def report(self, **changes: object) -> int:
        """Report on this association; the status it was answered with."""
        self.say(**changes)
        return self._answered()

    def say(self, **changes: object) -> None:
        """Report, and do not wait for the answer."""
        event_type, data = self.archive.report_on(self.asked, self.syntax, **changes)
        request = NEventReportRq(
            message_id=7,
            affected_sop_class_uid=PUSH,
            affected_sop_instance_uid=STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
            event_type_id=event_type,
        )
        self.connection.send_command(self.context_id, request, data)

    def _answered(self) -> int:
        while True:
            event = self.connection.next_event(limit=10)
            if isinstance(event, ReleaseRequested):
                self.connection.association.release_response()
                return -1  # heard, perhaps, and not answered
            if isinstance(event, Closed):
                return -1
            assert isinstance(event, CommandReceived), event
            if not isinstance(event.command, NActionRq):
                break
            self.archive.crossed += 1
            self.archive.deferred.append((event, _data_of(self.connection, event)))
        assert isinstance(event.command, NEventReportRsp)
        self.archive.statuses.append(event.command.status)
        return event.command.status

    def call_back(self, **changes: object) -> int:
        """Report on an association that the archive opens."""
        return self.archive.call_back(self.asked, **changes)


def on_the_same_association(talk: Talk) -> None:
    talk.respond()
    talk.report()


def before_the_response(talk: Talk) -> None:
    talk.report()
    talk.respond()


def on_its_own_association(talk: Talk) -> None:
    talk.respond()
    threading.Thread(target=talk.call_back).start()


def on_its_own_before_the_response(talk: Talk) -> None:
    talk.call_back()
    talk.respond()


def never(talk: Talk) -> None:
    talk.respond()


@dataclass
class Archive:
    """A storage SCP with commitment. `failing`: SOP instance UID to failure reason, taken off as
    it was reported once."""

    habit: Habit = on_the_same_association
    call_back_port: int = 0
    failing: dict[str, int] = field(default_factory=dict)
    store_status: int = 0

    def __post_init__(self) -> None:
        self.stored: list[str] = []
        self.asked: list[Transaction] = []
        self.statuses: list[int] = []
        self.heard: list[tuple[int, Transaction]] = []
        self.heard_at: list[float] = []
        self.promised: dict[str, float] = {}
        """When it first said of a SOP instance that it keeps it."""
        self.crossed = 0
        """Requests that came where the answer to a report of ours should."""
        self.answer_with = 0
        self.before_answer: Callable[[], None] = lambda: None
        self.greeting: Callable[[Connection], object] = lambda _: None
        self.deferred: list[tuple[CommandReceived, bytes]] = []

    def __enter__(self) -> Archive:
        self._acceptor = Acceptor(host="127.0.0.1", port=0, serve=self._serve)
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._acceptor.close()

    @property
    def port(self) -> int:
        return self._acceptor.port

    def report_on(
        self,
        asked: Transaction,
        syntax: str,
        *,
        only: object = None,
        event_type: object = None,
        uid: object = None,
        extra: object = None,
    ) -> tuple[int, bytes]:
        """Event type and data set of a report."""
        chosen = {one: name for one, name in asked.references.items() if only in (None, one)}
        if isinstance(extra, str):
            chosen[extra] = "1.2.840.10008.5.1.4.1.1.2"
        failed = [
            (one, chosen.pop(one), self.failing.pop(one))
            for one in list(chosen)
            if one in self.failing
        ]
        for one in chosen:
            self.promised.setdefault(one, time.monotonic())
        kind = event_type if isinstance(event_type, int) else 2 if failed else 1
        named = uid if isinstance(uid, str) else asked.uid
        return kind, encode_report(named, chosen.items(), failed, syntax)

    def router_to_call(self) -> Peer:
        """Where the archive reports when it calls."""
        return Peer(
            host="127.0.0.1",
            port=self.call_back_port,
            called_ae_title="ROUTER",
            calling_ae_title="PACS",
            timeouts=DestinationTimeouts(),
        )

    def call_back(self, asked: Transaction, **changes: object) -> int:
        with call(self.router_to_call(), PUSH, TRANSFER_SYNTAXES, scp_role=True) as association:
            context = association.context_for(PUSH)
            assert context is not None
            assert context.scp_role
            kind, data = self.report_on(asked, context.transfer_syntax, **changes)
            response = association.report(
                context.context_id,
                sop_class_uid=PUSH,
                sop_instance_uid=STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
                event_type_id=kind,
                data=data,
            )
        self.statuses.append(response.status)
        return response.status

    def _serve(self, connection: Connection) -> None:
        event = connection.next_event()
        if not isinstance(event, AssociationRequested):
            return
        acceptance = Acceptance(abstract_syntaxes=lambda _: True, roles=lambda _: (True, True))
        connection.association.accept(negotiate(event.request, acceptance))
        self.greeting(connection)
        while True:
            match connection.next_event():
                case CommandReceived() as event:
                    data = _data_of(connection, event)
                    self._answer(connection, event, data)
                    while self.deferred:
                        self._answer(connection, *self.deferred.pop(0))
                case ReleaseRequested():
                    connection.association.release_response()
                case _:
                    return

    def _answer(self, connection: Connection, event: CommandReceived, data: bytes) -> None:
        command = event.command
        syntax = connection.association.contexts[event.context_id].transfer_syntax
        match command:
            case CStoreRq():
                self.stored.append(command.affected_sop_instance_uid)
                response = CStoreRsp(
                    message_id_being_responded_to=command.message_id,
                    affected_sop_class_uid=command.affected_sop_class_uid,
                    affected_sop_instance_uid=command.affected_sop_instance_uid,
                    status=self.store_status,
                )
                connection.send_command(event.context_id, response)
            case CEchoRq():
                echo = CEchoRsp(
                    message_id_being_responded_to=command.message_id,
                    affected_sop_class_uid=command.affected_sop_class_uid,
                    status=0,
                )
                connection.send_command(event.context_id, echo)
            case NActionRq():
                asked = read_transaction(data, syntax)
                self.asked.append(asked)
                self.habit(Talk(self, connection, event.context_id, syntax, command, asked))
            case NEventReportRsp():  # to what was said without waiting
                self.statuses.append(command.status)
            case NEventReportRq():  # we are the modality
                self.heard_at.append(time.monotonic())
                self.heard.append((command.event_type_id, read_transaction(data, syntax)))
                self.before_answer()
                answer = NEventReportRsp(
                    message_id_being_responded_to=command.message_id,
                    affected_sop_class_uid=PUSH,
                    affected_sop_instance_uid=command.affected_sop_instance_uid,
                    event_type_id=command.event_type_id,
                    status=self.answer_with,
                )
                connection.send_command(event.context_id, answer)
            case _:
                raise AssertionError(command)


def _data_of(connection: Connection, event: CommandReceived) -> bytes:
    data, more = b"", event.has_data
    while more:
        part = connection.next_event()
        assert isinstance(part, DataReceived)
        data, more = data + bytes(part.data), not part.last
    return data
