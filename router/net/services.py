"""Services beyond storage that a listener offers: who asks, and the shape of who answers.

Stages never know each other: the composition root hands a listener its services by SOP class.
"""

from dataclasses import dataclass
from typing import Protocol

from router.dicom.commands import Command
from router.dicom.events import CommandReceived, DataReceived, Event
from router.dicom.negotiation import NegotiatedContext
from router.net.connection import Connection

LONGEST = 16 << 20
"""Bytes of a data set that is no object: a request about some 100,000 instances."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Who asks: AE titles as they were used, and the source it was admitted as, if any are
    listed."""

    calling_ae_title: str
    called_ae_title: str
    source: str | None


class Service(Protocol):
    """Answers the commands of one SOP class, in the association's own thread."""

    def opened(
        self, connection: Connection, context: NegotiatedContext, visitor: Visitor
    ) -> Event | None:
        """The association was accepted with such a context: say what is to be said unasked. What
        the peer said first or meanwhile, if anything, for the listener to go on with."""

    def __call__(
        self,
        connection: Connection,
        context: NegotiatedContext,
        visitor: Visitor,
        command: Command,
        data: bytes,
    ) -> Event | None:
        """Respond. What else the peer said meanwhile, if anything, for the listener to go on
        with."""


def data_set_of(connection: Connection, event: CommandReceived) -> bytes | None:
    """The data set behind a command, in memory; None after the association ended, or was aborted
    because it grew beyond `LONGEST`."""
    gathered = bytearray()
    more = event.has_data
    while more:
        part = connection.next_event()
        if not isinstance(part, DataReceived):
            return None
        gathered += part.data
        more = not part.last
        if len(gathered) > LONGEST:
            connection.association.abort()
            return None
    return bytes(gathered)
