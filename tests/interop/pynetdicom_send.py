"""A Storage SCU made with pynetdicom that sends data sets as they are: HOST PORT CALLED.

Reads a JSON list; each item has `path`, `offset`, `sop_class_uid`, `sop_instance_uid` and
`transfer_syntax_uid`. The bytes of the file from `offset` on go out unread (padded to an even
number), so that broken data sets can be sent too. Prints a JSON list of statuses (null: none came).
"""

import json
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import EventHandlerType

MOST_CONTEXTS = 128


def send(association: Association, item: dict[str, Any], message_id: int) -> int | None:
    wanted = (item["sop_class_uid"], item["transfer_syntax_uid"])
    for context in association.accepted_contexts:
        if (context.abstract_syntax, context.transfer_syntax[0]) == wanted:
            break
    else:
        return None
    request = C_STORE()
    request.MessageID = message_id
    request.AffectedSOPClassUID = UID(item["sop_class_uid"])
    request.AffectedSOPInstanceUID = UID(item["sop_instance_uid"])
    request.Priority = 0
    data_set = Path(item["path"]).read_bytes()[item["offset"] :]
    request.DataSet = BytesIO(data_set + b"\0" * (len(data_set) % 2))
    assert context.context_id is not None  # it was accepted
    association.dimse.send_msg(request, context.context_id)
    _, answer = association.dimse.get_msg(block=True)
    if answer is None:
        # Aborted, or no answer in time: what happened to the object is not known.
        association.abort()
        return None
    return answer.Status


@contextmanager
def undisturbed(association: Association) -> Iterator[None]:
    """Keep the association's own thread from taking our answers, as its `send_c_store` does."""
    association._reactor_checkpoint.clear()
    while association.is_established and not association._is_paused:
        time.sleep(0.001)
    try:
        yield
    finally:
        association._reactor_checkpoint.set()


def tuned(event: evt.Event) -> None:
    """Neither Nagle's algorithm here nor delayed acknowledgement: 40 ms an object otherwise."""
    transport = event.assoc.dul.socket
    if transport is not None and transport.socket is not None:
        transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def send_all(
    host: str, port: int, called: str, items: list[tuple[int, dict[str, Any]]]
) -> Iterator[tuple[int, int | None]]:
    """Number and status of each item; a new association whenever the peer has ended the last."""
    left = deque(items)
    while left:
        ae = AE("PYNETDICOM")
        ae.dimse_timeout = 10
        for pair in sorted({(i["sop_class_uid"], i["transfer_syntax_uid"]) for _, i in left}):
            ae.add_requested_context(*pair)
        handlers: list[EventHandlerType] = [(evt.EVT_CONN_OPEN, tuned), (evt.EVT_PDU_SENT, tuned)]
        association = ae.associate(host, port, ae_title=called, evt_handlers=handlers)
        if not association.is_established:
            yield from ((number, None) for number, _ in left)
            return
        with undisturbed(association):
            while left and association.is_established:
                number, item = left.popleft()
                yield number, send(association, item, number + 1)
        if association.is_established:
            association.release()


def main(host: str, port: int, called: str) -> None:
    items = list(enumerate(json.load(sys.stdin)))
    pairs = sorted({(item["sop_class_uid"], item["transfer_syntax_uid"]) for _, item in items})
    statuses: dict[int, int | None] = {}
    for start in range(0, len(pairs), MOST_CONTEXTS):
        some = set(pairs[start : start + MOST_CONTEXTS])
        chosen = [
            (number, item)
            for number, item in items
            if (item["sop_class_uid"], item["transfer_syntax_uid"]) in some
        ]
        statuses.update(send_all(host, port, called, chosen))
    json.dump([statuses[number] for number in range(len(items))], sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
