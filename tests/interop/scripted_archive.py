"""An archive and a modality made with pynetdicom that commit, report and ask as a script says.

Only what can be made to happen with pynetdicom; a report that crosses our release cannot, since it
answers a release by itself, and is `tests/router/commitment`'s business.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.dimse_messages import N_ACTION_RSP, N_EVENT_REPORT_RSP
from pynetdicom.dimse_primitives import C_STORE, N_ACTION, N_EVENT_REPORT
from pynetdicom.dsutils import encode
from pynetdicom.events import EventHandlerType
from pynetdicom.pdu import P_DATA_TF

from tests.interop.pynetdicom_receive import tuned
from tests.programs import free_port
from tests.pynetdicom_pause import steady

VERIFICATION = "1.2.840.10008.1.1"
PUSH = UID("1.2.840.10008.1.20.1")
WELL_KNOWN = "1.2.840.10008.1.20.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]

Habit = Callable[["Talk"], int]
"""What an archive does when it is asked; the status of its response."""
Roles = tuple[bool, bool]
"""SCU role, SCP role."""


@dataclass(frozen=True)
class Transaction:
    """A request or a report as it came: SOP instance UIDs, and reasons of those that failed."""

    uid: str
    references: Mapping[str, str]
    failures: Mapping[str, int] = field(default_factory=dict)
    event_type: int = 0


def transaction_of(data: Dataset, event_type: int = 0) -> Transaction:
    """What pydicom reads in a data set of storage commitment; it must be complete."""
    kept = data.get("ReferencedSOPSequence") or []
    failed = data.get("FailedSOPSequence") or []
    return Transaction(
        uid=str(data.TransactionUID),
        references={
            str(one.ReferencedSOPInstanceUID): str(one.ReferencedSOPClassUID) for one in kept
        },
        failures={str(one.ReferencedSOPInstanceUID): int(one.FailureReason) for one in failed},
        event_type=event_type,
    )


def request_of(transaction: str, uids: Iterable[str]) -> Dataset:
    """The action information that asks for these CT slices."""
    data = Dataset()
    data.TransactionUID = transaction
    data.ReferencedSOPSequence = [_reference(uid, CT) for uid in uids]
    return data


def report_of(asked: Transaction, failing: dict[str, list[int]]) -> tuple[int, Dataset]:
    """Event type and information; each instance's next failure reason is taken off `failing`."""
    data = Dataset()
    data.TransactionUID = asked.uid
    data.RetrieveAETitle = "ARCHIVE"
    kept, failed = [], []
    for uid, name in asked.references.items():
        item = _reference(uid, name)
        if failing.get(uid):
            item.FailureReason = failing[uid].pop(0)
            failed.append(item)
        else:
            kept.append(item)
    if kept:
        data.ReferencedSOPSequence = kept
    if failed:
        data.FailedSOPSequence = failed
    return (2 if failed else 1), data


def only(asked: Transaction, *uids: str) -> Transaction:
    """As if no more than these had been asked for."""
    return Transaction(uid=asked.uid, references={uid: asked.references[uid] for uid in uids})


def _reference(uid: str, name: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = name
    item.ReferencedSOPInstanceUID = uid
    return item


@dataclass
class Talk:
    """One request, and the association that it came on."""

    archive: ScriptedArchive
    association: Association
    asked: Transaction

    @property
    def uids(self) -> list[str]:
        return list(self.asked.references)

    @property
    def number(self) -> int:
        """Which of the archive's requests it is, from 1 on."""
        return [one.uid for one in self.archive.asked].index(self.asked.uid) + 1

    def report(self, asked: Transaction | None = None) -> None:
        """Report on this association, and keep the status that we were answered."""
        event_type, data = report_of(asked or self.asked, self.archive.failing)
        self.say(event_type, data)

    def say(self, event_type: int, data: Dataset | None) -> None:
        """Report this on this association."""
        self.archive.report_on(self.association, event_type, data)

    def call_back(self, roles: Roles | None = (False, True)) -> None:
        """Report on an association of the archive's own."""
        self.archive.call_back(self.asked, roles)

    def afterwards(self, *acts: Callable[[], None]) -> int:
        """Do these one after the other when the response, with status 0, has left."""
        self.archive.queue_after_response(self.association, acts)
        return 0


class Listening:
    """An AE of pynetdicom's that listens, in threads of the test's process, while entered."""

    def __init__(self, ae_title: str, roles: Roles | None = (True, True)) -> None:
        """`roles`: which it grants to who asks for them; None: it knows nothing of roles."""
        self.ae_title = ae_title
        self.port = free_port()
        self.ae = AE(ae_title)
        self.ae.maximum_associations = 100
        self.ae.dimse_timeout = 10
        self.ae.add_supported_context(VERIFICATION)
        scu, scp = roles or (None, None)
        self.ae.add_supported_context(PUSH, SYNTAXES, scu_role=scu, scp_role=scp)
        self.opened: list[Association] = []

        self._responding: set[Association] = set()

    def handlers(self) -> list[EventHandlerType]:
        return [
            (evt.EVT_CONN_OPEN, tuned),
            (evt.EVT_DATA_RECV, tuned),
            (evt.EVT_DIMSE_SENT, self._message_sent),
            (evt.EVT_PDU_SENT, self._pdu_sent),
        ]

    def _message_sent(self, event: evt.Event) -> None:
        if isinstance(event.message, N_ACTION_RSP | N_EVENT_REPORT_RSP):
            self._responding.add(event.assoc)

    def _pdu_sent(self, event: evt.Event) -> None:
        """A response fits into one PDU: it has left when the next one has."""
        if event.assoc in self._responding and isinstance(event.pdu, P_DATA_TF):
            self._responding.discard(event.assoc)
            self.responded(event.assoc)

    def responded(self, association: Association) -> None:
        """Its response to a request or to a report has left."""

    def __enter__(self) -> Any:
        self._server = self.ae.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=self.handlers()
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.shutdown()
        for association in self.opened:
            transport = association.dul.socket
            if transport is not None and transport.socket is not None:
                transport.socket.close()  # one that ends by an abort may be left open


class ScriptedArchive(Listening):
    """A storage SCP with commitment. `failing`: SOP instance UID to the failure reasons that its
    next reports give; `answers`: how its reports were answered (None: not at all)."""

    def __init__(self, habit: Habit, ae_title: str = "PACS", roles: Roles | None = (True, True)):
        super().__init__(ae_title, roles)
        self.ae.add_supported_context(CT, SYNTAXES)
        self.habit = habit
        self.call_back_port = 0
        self.stored: list[str] = []
        self.asked: list[Transaction] = []
        self.answers: list[int | None] = []
        self.failing: dict[str, list[int]] = {}
        self.granted: list[Roles] = []
        """Roles that we granted to it when it called back."""
        self._after: dict[Association, list[Callable[[], None]]] = {}
        self._threads: list[threading.Thread] = []

    def handlers(self) -> list[EventHandlerType]:
        return [
            *super().handlers(),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_N_ACTION, self._act),
        ]

    def __exit__(self, *_: object) -> None:
        for thread in self._threads:
            thread.join(10)
        super().__exit__()

    def _store(self, event: evt.Event) -> int:
        assert isinstance(event.request, C_STORE)
        self.stored.append(str(event.request.AffectedSOPInstanceUID))
        return 0

    def _act(self, event: evt.Event) -> tuple[int, None]:
        asked = transaction_of(event.action_information)
        assert isinstance(event.request, N_ACTION)
        assert event.request.RequestedSOPInstanceUID == WELL_KNOWN
        self.asked.append(asked)
        return self.habit(Talk(self, event.assoc, asked)), None

    def queue_after_response(
        self, association: Association, acts: Iterable[Callable[[], None]]
    ) -> None:
        self._after[association] = list(acts)

    def responded(self, association: Association) -> None:
        acts = self._after.pop(association, [])
        thread = threading.Thread(target=lambda: [act() for act in acts], daemon=True)
        self._threads.append(thread)
        thread.start()

    def report_on(
        self,
        association: Association,
        event_type: int,
        data: Dataset | None,
        instance: str = WELL_KNOWN,
    ) -> None:
        """Report, and keep the answer."""
        if not association.is_established:
            self.answers.append(None)
            return
        status, _ = steady(association).send_n_event_report(data, event_type, PUSH, instance)
        self.answers.append(status.get("Status"))

    def report_and_abort(self, association: Association, event_type: int, data: Dataset) -> None:
        """Report, and be gone when the answer comes."""
        (context,) = (one for one in association.accepted_contexts if one.abstract_syntax == PUSH)
        request = N_EVENT_REPORT()
        request.MessageID = 1
        request.AffectedSOPClassUID = PUSH
        request.AffectedSOPInstanceUID = UID(WELL_KNOWN)
        request.EventTypeID = event_type
        encoded = encode(data, context.transfer_syntax[0].is_implicit_VR, True)
        request.EventInformation = BytesIO(encoded or b"")
        assert context.context_id is not None
        association.dimse.send_msg(request, context.context_id)
        association.abort()

    def call_back(self, asked: Transaction, roles: Roles | None = (False, True)) -> None:
        """Report on an association of its own that asks for these roles (None: says nothing)."""
        ae = AE(self.ae_title)
        ae.dimse_timeout = 10
        ae.add_requested_context(PUSH, SYNTAXES)
        asked_for = [] if roles is None else [build_role(PUSH, *roles)]
        association = ae.associate(
            "127.0.0.1",
            self.call_back_port,
            ae_title="ROUTER",
            ext_neg=asked_for,  # type: ignore[arg-type]
            evt_handlers=[(evt.EVT_CONN_OPEN, tuned)],
        )
        self.opened.append(association)
        assert association.is_established
        (context,) = association.accepted_contexts
        self.granted.append((bool(context.as_scu), bool(context.as_scp)))
        self.report_on(association, *report_of(asked, self.failing))
        association.release()


class ScriptedModality(Listening):
    """Asks for commitment, and takes reports, on the association it asks on and at its port.

    `heard`: reports in the order in which they came; `here`: those that came on its own
    association. `answering`: statuses of its next answers to reports, Success after those."""

    def __init__(self, ae_title: str = "CT01", roles: Roles | None = (True, True)) -> None:
        super().__init__(ae_title, roles)
        self.heard: list[Transaction] = []
        self.here: list[Transaction] = []
        self.answering: list[int] = []
        self.answers = 0
        """How many reports it has answered: before that it must not release."""

    def handlers(self) -> list[EventHandlerType]:
        return [*super().handlers(), (evt.EVT_N_EVENT_REPORT, self._told)]

    def responded(self, association: Association) -> None:
        self.answers += 1

    def _told(self, event: evt.Event) -> tuple[int, None]:
        assert isinstance(event.request, N_EVENT_REPORT)
        report = transaction_of(event.event_information, event.request.EventTypeID or 0)
        self.heard.append(report)
        if event.assoc.is_requestor:
            self.here.append(report)
        return (self.answering.pop(0) if self.answering else 0), None

    def associate(self, port: int, roles: Roles | None = (True, False)) -> Association:
        """With the router, for commitment and CT slices."""
        ae = AE(self.ae_title)
        ae.dimse_timeout = 10
        ae.add_requested_context(PUSH, SYNTAXES)
        ae.add_requested_context(CT, SYNTAXES[:1])
        association = ae.associate(
            "127.0.0.1",
            port,
            ae_title="ROUTER",
            ext_neg=[] if roles is None else [build_role(PUSH, *roles)],
            evt_handlers=self.handlers(),
        )
        self.opened.append(association)
        assert association.is_established
        return steady(association)

    def ask(self, port: int, uids: Iterable[str], transaction: str | None = None) -> str:
        """Ask for these CT slices and hang up; the transaction UID."""
        named = transaction or new_transaction()
        association = self.associate(port)
        assert say(association, request_of(named, uids)) == 0
        association.release()
        return named


def new_transaction() -> str:
    return f"2.25.{uuid.uuid4().int}"


def say(
    association: Association, data: Dataset | None, *, action: int = 1, instance: str = WELL_KNOWN
) -> int:
    """Ask this; the status that it is answered."""
    status, _ = association.send_n_action(data, action, PUSH, instance)
    return int(status.Status)
