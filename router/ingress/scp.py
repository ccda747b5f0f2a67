"""The Storage and Verification SCP: serves one association from its request to its end.

Runs in the association's own thread. C-STORE is answered Success only when the object is durable.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from router import metrics
from router.config import Listener, Source
from router.dicom.commands import CEchoRq, CEchoRsp, CStoreRq
from router.dicom.events import (
    AssociationRequested,
    CommandReceived,
    DataReceived,
    Event,
    ReleaseRequested,
)
from router.dicom.negotiation import negotiate
from router.dicom.pdus import AAssociateRq
from router.ingress.acceptance import acceptance_for
from router.ingress.admission import TOO_MANY, Admitted, Caller, Refused, admit
from router.ingress.guests import Guests, OwnGuests
from router.ingress.reception import Provenance
from router.ingress.storing import ObjectSink, Storing
from router.logs import get_logger
from router.net.connection import Connection
from router.net.services import Service, Visitor, data_set_of
from router.store import new_object_id

SUCCESS = 0x0000

_NAMED = (1, 2)
"""Types of user identity: a name, a name and a pass code."""
_USER_LENGTH = 256

log = get_logger("ingress")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Guest:
    """An association that was admitted."""

    association_id: str
    counted_as: str
    source: str | None


def user_of(request: AAssociateRq) -> str | None:
    """The name that the sender gives itself, with or without a pass code (PS3.7 D.3.3.7); None
    where it gives none, or a ticket or token instead. Nothing proves the name."""
    identity = request.user_information.user_identity
    if identity is None or identity.identity_type not in _NAMED:
        return None
    name = identity.primary.decode("utf-8", "replace").strip(" \0")
    return name[:_USER_LENGTH] if name.isprintable() and name else None


class StorageScp:
    """One listener's service. `serve` is called by many threads at once."""

    def __init__(
        self,
        *,
        listener: Listener,
        sources: Callable[[], Sequence[Source]],
        sink: ObjectSink,
        guests: Guests | None = None,
        services: Mapping[str, Service] | None = None,
    ) -> None:
        """`sources` gives those that may send now; it is asked for each association. `guests`
        counts associations for the limits; by default those of this process. `services` beyond
        storage, by SOP class UID."""
        self._listener = listener
        self._sources = sources
        self._sink = sink
        self._services = services or {}
        self._acceptance = acceptance_for(listener, self._services)
        self._guests = guests or OwnGuests()

    def serve(self, connection: Connection) -> None:
        """Answer everything the peer says until the association ends."""
        event = connection.next_event()
        if not isinstance(event, AssociationRequested):
            metrics.ASSOCIATIONS.labels(self._listener.name, "no_request").inc()
            return
        guest = self._admit(connection, event.request)
        if guest is None:
            return
        gauge = metrics.ASSOCIATIONS_OPEN.labels(self._listener.name)
        gauge.inc()
        try:
            connection.association.accept(negotiate(event.request, self._acceptance))
            visitor = Visitor(
                calling_ae_title=event.request.calling_ae_title.strip(),
                called_ae_title=event.request.called_ae_title.strip(),
                source=guest.source,
            )
            self._converse(connection, self._storing(connection, event.request, guest), visitor)
        finally:
            gauge.dec()
            self._guests.leave(guest.counted_as)

    def _storing(self, connection: Connection, request: AAssociateRq, guest: _Guest) -> Storing:
        provenance = Provenance(
            listener=self._listener.name,
            association_id=guest.association_id,
            peer_address=connection.peer.host,
            calling_ae_title=request.calling_ae_title.strip(),
            called_ae_title=request.called_ae_title.strip(),
            tls_subject=connection.peer.tls_subject,
            user=user_of(request),
        )
        return Storing(connection, self._sink, provenance)

    def _admit(self, connection: Connection, request: AAssociateRq) -> _Guest | None:
        """Count the association in, or reject it."""
        caller = Caller(
            calling_ae_title=request.calling_ae_title.strip(),
            called_ae_title=request.called_ae_title.strip(),
            address=connection.peer.host,
            tls_subject=connection.peer.tls_subject,
        )
        decision, counted_as = self._decide(caller)
        association_id = new_object_id()
        if isinstance(decision, Refused):
            metrics.ASSOCIATIONS.labels(self._listener.name, decision.slug).inc()
            log.warning(
                "association rejected",
                listener=self._listener.name,
                reason=decision.slug,
                calling_ae_title=caller.calling_ae_title,
                called_ae_title=caller.called_ae_title,
                address=caller.address,
            )
            connection.association.reject(decision.result, decision.source, decision.reason)
            connection.next_event()  # writes the answer; the peer closes, or ARTIM runs out
            return None
        metrics.ASSOCIATIONS.labels(self._listener.name, "accepted").inc()
        if decision.source is not None:
            metrics.SOURCE_ASSOCIATIONS.labels(decision.source).inc()
        return _Guest(association_id=association_id, counted_as=counted_as, source=decision.source)

    def _decide(self, caller: Caller) -> tuple[Admitted | Refused, str]:
        """The decision, and the name it is counted under."""
        decision: Admitted | Refused = TOO_MANY
        counted_as = ""

        def decide(open_now: Counter[str]) -> str | None:
            nonlocal decision, counted_as
            decision = admit(
                caller,
                self._listener,
                self._sources(),
                open_here=open_now.total(),
                open_by_source=open_now,
            )
            if isinstance(decision, Refused):
                return None
            counted_as = decision.source or caller.address
            return counted_as

        self._guests.enter(decide)
        return decision, counted_as

    def _greet(self, connection: Connection, visitor: Visitor) -> Event | None:
        """Let services say what they have to say unasked; the peer's first word, if it came."""
        if self._services:
            for context in connection.association.contexts.values():
                service = self._services.get(context.abstract_syntax)
                if service is not None:
                    with connection.aside():
                        return service.opened(connection, context, visitor)
        return None

    def _converse(self, connection: Connection, storing: Storing, visitor: Visitor) -> None:
        early = self._greet(connection, visitor)
        while True:
            event, early = early or connection.next_event(), None
            match event:
                case CommandReceived(command=CStoreRq() as command):
                    if not storing.receive(event.context_id, command, has_data=event.has_data):
                        return
                case CommandReceived(command=CEchoRq() as command):
                    response = CEchoRsp(
                        message_id_being_responded_to=command.message_id,
                        affected_sop_class_uid=command.affected_sop_class_uid,
                        status=SUCCESS,
                    )
                    connection.send_command(event.context_id, response)
                case CommandReceived() if service := self._service_for(connection, event):
                    context = connection.association.contexts[event.context_id]
                    data = data_set_of(connection, event)
                    if data is None:
                        return
                    with connection.aside():
                        early = service(connection, context, visitor, event.command, data)
                case CommandReceived() | DataReceived():
                    # Nothing else was negotiated: the peer broke the protocol.
                    log.warning("unexpected message", association_id=storing.association_id)
                    connection.association.abort()
                case ReleaseRequested():
                    connection.association.release_response()
                case _:
                    return

    def _service_for(self, connection: Connection, event: CommandReceived) -> Service | None:
        """Who serves the context that a message came on, if that is not storage."""
        context = connection.association.contexts[event.context_id]
        return self._services.get(context.abstract_syntax)
