"""A modality that does not give up: it sends each object until it is acknowledged."""

from __future__ import annotations

import io
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from router.dicom.pdus import AAssociateRq, ProposedContext, UserInformation
from router.dicom.uids import IMPLEMENTATION_CLASS_UID
from router.net.errors import NetError
from router.net.requestor import OutgoingAssociation, Timeouts, open_association

MARK = "2.25.111111111111111111111111111111111111"
"""Stands in the template where each object has its own SOP Instance UID of the same length."""


def slice_template(rows: int = 64, columns: int = 64) -> bytes:
    """An encoded CT slice, Explicit VR Little Endian."""
    data_set = Dataset()
    data_set.SOPClassUID = CTImageStorage
    data_set.SOPInstanceUID = MARK
    data_set.Modality = "CT"
    data_set.Manufacturer = "SIEMENS"
    data_set.InstitutionName = "Elsewhere"
    data_set.PatientName = "Fault^Test"
    data_set.PatientID = "0815"
    data_set.StudyInstanceUID = generate_uid()
    data_set.SeriesInstanceUID = generate_uid()
    data_set.StudyDate = "20260101"
    data_set.Rows, data_set.Columns = rows, columns
    data_set.BitsAllocated = data_set.BitsStored = 16
    data_set.HighBit = 15
    data_set.PixelRepresentation = 0
    data_set.SamplesPerPixel = 1
    data_set.PhotometricInterpretation = "MONOCHROME2"
    data_set.PixelData = random.Random(7).randbytes(rows * columns * 2)
    encoded = io.BytesIO()
    pydicom.dcmwrite(
        encoded, data_set, implicit_vr=False, little_endian=True, enforce_file_format=False
    )
    return encoded.getvalue()


@dataclass
class Acknowledged:
    """SOP instance UIDs that were answered Success, with the bytes that were sent."""

    data_sets: dict[str, bytes] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)


class Modality:
    """Several threads that send for ever, each over its own association, reconnecting."""

    def __init__(
        self,
        port: int,
        *,
        threads: int = 4,
        template: bytes | None = None,
        title: str = "CT01",
        pause: float = 0.0,
        first: int = 0,
        series: int | None = None,
    ) -> None:
        """`pause`: seconds between two objects of one association; `first`: the number of the
        first object of each, where another modality has used others; `series`: objects of one
        association, None for all of them."""
        self.acknowledged = Acknowledged()
        self.errors = 0
        self._port = port
        self._title = title
        self._pause = pause
        self._first = first
        self._series = series
        self._template = template or slice_template()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(threads)
        ]

    def __enter__(self) -> Modality:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Finish the object in hand on each association."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a sender hangs"

    def _objects(self, number: int) -> Iterator[tuple[str, bytes]]:
        count = self._first
        while not self._stopping.is_set():
            uid = f"2.25.{number + 1:02d}{count:034d}".replace("2.25.0", "2.25.9", 1)
            count += 1
            assert len(uid) == len(MARK)
            yield uid, self._template.replace(MARK.encode(), uid.encode())

    def _run(self, number: int) -> None:
        association: OutgoingAssociation | None = None
        for sent, (uid, data) in enumerate(self._objects(number)):
            if association is not None and self._series and sent % self._series == 0:
                association.release()
                association = None
            while True:
                try:
                    association = association or self._open()
                    status = self._send(association, uid, data)
                except NetError:
                    self.errors += 1
                    association = None
                    if self._stopping.wait(0.02):
                        return
                    continue
                with self._lock:
                    if status == 0:
                        self.acknowledged.data_sets[uid] = data
                    else:
                        self.acknowledged.refused[uid] = status
                break
            if self._pause:
                self._stopping.wait(self._pause)
        if association is not None:
            association.release()

    def _open(self) -> OutgoingAssociation:
        request = AAssociateRq(
            called_ae_title="ROUTER",
            calling_ae_title=self._title,
            presentation_contexts=(
                ProposedContext(
                    context_id=1,
                    abstract_syntax=CTImageStorage,
                    transfer_syntaxes=(ExplicitVRLittleEndian,),
                ),
            ),
            user_information=UserInformation(
                max_length=1 << 20, implementation_class_uid=IMPLEMENTATION_CLASS_UID
            ),
        )
        timeouts = Timeouts(connect=5, acse=20, dimse=30, network=30)
        return open_association("127.0.0.1", self._port, request, timeouts=timeouts)

    @staticmethod
    def _send(association: OutgoingAssociation, uid: str, data: bytes) -> int:
        response = association.store(
            1, sop_class_uid=CTImageStorage, sop_instance_uid=uid, data=data
        )
        return response.status
