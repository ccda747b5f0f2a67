"""A Storage SCP made with pynetdicom: PORT AE_TITLE FOLDER.

Every object becomes a file with the bytes that came.
"""

import itertools
import socket
import sys
from pathlib import Path

from pydicom.uid import UID, AllTransferSyntaxes
from pynetdicom import AE, AllStoragePresentationContexts, _config, evt
from pynetdicom.events import EventHandlerType

_numbers = itertools.count(1)


def store(event: evt.Event, folder: Path) -> int:
    number = next(_numbers)
    unfinished = folder.parent / f"{number:06}.part"
    unfinished.write_bytes(event.encoded_dataset())
    unfinished.rename(folder / f"{number:06}.dcm")
    return 0x0000


def tuned(event: evt.Event) -> None:
    """Neither Nagle's algorithm here nor delayed acknowledgement: 40 ms an object otherwise."""
    transport = event.assoc.dul.socket
    if transport is not None and transport.socket is not None:
        transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def main(port: int, ae_title: str, folder: Path) -> None:
    _config.UNRESTRICTED_STORAGE_SERVICE = True
    ae = AE(ae_title)
    ae.maximum_associations = 100
    ae.maximum_pdu_size = 131072
    for context in AllStoragePresentationContexts:
        ae.add_supported_context(UID(str(context.abstract_syntax)), AllTransferSyntaxes)
    handlers: list[EventHandlerType] = [
        (evt.EVT_C_STORE, store, [folder]),
        (evt.EVT_CONN_OPEN, tuned),
        (evt.EVT_DATA_RECV, tuned),
    ]
    ae.start_server(("127.0.0.1", port), block=True, evt_handlers=handlers)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
