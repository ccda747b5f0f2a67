"""The data sets of storage commitment (PS3.4 annex J.3): requests and reports, bytes and back.

Lenient in what is read: items without a class or with a second reference to an instance, reports
of success that hold failures, lengths of any form. What is no data set at all is refused.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from router.dicom.uids import IMPLICIT_VR_LITTLE_ENDIAN, decode_uid, is_valid_uid
from rules.encoded.data_set import EncodedDataSet, MalformedDataSet
from rules.encoded.level import Level

TRANSACTION_UID = 0x00081195
REFERENCED_SOP_CLASS_UID = 0x00081150
REFERENCED_SOP_INSTANCE_UID = 0x00081155
FAILURE_REASON = 0x00081197
FAILED_SOP_SEQUENCE = 0x00081198
REFERENCED_SOP_SEQUENCE = 0x00081199

PROCESSING_FAILURE = 0x0110
NO_SUCH_INSTANCE = 0x0112
CLASS_INSTANCE_CONFLICT = 0x0119
"""Failure reasons that are ours to give (PS3.3 C.14.1.1)."""

TRANSFER_SYNTAXES = ("1.2.840.10008.1.2.1", IMPLICIT_VR_LITTLE_ENDIAN)
"""What we write: explicit VR first, as most peers do."""

_LONG_VRS = frozenset({"SQ"})
_ITEM = 0xFFFEE000


class NotUnderstood(Exception):
    """The data set of a request or report is none; the text says why, without its content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A request, or a report on it. `references`: SOP instance UID to SOP class UID (may be empty);
    `failures`: SOP instance UID to failure reason."""

    uid: str
    references: Mapping[str, str] = field(default_factory=dict)
    failures: Mapping[str, int] = field(default_factory=dict)


def encode_request(uid: str, items: Iterable[tuple[str, str]], transfer_syntax_uid: str) -> bytes:
    """The action information of an N-ACTION (PS3.4 J.3.2.1.1): SOP instance and class UIDs."""
    write = Writer(explicit=transfer_syntax_uid != IMPLICIT_VR_LITTLE_ENDIAN)
    return write.uid(TRANSACTION_UID, uid) + write.references(REFERENCED_SOP_SEQUENCE, items)


def encode_report(
    uid: str,
    kept: Iterable[tuple[str, str]],
    failed: Iterable[tuple[str, str, int]],
    transfer_syntax_uid: str,
) -> bytes:
    """The event information of an N-EVENT-REPORT (PS3.4 J.3.3.1.1)."""
    write = Writer(explicit=transfer_syntax_uid != IMPLICIT_VR_LITTLE_ENDIAN)
    found = write.uid(TRANSACTION_UID, uid)
    # A sequence without items says nothing: it is left out (both are of type 1C).
    failures = [write.reference(*pair) + write.number(FAILURE_REASON, n) for *pair, n in failed]
    if failures:
        found += write.sequence(FAILED_SOP_SEQUENCE, failures)
    references = list(kept)
    if references:
        found += write.references(REFERENCED_SOP_SEQUENCE, references)
    return found


def read_transaction(data: bytes, transfer_syntax_uid: str) -> Transaction:
    """What a request or a report says; NotUnderstood."""
    try:
        root = EncodedDataSet.read(data, transfer_syntax_uid).root
        uid = _uid(root, TRANSACTION_UID)
        references = {
            instance: _uid(item, REFERENCED_SOP_CLASS_UID)
            for item in _items(root, REFERENCED_SOP_SEQUENCE)
            if is_valid_uid(instance := _uid(item, REFERENCED_SOP_INSTANCE_UID))
        }
        failures = {
            instance: _number(item, FAILURE_REASON)
            for item in _items(root, FAILED_SOP_SEQUENCE)
            if is_valid_uid(instance := _uid(item, REFERENCED_SOP_INSTANCE_UID))
        }
    except MalformedDataSet as error:
        raise NotUnderstood(f"malformed data set: {error}") from None
    if not is_valid_uid(uid):
        raise NotUnderstood("no valid Transaction UID")
    # Said to be kept and to have failed: what failed is the safer reading.
    kept = {instance: name for instance, name in references.items() if instance not in failures}
    return Transaction(uid=uid, references=kept, failures=failures)


def value_of(level: Level, tag: int) -> bytes:
    """The bytes of an element's value; empty where there is none."""
    element = level.find(tag)
    return b"" if element is None else bytes(level.source[element.value : element.stop])


def _uid(level: Level, tag: int) -> str:
    return decode_uid(value_of(level, tag)).strip()


def _number(level: Level, tag: int) -> int:
    value = value_of(level, tag)
    return int.from_bytes(value, "little") if len(value) == 2 else PROCESSING_FAILURE


def _items(level: Level, tag: int) -> list[Level]:
    element = level.find(tag)
    return [] if element is None else list(level.items(element))


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes elements in explicit or implicit VR, little endian."""

    explicit: bool

    def element(self, tag: int, vr: str, value: bytes) -> bytes:
        group, number = tag >> 16, tag & 0xFFFF
        if len(value) % 2:
            value += b"\0"
        if not self.explicit:
            return struct.pack("<HHI", group, number, len(value)) + value
        if vr in _LONG_VRS:
            head = struct.pack("<HH2s2xI", group, number, vr.encode(), len(value))
        else:
            head = struct.pack("<HH2sH", group, number, vr.encode(), len(value))
        return head + value

    def uid(self, tag: int, value: str) -> bytes:
        return self.element(tag, "UI", value.encode("ascii"))

    def number(self, tag: int, value: int) -> bytes:
        return self.element(tag, "US", struct.pack("<H", value))

    def sequence(self, tag: int, items: Iterable[bytes]) -> bytes:
        head = struct.Struct("<HHI")
        group, number = _ITEM >> 16, _ITEM & 0xFFFF
        whole = b"".join(head.pack(group, number, len(item)) + item for item in items)
        return self.element(tag, "SQ", whole)

    def reference(self, instance: str, sop_class: str) -> bytes:
        return self.uid(REFERENCED_SOP_CLASS_UID, sop_class) + self.uid(
            REFERENCED_SOP_INSTANCE_UID, instance
        )

    def references(self, tag: int, pairs: Iterable[tuple[str, str]]) -> bytes:
        return self.sequence(tag, (self.reference(*pair) for pair in pairs))
