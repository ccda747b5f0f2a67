"""What the end of an association means to who asked for it."""

from router.dicom.events import Aborted, Closed, Event, ReleaseRequested
from router.dicom.events import AssociationRejected as RejectReceived
from router.net.errors import (
    AssociationAborted,
    AssociationRejected,
    AssociationReleased,
    ConnectionLost,
    NetError,
    ProtocolViolation,
)


def meaning_of(event: Event, failure: NetError | None) -> NetError:
    """The error for an event that was not expected; `failure` is what the connection knows."""
    match event:
        case RejectReceived():
            return AssociationRejected(event.result, event.source, event.reason)
        case Aborted(by_peer=True):
            return AssociationAborted(event.source, event.reason)
        case Aborted(error=error) if error is not None:
            return ProtocolViolation(str(error))
        case ReleaseRequested():
            return AssociationReleased()
        case Aborted() | Closed():
            return failure or ConnectionLost()
        case _:
            return ProtocolViolation(f"unexpected {type(event).__name__}")
