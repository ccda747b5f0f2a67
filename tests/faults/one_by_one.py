"""A sender that does one thing at a time, for tests that say what happens when."""

from __future__ import annotations

import uuid

from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from router.dicom.pdus import AAssociateRq, ProposedContext, UserInformation
from router.dicom.uids import IMPLEMENTATION_CLASS_UID
from router.net.data_source import DataSource
from router.net.requestor import OutgoingAssociation, Timeouts, open_association
from tests.faults.modality import MARK

SUCCESS = 0x0000
NO_ROOM = 0xA700


def new_uid() -> str:
    """A SOP Instance UID as long as the template's."""
    return f"2.25.{1 + uuid.uuid4().int % 9}{uuid.uuid4().int % 10**35:035d}"


def instance(template: bytes, uid: str) -> bytes:
    """The template's data set as this SOP instance."""
    assert len(uid) == len(MARK)
    return template.replace(MARK.encode(), uid.encode())


class OneByOne:
    """One association with the router, that lives until the block ends.

    `acknowledged`: the copies that were answered Success, by SOP instance UID.
    """

    def __init__(self, port: int, *, title: str = "CT01", sop_class: str = CTImageStorage) -> None:
        self._port = port
        self._title = title
        self._sop_class = sop_class
        self.acknowledged: dict[str, bytes] = {}

    def __enter__(self) -> OneByOne:
        self.association = associate(self._port, title=self._title, sop_class=self._sop_class)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.association.release()
        else:
            self.association.abort()

    def send(self, data: DataSource, uid: str) -> int:
        """The status that the object is answered."""
        response = self.association.store(
            1, sop_class_uid=self._sop_class, sop_instance_uid=uid, data=data
        )
        return response.status

    def send_copy(self, template: bytes) -> int:
        """Send the template under a UID of its own; the status."""
        uid = new_uid()
        data = instance(template, uid)
        status = self.send(data, uid)
        if status == SUCCESS:
            self.acknowledged[uid] = data
        return status

    def send_copies(self, template: bytes, count: int = 1) -> None:
        """So many copies, each of which must be answered Success."""
        assert [self.send_copy(template) for _ in range(count)] == [SUCCESS] * count


def associate(port: int, *, title: str, sop_class: str = CTImageStorage) -> OutgoingAssociation:
    """An association with one context, Explicit VR Little Endian."""
    context = ProposedContext(
        context_id=1, abstract_syntax=sop_class, transfer_syntaxes=(ExplicitVRLittleEndian,)
    )
    request = AAssociateRq(
        called_ae_title="ROUTER",
        calling_ae_title=title,
        presentation_contexts=(context,),
        user_information=UserInformation(
            max_length=1 << 20, implementation_class_uid=IMPLEMENTATION_CLASS_UID
        ),
    )
    timeouts = Timeouts(connect=10, acse=30, dimse=120, network=60)
    return open_association("127.0.0.1", port, request, timeouts=timeouts)
