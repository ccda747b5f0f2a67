"""What tests of the shells are made of."""

import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from router.dicom.commands import CStoreRq
from router.dicom.negotiation import NegotiatedContext
from router.dicom.pdus import AAssociateRq, ProposedContext, UserInformation
from router.dicom.uids import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    VERIFICATION,
)
from router.net.acceptor import Acceptor
from router.net.connection import Connection
from router.net.peer import Peer

CT = "1.2.840.10008.5.1.4.1.1.2"
NOBODY = Peer(host="127.0.0.1", port=0)


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection; a socket pair has no TCP options."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        one = socket.create_connection(listening.getsockname())
        other, _ = listening.accept()
    return one, other


def a_request(*pairs: tuple[str, str], max_length: int = 1024 * 1024) -> AAssociateRq:
    pairs = pairs or ((CT, EXPLICIT_VR_LITTLE_ENDIAN), (VERIFICATION, IMPLICIT_VR_LITTLE_ENDIAN))
    return AAssociateRq(
        called_ae_title="CALLED",
        calling_ae_title="CALLING",
        presentation_contexts=tuple(
            ProposedContext(
                context_id=2 * index + 1,
                abstract_syntax=abstract_syntax,
                transfer_syntaxes=(transfer_syntax,),
            )
            for index, (abstract_syntax, transfer_syntax) in enumerate(pairs)
        ),
        user_information=UserInformation(max_length=max_length),
    )


@dataclass
class Received:
    """An object as a listener got it."""

    command: CStoreRq
    context: NegotiatedContext
    peer: Peer
    data: bytearray = field(default_factory=bytearray)
    complete: bool = False


class Shelf:
    """Keeps what it receives in memory, and answers with `status` (None: aborts)."""

    def __init__(self) -> None:
        self.objects: list[Received] = []
        self.status: int | None = 0

    def receive(
        self, connection: Connection, context: NegotiatedContext, command: CStoreRq
    ) -> "_OnShelf":
        received = Received(command=command, context=context, peer=connection.peer)
        self.objects.append(received)
        return _OnShelf(received, self)

    @property
    def data(self) -> list[bytes]:
        return [bytes(received.data) for received in self.objects if received.complete]


class _OnShelf:
    def __init__(self, received: Received, shelf: Shelf) -> None:
        self._received = received
        self._shelf = shelf

    def write(self, fragment: memoryview) -> None:
        self._received.data += fragment

    def finish(self) -> int | None:
        self._received.complete = True
        return self._shelf.status

    def discard(self) -> None:
        """What is not complete is not counted."""


Listen = Callable[..., Acceptor]


@dataclass
class Ends:
    """An accepting connection, and the bare socket of a peer that the test plays."""

    connection: Connection
    socket: socket.socket
