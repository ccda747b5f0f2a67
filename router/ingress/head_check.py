"""Does the data set belong to the command that announced it?

Looks at the first bytes only, as they come from the network: (0008,0016) and (0008,0018) stand
near the start of every composite object (PS3.3 C.12.1). What is missing there is not missed here.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from router.dicom.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from router.ingress.answers import CLASS_MISMATCH, INSTANCE_MISMATCH, MALFORMED, Answer
from rules.encoded.data_set import EncodedDataSet, MalformedDataSet
from rules.tags import parse_path

HEAD_BYTES = 1024
"""Group 0008 begins the data set; its UIDs lie within the first few hundred bytes."""

_SHORT_FORM = struct.Struct("<I2sH")
_CLASS_TAG, _INSTANCE_TAG = 0x00160008, 0x00180008  # as four bytes, little endian
_SHORT_VRS = frozenset({b"CS", b"DA", b"TM", b"DT", b"UI", b"UL", b"SH", b"LO"})

_SOP_CLASS_UID = parse_path("SOPClassUID")
_SOP_INSTANCE_UID = parse_path("SOPInstanceUID")


class HeadCheck:
    """Judges one data set once enough of it is there, wherever the network has cut it."""

    __slots__ = ("_gathered", "_judged", "_sop_class_uid", "_sop_instance_uid", "_syntax")

    def __init__(
        self, *, transfer_syntax_uid: str, sop_class_uid: str, sop_instance_uid: str
    ) -> None:
        self._syntax = transfer_syntax_uid
        self._sop_class_uid = sop_class_uid
        self._sop_instance_uid = sop_instance_uid
        self._gathered = b""
        self._judged = transfer_syntax_uid == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN

    def look(self, fragments: Sequence[memoryview], *, last: bool) -> Answer | None:
        """A refusal, or None where what came so far contradicts nothing that the command said.

        `last`: no more fragments follow these.
        """
        if self._judged:
            return None
        if not self._gathered and fragments and len(fragments[0]) >= HEAD_BYTES:
            head = bytes(fragments[0][:HEAD_BYTES])
        else:
            head = self._gathered = b"".join((self._gathered, *fragments))[:HEAD_BYTES]
            if len(head) < HEAD_BYTES and not last:
                return None
        self._judged = True
        return None if self._agrees(head) else self._judge(head)

    def _agrees(self, head: bytes) -> bool:
        """Whether both UIDs stand where nearly all objects have them, and are the announced ones.

        A short look that saves most objects the long one: only elements of the explicit short
        form (PS3.5 7.1.2) before them, in ascending order. False says nothing.
        """
        if self._syntax in (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN):
            return False
        at, before, agreed = 0, 0, False
        while at + _SHORT_FORM.size <= len(head):
            tag, vr, length = _SHORT_FORM.unpack_from(head, at)
            at += _SHORT_FORM.size
            if tag <= before or tag & 0xFFFF != 0x0008 or vr not in _SHORT_VRS:
                return False
            if tag == _CLASS_TAG:
                if not _is_uid(head[at : at + length], self._sop_class_uid):
                    return False
                agreed = True
            elif tag == _INSTANCE_TAG:
                return agreed and _is_uid(head[at : at + length], self._sop_instance_uid)
            before = tag
            at += length
        return False

    def _judge(self, head: bytes) -> Answer | None:
        data_set = EncodedDataSet.read(head, self._syntax)
        try:
            found_class = data_set.values(_SOP_CLASS_UID)
            found_instance = data_set.values(_SOP_INSTANCE_UID)
        except MalformedDataSet as error:
            # Cut off by our own limit is fine; an object whose first element makes no sense is not.
            return MALFORMED if error.offset == 0 else None
        if found_class and found_class != (self._sop_class_uid,):
            return CLASS_MISMATCH
        if found_instance and found_instance != (self._sop_instance_uid,):
            return INSTANCE_MISMATCH
        return None


def _is_uid(value: bytes, uid: str) -> bool:
    return value.rstrip(b"\0") == uid.encode()
