"""A storage SCP that remembers what arrived, and misbehaves as it is told."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import xxhash

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

SUCCESS = 0x0000


@dataclass(frozen=True, slots=True)
class Answer:
    """What an object is answered: a status, an abort after so many bytes of it, or silence."""

    status: int = SUCCESS
    abort_after: int | None = None
    delay: float = 0.0
    comment: str | None = None


@dataclass
class Arrivals:
    """Data sets by SOP instance UID, in the order of their arrival."""

    data_sets: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))

    @property
    def total(self) -> int:
        return sum(len(copies) for copies in self.data_sets.values())


class Tally:
    """Stands for a data set that is too long to be kept: its length and checksum."""

    def __init__(self) -> None:
        self._length = 0
        self._digest = xxhash.xxh3_128()

    def extend(self, data: memoryview) -> None:
        """As of a bytearray."""
        self._length += len(data)
        self._digest.update(data)

    def __len__(self) -> int:
        return self._length

    def __bytes__(self) -> bytes:
        return f"{self._length} {self._digest.hexdigest()}".encode()


class RecordingScp:
    """Accepts all storage; `answer` is asked for each object, `accepts` for each association."""

    def __init__(
        self,
        answer: Callable[[str], Answer] = lambda _uid: Answer(),
        *,
        accepts: Callable[[], bool] = lambda: True,
        keep: Callable[[bytes], bytes] = bytes,
        buffer: Callable[[], bytearray | Tally] = bytearray,
        acceptance: Acceptance | None = None,
        port: int = 0,
    ) -> None:
        """`buffer` is what a data set is gathered in; `keep` says what of it is remembered."""
        self.answer = answer
        self.accepts = accepts
        self.arrivals = Arrivals()
        self.attempts: Counter[str] = Counter()
        self.associations = 0
        self.most_at_once = 0
        self._at_once = 0
        self._keep = keep
        self._buffer = buffer
        self._acceptance = acceptance or Acceptance()
        self._lock = threading.Lock()
        self.stopped = threading.Event()
        self._acceptor = Acceptor(host="127.0.0.1", port=port, serve=self._serve, name="recording")

    def __enter__(self) -> RecordingScp:
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._acceptor.close()

    @property
    def port(self) -> int:
        return self._acceptor.port

    def _serve(self, connection: Connection) -> None:
        event = connection.next_event()
        if not isinstance(event, AssociationRequested):
            return
        if not self.accepts():
            connection.association.reject(2, 3, 2)
            connection.next_event()
            return
        with self._lock:
            self.associations += 1
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            connection.association.accept(negotiate(event.request, self._acceptance))
            self._converse(connection)
        finally:
            with self._lock:
                self._at_once -= 1

    def _converse(self, connection: Connection) -> None:
        while True:
            event = connection.next_event()
            match event:
                case CommandReceived(command=CStoreRq() as request):
                    if not self._store(connection, event.context_id, request):
                        return
                case CommandReceived(command=CEchoRq() as request):
                    response = CEchoRsp(
                        message_id_being_responded_to=request.message_id,
                        affected_sop_class_uid=request.affected_sop_class_uid,
                        status=SUCCESS,
                    )
                    connection.send_command(event.context_id, response)
                case ReleaseRequested():
                    connection.association.release_response()
                case _:
                    return

    def _store(self, connection: Connection, context_id: int, request: CStoreRq) -> bool:
        uid = request.affected_sop_instance_uid
        with self._lock:
            self.attempts[uid] += 1
        answer = self.answer(uid)
        data = self._buffer()
        while True:
            event = connection.next_event()
            if not isinstance(event, DataReceived):
                return False
            data.extend(event.data)
            if answer.abort_after is not None and len(data) >= answer.abort_after:
                connection.association.abort()
                return False
            if event.last:
                break
        self.stopped.wait(answer.delay)
        if answer.status == SUCCESS or answer.status >> 12 == 0xB:
            with self._lock:
                self.arrivals.data_sets[uid].append(self._keep(bytes(data)))
        connection.send_command(
            context_id,
            CStoreRsp(
                message_id_being_responded_to=request.message_id,
                affected_sop_class_uid=request.affected_sop_class_uid,
                affected_sop_instance_uid=uid,
                status=answer.status,
                error_comment=answer.comment,
            ),
        )
        return True
