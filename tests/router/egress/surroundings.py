"""What egress works with: a ledger, a store, objects that are owed, and a scripted peer."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

import xxhash
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from sqlalchemy import text

from router.config import Destination
from router.dicom.part10 import FileMeta, encode_file_meta
from router.egress.drain import DrainResult, Timing, drain
from router.egress.pool import Pool
from router.ledger import (
    Ledger,
    NewDelivery,
    ObjectState,
    ReceivedObject,
    RoutingResult,
    destinations,
    objects,
)
from router.store import DirectoryStore, new_object_id
from router.transcoding.copies import Copies

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
ILE, ELE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
EBE, JPEG = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.4.50"
QUICK = Timing(linger=0.0)


def encode(data_set: Dataset, syntax: str) -> bytes:
    """The data set's bytes in a native transfer syntax."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR = syntax == ILE
    buffer.is_little_endian = syntax != EBE
    write_dataset(buffer, data_set)
    return buffer.getvalue()


def small(sop_class: str = CT, **attributes: object) -> Dataset:
    data_set = Dataset()
    data_set.SOPClassUID = sop_class
    data_set.SOPInstanceUID = generate_uid()
    data_set.StudyInstanceUID = "1.2.3"
    data_set.PatientID = "P1"
    for keyword, value in attributes.items():
        setattr(data_set, keyword, value)
    return data_set


@dataclass(frozen=True)
class Row:
    state: str
    attempts: int
    reason: str | None


@dataclass
class House:
    """A ledger, a store and a pool; owes objects to destinations, and drains."""

    ledger: Ledger
    store: DirectoryStore
    pool: Pool = field(default_factory=Pool)

    def keep(self, data: bytes, sop_class: str, uid: str, syntax: str) -> tuple[str, int]:
        """Put a data set into the store; its id and where it begins in the file."""
        meta = FileMeta(
            media_storage_sop_class_uid=sop_class,
            media_storage_sop_instance_uid=uid,
            transfer_syntax_uid=syntax,
            source_ae_title="SECRET_AE",
        )
        head = encode_file_meta(meta)
        object_id = new_object_id()
        with self.store.create(object_id) as writer:
            writer.writev([head, data])
            writer.commit(sync=False)
        return object_id, len(head)

    def owe(
        self,
        name: str,
        *data_sets: Dataset,
        syntax: str = ELE,
        encoded: bytes | None = None,
        priority: int = 2,
    ) -> list[str]:
        """Make deliveries of these objects; their SOP instance UIDs."""
        received, results = [], []
        for data_set in data_sets:
            data = encode(data_set, syntax) if encoded is None else encoded
            uid, sop_class = str(data_set.SOPInstanceUID), str(data_set.SOPClassUID)
            object_id, offset = self.keep(data, sop_class, uid, syntax)
            received.append(_received(object_id, sop_class, uid, syntax, data, offset))
            delivery = NewDelivery(
                destination=name, route="r", payload_id=object_id, priority=priority
            )
            results.append(
                RoutingResult(object_id=object_id, state=ObjectState.ROUTED, deliveries=(delivery,))
            )
        with self.ledger.write() as connection:
            destinations.ensure(connection, [name])
            objects.insert_received(connection, received)
            objects.record_routing(connection, results)
        return [str(data_set.SOPInstanceUID) for data_set in data_sets]

    def drain(
        self,
        destination: Destination,
        *,
        stop=lambda: False,
        timing=QUICK,
        copies: Copies | None = None,
        more=lambda: None,
    ) -> DrainResult:
        return drain(
            destination,
            ledger=self.ledger,
            store=self.store,
            pool=self.pool,
            worker="test",
            stop=stop,
            timing=replace(timing, chance=lambda: 0.5),
            copies=copies,
            more=more,
        )

    def query(self, sql: str, **values: object) -> list[Any]:
        with self.ledger.read() as connection:
            return list(connection.execute(text(sql), values))

    def rows(self) -> dict[str, Row]:
        """Where each delivery stands, by SOP instance UID."""
        found = self.query(
            "SELECT o.sop_instance_uid, d.state, d.attempts, d.reason"
            " FROM deliveries d JOIN objects o ON o.id = d.payload_id"
        )
        return {uid: Row(state, attempts, reason) for uid, state, attempts, reason in found}

    def states(self) -> dict[str, int]:
        counts: dict[str, int] = defaultdict(int)
        for row in self.rows().values():
            counts[row.state] += 1
        return dict(counts)

    def health(self, name: str) -> destinations.Health:
        with self.ledger.read() as connection:
            return destinations.health(connection, name)

    def make_all_due(self) -> None:
        """As if the waits were over: retries are due, and so is a probe."""
        with self.ledger.write() as connection:
            connection.execute(text("UPDATE deliveries SET next_attempt_at = 0"))
            connection.execute(
                text("UPDATE destinations SET next_probe_at = 0 WHERE state = 'down'")
            )

    def slots_taken(self) -> int:
        sql = "SELECT count(*) FROM destination_slots WHERE owner IS NOT NULL"
        return int(self.query(sql)[0][0])


def _received(
    object_id: str, sop_class: str, uid: str, syntax: str, data: bytes, offset: int
) -> ReceivedObject:
    return ReceivedObject(
        id=object_id,
        received_at=1_700_000_000_000,
        listener="main",
        association_id="a",
        peer_address="127.0.0.1",
        calling_ae_title="CT01",
        called_ae_title="ROUTER",
        tls_subject=None,
        sop_class_uid=sop_class,
        sop_instance_uid=uid,
        transfer_syntax_uid=syntax,
        size=len(data),
        data_set_offset=offset,
        checksum=xxhash.xxh3_128_hexdigest(data),
    )


class Scp:
    """A pynetdicom Storage SCP that does what it is told for each object."""

    def __init__(
        self, contexts: dict[str, list[str]], *, called: str | None = None, most: int = 10
    ) -> None:
        self.script: dict[str, object] = {}  # SOP instance UID or "*" to a status or a deed
        self.arrived: list[str] = []
        self.bytes_of: dict[str, bytes] = {}
        self.syntax_of: dict[str, str] = {}
        self.associations = 0
        self.released = threading.Semaphore(0)
        self.unblock = threading.Event()
        self.ae = AE("PACS")
        self.ae.maximum_associations = most
        self.ae.require_called_aet = called is not None
        self.ae.ae_title = called or "PACS"
        for sop_class, syntaxes in contexts.items():
            self.ae.add_supported_context(sop_class, syntaxes)
        handlers: list[Any] = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_ACCEPTED, self._accepted),
            (evt.EVT_RELEASED, lambda event: self.released.release()),
        ]
        self.server = self.ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        assert self.server is not None
        self.port = self.server.server_address[1]

    def _accepted(self, event) -> None:
        self.associations += 1

    def _store(self, event) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        deed = self.script.get(uid, self.script.get("*", 0x0000))
        if deed == "abort":
            event.assoc.abort()
            return 0xC001
        if deed in ("hang", "hang once"):
            if deed == "hang once":
                self.script[uid] = 0x0000
            self.unblock.wait(20)
            return 0x0000
        assert isinstance(deed, int)
        if deed in (0x0000, 0xB000):
            self.arrived.append(uid)
            self.bytes_of[uid] = event.request.DataSet.getvalue()
            self.syntax_of[uid] = event.context.transfer_syntax
        return deed

    def stop(self) -> None:
        self.unblock.set()
        # Aside: it takes half a second, which forty tests need not wait for.
        threading.Thread(target=self.ae.shutdown, daemon=True).start()


def pacs(port: int, name: str = "pacs", **settings) -> Destination:
    """A destination on this machine, impatient."""
    retry = settings.pop("retry", {})
    timeouts = {"connect": 2.0, "acse": 2.0, "dimse": 2.0, "network": 2.0}
    timeouts |= settings.pop("timeouts", {})
    dicom = {"ae_title": "PACS", "host": "127.0.0.1", "port": port, "timeouts": timeouts}
    return Destination.model_validate({"name": name, "dicom": dicom | settings, "retry": retry})
