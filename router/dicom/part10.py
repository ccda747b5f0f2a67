"""File meta information: what stands before the data set in a file (PS3.10 7.1).

Written strictly: preamble, prefix, group 0002 in explicit VR little endian with its length. Read
leniently: the group length may be missing or wrong, order is free, unknown elements are skipped,
and a group written in implicit VR (seen in the field) is understood.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from router.dicom.ae_title import LENGTH as LONGEST_AE_TITLE
from router.dicom.errors import MalformedMeta, NotPart10, TruncatedMeta
from router.dicom.limits import KIB
from router.dicom.uids import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    LONGEST_UID,
    decode_uid,
)

PREAMBLE_LENGTH: Final = 128
PREFIX: Final = b"DICM"

# Nothing else in group 0002 is long; whole files with pixel data in it are noise.
LONGEST_PRIVATE_INFORMATION: Final = 64 * KIB

_CUT_OFF = "the bytes end inside the file meta information"
_VERSION = b"\x00\x01"
_SHORT = struct.Struct("<HH2sH")
_LONG = struct.Struct("<HH2sxxI")
_IMPLICIT = struct.Struct("<HHI")
_LONG_FORMS = frozenset({b"OB", b"OW", b"OD", b"OF", b"OL", b"OV", b"SQ", b"UC", b"UR", b"UT"})
_LONG_FORMS |= {b"UN", b"SV", b"UV"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMeta:
    """Group 0002. Read from a file, absent UIDs of class and instance are empty; a transfer
    syntax is always there. One NUL at the end of private information is taken for padding."""

    media_storage_sop_class_uid: str
    media_storage_sop_instance_uid: str
    transfer_syntax_uid: str
    implementation_class_uid: str = IMPLEMENTATION_CLASS_UID
    implementation_version_name: str | None = IMPLEMENTATION_VERSION_NAME
    source_ae_title: str | None = None
    sending_ae_title: str | None = None
    receiving_ae_title: str | None = None
    private_information_creator_uid: str | None = None
    private_information: bytes | None = None


def encode_file_meta(meta: FileMeta, preamble: bytes = bytes(PREAMBLE_LENGTH)) -> bytes:
    """Return preamble, prefix and group 0002: what stands before the data set's bytes."""
    form = FileMetaForm(meta, preamble)
    return form.encode(meta.media_storage_sop_instance_uid, meta.private_information)


class FileMetaForm:
    """The file meta information of many files: but for SOP instance and private information, a
    receiver writes the same into each, and encodes it here once."""

    __slots__ = ("_after", "_before", "_creator", "_start")

    def __init__(self, meta: FileMeta, preamble: bytes = bytes(PREAMBLE_LENGTH)) -> None:
        """`meta` gives what is the same; MalformedMeta when it does not fit its place."""
        if len(preamble) != PREAMBLE_LENGTH:
            raise MalformedMeta(f"a preamble has {PREAMBLE_LENGTH} bytes, not {len(preamble)}")
        self._start = preamble + PREFIX + _SHORT.pack(2, 0, b"UL", 4)
        self._before = _LONG.pack(2, 0x0001, b"OB", len(_VERSION)) + _VERSION
        self._before += _uid(0x0002, meta.media_storage_sop_class_uid)
        self._after = b"".join(_shared_elements(meta))
        self._creator = _uid(0x0100, meta.private_information_creator_uid or "")

    def encode(self, sop_instance_uid: str, private_information: bytes | None) -> bytes:
        """Return what stands before the data set of this instance, preamble included."""
        group = self._before + _uid(0x0003, sop_instance_uid) + self._after
        if private_information is not None:
            group += self._creator + _private(private_information)
        return self._start + len(group).to_bytes(4, "little") + group


def read_file_meta(head: bytes | bytearray | memoryview) -> tuple[FileMeta, int]:
    """Return the file meta information at the start of `head`, and the data set's offset.

    `TruncatedMeta` says that a longer head is needed: 64 KiB more than enough for any file but
    one with more private information than that. An empty data set is none: the group then ends
    where the file does.
    """
    data = bytes(head)
    prefix_end = PREAMBLE_LENGTH + len(PREFIX)
    found = data[PREAMBLE_LENGTH:prefix_end]
    if found != PREFIX:
        is_short = len(found) < len(PREFIX) and PREFIX.startswith(found)
        raise TruncatedMeta(_CUT_OFF) if is_short else NotPart10("no preamble and prefix")
    elements: dict[int, bytes] = {}
    offset = expected = prefix_end
    for element, value, end in _elements(data, prefix_end):
        elements[element] = value
        offset = end
        if element == 0 and len(value) == 4:
            expected = end + int.from_bytes(value, "little")
    if offset == len(data) and (offset < expected or not elements):
        raise TruncatedMeta(_CUT_OFF)
    return _file_meta(elements), offset


def _elements(data: bytes, at: int) -> Iterator[tuple[int, bytes, int]]:
    """Yield element number, value and end of each element of group 0002."""
    while at < len(data):
        if len(data) - at < _IMPLICIT.size:
            # The rest is too short for an element: of this group, it is cut off.
            if data[at : at + 2] == b"\x02\x00"[: len(data) - at]:
                raise TruncatedMeta(_CUT_OFF)
            return
        group, element, form, length = _SHORT.unpack_from(data, at)
        if group != 2:
            return
        header = _SHORT.size
        if form in _LONG_FORMS:
            header = _LONG.size
            if len(data) - at < header:
                raise TruncatedMeta(_CUT_OFF)
            length = _LONG.unpack_from(data, at)[3]
        elif not (form.isalpha() and form.isupper()):
            length = _IMPLICIT.unpack_from(data, at)[2]
        if length > LONGEST_PRIVATE_INFORMATION:
            raise MalformedMeta(f"element (0002,{element:04X}) of {length} bytes")
        start = at + header
        at = start + length
        if at > len(data):
            raise TruncatedMeta(_CUT_OFF)
        yield element, data[start:at], at


def _file_meta(elements: dict[int, bytes]) -> FileMeta:
    def uid(element: int) -> str:
        return decode_uid(elements.get(element, b""))

    def text(element: int) -> str | None:
        return elements.get(element, b"").decode("latin-1").strip(" \0") or None

    transfer_syntax_uid = uid(0x0010)
    if not transfer_syntax_uid:
        raise MalformedMeta("no transfer syntax in the file meta information")
    private = elements.get(0x0102)
    return FileMeta(
        media_storage_sop_class_uid=uid(0x0002),
        media_storage_sop_instance_uid=uid(0x0003),
        transfer_syntax_uid=transfer_syntax_uid,
        implementation_class_uid=uid(0x0012),
        implementation_version_name=text(0x0013),
        source_ae_title=text(0x0016),
        sending_ae_title=text(0x0017),
        receiving_ae_title=text(0x0018),
        private_information_creator_uid=uid(0x0100) or None,
        private_information=None if private is None else private.removesuffix(b"\0"),
    )


def _shared_elements(meta: FileMeta) -> Iterator[bytes]:
    """What stands between the SOP instance and private information."""
    yield _uid(0x0010, meta.transfer_syntax_uid)
    yield _uid(0x0012, meta.implementation_class_uid)
    if meta.implementation_version_name is not None:
        yield _text(0x0013, b"SH", meta.implementation_version_name)
    if meta.source_ae_title is not None:
        yield _text(0x0016, b"AE", meta.source_ae_title)
    if meta.sending_ae_title is not None:
        yield _text(0x0017, b"AE", meta.sending_ae_title)
    if meta.receiving_ae_title is not None:
        yield _text(0x0018, b"AE", meta.receiving_ae_title)


def _uid(element: int, value: str) -> bytes:
    if len(value) > LONGEST_UID or not value.isascii():
        raise MalformedMeta(f"(0002,{element:04X}): a UID has at most {LONGEST_UID} characters")
    encoded = value.encode("ascii")
    encoded += b"\0" * (len(encoded) % 2)
    return _SHORT.pack(2, element, b"UI", len(encoded)) + encoded


def _text(element: int, form: bytes, value: str) -> bytes:
    try:
        encoded = value.encode("latin-1")
    except UnicodeEncodeError as error:
        raise MalformedMeta(f"(0002,{element:04X}): {error.reason}") from error
    if len(encoded) > LONGEST_AE_TITLE:  # SH has the same limit
        raise MalformedMeta(f"(0002,{element:04X}): more than {LONGEST_AE_TITLE} characters")
    encoded += b" " * (len(encoded) % 2)
    return _SHORT.pack(2, element, form, len(encoded)) + encoded


def _private(value: bytes) -> bytes:
    if len(value) > LONGEST_PRIVATE_INFORMATION:
        raise MalformedMeta(f"private information of {len(value)} bytes")
    encoded = value + b"\0" * (len(value) % 2)
    return _LONG.pack(2, 0x0102, b"OB", len(encoded)) + encoded
