"""The first bytes of a data set against the command that announced them, however they come."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage

from router.dicom.uids import DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
from router.ingress.answers import CLASS_MISMATCH, INSTANCE_MISMATCH, MALFORMED, Answer
from router.ingress.head_check import HEAD_BYTES, HeadCheck
from rules.encoded.data_set import EncodedDataSet, MalformedDataSet
from rules.tags import parse_path

INSTANCE = "2.25.4711"
ANNOUNCED = (CTImageStorage, INSTANCE)
NONSENSE = b"\x07\x00\x00\x00UI\xff\xff" + b"1" * 200
"""A first element that is longer than everything."""


def encoded(*, filler: int = 0) -> bytes:
    """A data set with so many bytes of comment behind its UIDs."""
    data_set = Dataset()
    data_set.SpecificCharacterSet = "ISO_IR 100"
    data_set.SOPClassUID = CTImageStorage
    data_set.SOPInstanceUID = INSTANCE
    data_set.ImageComments = "x" * filler
    file = io.BytesIO()
    pydicom.dcmwrite(
        file, data_set, implicit_vr=False, little_endian=True, enforce_file_format=False
    )
    return file.getvalue()


def judged(
    pieces: Sequence[bytes],
    *,
    sop_class: str = CTImageStorage,
    instance: str = INSTANCE,
    syntax: str = ExplicitVRLittleEndian,
) -> Answer | None:
    """The first refusal as the pieces come in, one at a time."""
    check = HeadCheck(
        transfer_syntax_uid=syntax, sop_class_uid=sop_class, sop_instance_uid=instance
    )
    for number, piece in enumerate(pieces, start=1):
        answer = check.look([memoryview(piece)], last=number == len(pieces))
        if answer is not None:
            return answer
    return None


@pytest.mark.parametrize("filler", [0, 2 * HEAD_BYTES], ids=["short", "long"])
@pytest.mark.parametrize("cut", [0, 1, 7, 8, 11, 40, 90, 120])
def test_where_the_network_cuts_a_data_set_makes_no_difference(cut: int, filler: int) -> None:
    data = encoded(filler=filler)
    pieces = [data[:cut], data[cut:]]
    assert judged(pieces) is None
    assert judged(pieces, sop_class=MRImageStorage) is CLASS_MISMATCH
    assert judged(pieces, instance="2.25.1") is INSTANCE_MISMATCH


def test_byte_by_byte_is_enough() -> None:
    pieces = [bytes([byte]) for byte in encoded()]
    assert judged(pieces) is None
    assert judged(pieces, instance="2.25.1") is INSTANCE_MISMATCH


@pytest.mark.parametrize("pieces", [[NONSENSE], [b"\x07", NONSENSE[1:], b"\xff" * HEAD_BYTES]])
def test_what_is_no_data_set_is_malformed(pieces: list[bytes]) -> None:
    assert judged(pieces) is MALFORMED


def test_what_is_missing_or_cannot_be_read_is_not_missed() -> None:
    assert judged([b""]) is None
    assert judged([NONSENSE], syntax=DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN) is None


def test_a_judgement_is_made_once() -> None:
    check = HeadCheck(
        transfer_syntax_uid=ExplicitVRLittleEndian,
        sop_class_uid=CTImageStorage,
        sop_instance_uid=INSTANCE,
    )
    assert check.look([memoryview(encoded(filler=HEAD_BYTES))], last=False) is None
    assert check.look([memoryview(NONSENSE)], last=True) is None


@given(at=st.integers(0, 80), byte=st.integers(0, 255))
def test_the_short_look_accepts_nothing_that_the_long_one_refuses(at: int, byte: int) -> None:
    data = bytearray(encoded(filler=40))
    data[at] = byte
    found = EncodedDataSet.read(bytes(data), ExplicitVRLittleEndian)
    try:
        uids = [found.values(parse_path(name)) for name in ("SOPClassUID", "SOPInstanceUID")]
    except MalformedDataSet:
        return
    as_announced = [
        values in (None, (), (uid,)) for values, uid in zip(uids, ANNOUNCED, strict=True)
    ]
    assert (judged([bytes(data)]) is None) is all(as_announced)
