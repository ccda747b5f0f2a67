"""A receiver that only counts: what a sender, or a router's way out, can do at best.

`python -m bench.null_receiver PORT MAX_PDU [DELAY]` answers each object after DELAY seconds, and
prints a line of JSON for every 20 ms in which something arrived: how many so far, and when
(monotonic seconds).
"""

from __future__ import annotations

import json
import sys
import threading
import time

from router.dicom.commands import CEchoRq, CEchoRsp, CStoreRq, CStoreRsp
from router.dicom.events import (
    AssociationRequested,
    CommandReceived,
    DataReceived,
    ReleaseRequested,
)
from router.dicom.negotiation import Acceptance, negotiate
from router.net.acceptor import Acceptor
from router.net.connection import Connection


class Counter:
    """Serves associations and counts objects."""

    def __init__(self, max_length: int, delay: float = 0.0) -> None:
        self.count = 0
        self.delay = delay
        self.lock = threading.Lock()
        self.acceptance = Acceptance(max_length=max_length)

    def serve(self, connection: Connection) -> None:
        """Take everything, keep nothing."""
        event = connection.next_event()
        if not isinstance(event, AssociationRequested):
            return
        connection.association.accept(negotiate(event.request, self.acceptance))
        while True:
            event = connection.next_event()
            match event:
                case CommandReceived(command=CStoreRq() as request):
                    while isinstance(event := connection.next_event(), DataReceived):
                        if event.last:
                            break
                    else:
                        return
                    if self.delay:
                        time.sleep(self.delay)
                    with self.lock:
                        self.count += 1
                    response = CStoreRsp(
                        message_id_being_responded_to=request.message_id,
                        affected_sop_class_uid=request.affected_sop_class_uid,
                        affected_sop_instance_uid=request.affected_sop_instance_uid,
                        status=0,
                    )
                    connection.send_command(event.context_id, response)
                case CommandReceived(command=CEchoRq() as echo):
                    answer = CEchoRsp(
                        message_id_being_responded_to=echo.message_id,
                        affected_sop_class_uid=echo.affected_sop_class_uid,
                        status=0,
                    )
                    connection.send_command(event.context_id, answer)
                case ReleaseRequested():
                    connection.association.release_response()
                case _:
                    return


def main() -> None:
    """Listen until killed."""
    counter = Counter(int(sys.argv[2]), *map(float, sys.argv[3:]))
    acceptor = Acceptor(host="127.0.0.1", port=int(sys.argv[1]), serve=counter.serve)
    acceptor.start()
    told = 0
    while True:
        time.sleep(0.02)
        if counter.count != told:
            told = counter.count
            print(json.dumps({"count": told, "at": time.monotonic()}), flush=True)


if __name__ == "__main__":
    main()
