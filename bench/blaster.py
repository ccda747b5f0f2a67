"""A sender that is faster than any receiver: its messages are encoded before the clock starts.

`python -m bench.blaster PORT CALLED COUNT ASSOCIATIONS KIND RUN` prints one JSON object.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time

from bench.corpus import MARK, instance_uid, template
from router.dicom.association import Association
from router.dicom.commands import CStoreRq, CStoreRsp
from router.dicom.events import AssociationAccepted, CommandReceived
from router.dicom.pdus import AAssociateRq, ProposedContext, UserInformation
from router.dicom.uids import IMPLEMENTATION_CLASS_UID

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


class Stream:
    """One association: the message as bytes, its SOP Instance UID written over in place."""

    def __init__(self, port: int, called: str, data: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.association = Association.requestor(_request(called), now=0.0)
        self.socket.sendall(self.association.outgoing())
        if not isinstance(self._event(), AssociationAccepted):
            raise SystemExit("the peer did not accept the association")
        self.message = self._encode(data)
        mark = MARK.encode()
        self.places = []
        at = self.message.find(mark)
        while at >= 0:
            self.places.append(at)
            at = self.message.find(mark, at + 1)

    def _encode(self, data: bytes) -> bytearray:
        command = CStoreRq(
            message_id=1, affected_sop_class_uid=CT, affected_sop_instance_uid=MARK, priority=0
        )
        self.association.send_command(1, command, has_data=True)
        message = bytearray(self.association.outgoing())
        at = 0
        for header, length in self.association.data_headers(1, len(data)):
            message += header
            message += data[at : at + length]
            at += length
        return message

    def send(self, uid: str) -> int:
        """Send one copy and wait for its status."""
        encoded = uid.encode()
        for place in self.places:
            self.message[place : place + len(encoded)] = encoded
        self.socket.sendall(self.message)
        event = self._event()
        if not isinstance(event, CommandReceived) or not isinstance(event.command, CStoreRsp):
            raise SystemExit(f"no response, but {type(event).__name__}")
        return event.command.status

    def release(self) -> None:
        """End in agreement."""
        self.association.release()
        self.socket.sendall(self.association.outgoing())
        self._event()
        self.socket.close()

    def _event(self) -> object:
        while (event := self.association.next_event()) is None:
            view = self.association.receive_buffer()
            count = self.socket.recv_into(view)
            if count:
                self.association.received(count)
            else:
                self.association.receive_eof()
            if hasattr(socket, "TCP_QUICKACK"):
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return event


def _request(called: str) -> AAssociateRq:
    context = ProposedContext(context_id=1, abstract_syntax=CT, transfer_syntaxes=(EXPLICIT,))
    return AAssociateRq(
        called_ae_title=called,
        calling_ae_title="BLASTER",
        presentation_contexts=(context,),
        user_information=UserInformation(
            max_length=1 << 20, implementation_class_uid=IMPLEMENTATION_CLASS_UID
        ),
    )


def main() -> None:
    """Send, and say how it went."""
    port, called, count, associations, kind, run = sys.argv[1:]
    total, lines = int(count), int(associations)
    data = template(kind)
    streams = [Stream(int(port), called, data) for _ in range(lines)]
    statuses: dict[int, int] = {}
    lock = threading.Lock()

    def work(line: int) -> None:
        for number in range(line, total, lines):
            status = streams[line].send(instance_uid(int(run), number))
            with lock:
                statuses[status] = statuses.get(status, 0) + 1

    threads = [threading.Thread(target=work, args=(line,)) for line in range(lines)]
    cpu, began = time.process_time(), time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - began
    for stream in streams:
        stream.release()
    print(
        json.dumps(
            {
                "seconds": took,
                "began": began,
                "cpu": time.process_time() - cpu,
                "statuses": {f"{status:04X}": n for status, n in statuses.items()},
            }
        )
    )


if __name__ == "__main__":
    main()
