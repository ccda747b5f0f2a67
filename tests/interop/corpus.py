"""The objects that travel: every readable file with a storage SOP class among pydicom's test files.

Part 10 files are read here by a few lines of our own, so that a mistake in the router's reader
cannot hide behind itself.
"""

import hashlib
import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG_LS_NEAR_LOSSLESS = "1.2.840.10008.1.2.4.81"
EXPLICIT_BE = "1.2.840.10008.1.2.2"
UNCOMPRESSED = frozenset({IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE})
MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"

TEST_FILES = Path(pydicom.__file__).parent / "data" / "test_files"


@dataclass(frozen=True, slots=True, kw_only=True)
class Specimen:
    """One object: what a C-STORE of it says, and the bytes of its data set."""

    name: str
    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    #: Where in the file the data set begins.
    offset: int
    data_set: bytes
    #: Whether the file's meta information names the same class and instance as the data set.
    consistent: bool = True

    @property
    def mark(self) -> "Mark":
        return mark(self.transfer_syntax_uid, self.data_set)


Mark = tuple[str, int, str]
"""What two copies of the same bytes share: transfer syntax, length, digest."""


def mark(transfer_syntax_uid: str, data_set: bytes) -> Mark:
    return transfer_syntax_uid, len(data_set), hashlib.sha256(data_set).hexdigest()[:16]


def marks(specimens: Iterable[Specimen]) -> Counter[Mark]:
    """How often each copy occurs."""
    return Counter(specimen.mark for specimen in specimens)


@cache
def storage_objects() -> tuple[Specimen, ...]:
    """Every readable file that a Storage SCU can send: it names its class and instance."""
    found = []
    for path in sorted(TEST_FILES.rglob("*")):
        specimen = _storage_object(path) if path.is_file() else None
        if specimen is not None:
            found.append(specimen)
    return tuple(found)


def _storage_object(path: Path) -> Specimen | None:
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True)
    except InvalidDicomError:
        return None
    syntax = header.file_meta.get("TransferSyntaxUID")
    if not (syntax and header.get("SOPClassUID") and header.get("SOPInstanceUID")):
        return None
    _, offset, data_set = read_part10(path)
    return Specimen(
        name=path.relative_to(TEST_FILES).as_posix(),
        path=path,
        sop_class_uid=str(header.SOPClassUID),
        sop_instance_uid=str(header.SOPInstanceUID),
        transfer_syntax_uid=str(syntax),
        offset=offset,
        data_set=data_set,
        consistent=header.file_meta.get("MediaStorageSOPInstanceUID") == header.SOPInstanceUID,
    )


def rounds(specimens: Iterable[Specimen]) -> Iterator[list[Specimen]]:
    """The same objects in batches without a SOP instance twice, for peers that keep one of each."""
    left = list(specimens)
    while left:
        batch = {specimen.sop_instance_uid: specimen for specimen in reversed(left)}
        chosen = {specimen.name for specimen in batch.values()}
        yield [specimen for specimen in left if specimen.name in chosen]
        left = [specimen for specimen in left if specimen.name not in chosen]


def received_file(path: Path) -> Specimen:
    """A Part 10 file that a receiver wrote."""
    meta, offset, data_set = read_part10(path)
    return Specimen(
        name=path.name,
        path=path,
        sop_class_uid=meta[0x0002],
        sop_instance_uid=meta[0x0003],
        transfer_syntax_uid=meta[0x0010],
        offset=offset,
        data_set=data_set,
    )


def read_part10(path: Path) -> tuple[dict[int, str], int, bytes]:
    """The texts of group 0002 by element number, and where and what the data set is (PS3.10 7.1).

    An odd number of bytes gets the padding without which it cannot travel (PS3.5 A.5).
    """
    content = path.read_bytes()
    assert content[128:132] == b"DICM", f"{path} is no Part 10 file"
    meta: dict[int, str] = {}
    offset = 132
    while content[offset : offset + 2] == b"\x02\x00":
        element, vr, length = struct.unpack_from("<H2sH", content, offset + 2)
        start = offset + 8
        if vr in (b"OB", b"UN", b"OW", b"SQ"):
            (length,) = struct.unpack_from("<I", content, offset + 8)
            start = offset + 12
        offset = start + length
        meta[element] = content[start:offset].rstrip(b"\0 ").decode("latin-1")
    data_set = content[offset:]
    return meta, offset, data_set + b"\0" * (len(data_set) % 2)
