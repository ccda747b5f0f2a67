"""Re-encoded objects: pydicom reads from them what it read from the original."""

from __future__ import annotations

import io
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.filewriter import correct_ambiguous_vr

from rules.encoded.data_set import EncodedDataSet, MalformedDataSet, Slice
from rules.encoded.forms import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
)
from rules.encoded.reencode import CannotReencode, reencode

NATIVE = (IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED)
LUT_DATA = 0x00283006
"""US or OW: as words it is bytes to pydicom."""
BROKEN = {"DICOMDIR-nooffset", "MR_truncated.dcm", "rtplan_truncated.dcm"}
TARGETS = (IMPLICIT_LITTLE, EXPLICIT_LITTLE)


def decoded(content: bytes, syntax: str) -> Dataset:
    implicit = syntax == IMPLICIT_LITTLE
    return read_dataset(io.BytesIO(content), implicit, is_little_endian=True)


def converted(data_set: EncodedDataSet, target: str) -> bytes:
    return b"".join(
        bytes(data_set.view(piece.offset, piece.length)) if isinstance(piece, Slice) else piece
        for piece in reencode(data_set, target)
    )


def texts(data_set: Dataset) -> dict[str, Any]:
    """Values as pydicom decodes them; private and bulk ones as bytes, since VRs may be lost."""
    seen: dict[str, Any] = {}
    for element in data_set:
        if element.VR == "SQ":
            seen[str(element.tag)] = [texts(item) for item in element.value]
            continue
        told = element.tag.element and not element.tag.is_private and element.tag != LUT_DATA
        if told and not isinstance(element.value, bytes):
            seen[str(element.tag)] = repr(element.value)
    return seen


@pytest.mark.parametrize("target", TARGETS)
def test_pydicom_reads_the_same(sample, target):
    if sample.syntax not in NATIVE:
        with pytest.raises(CannotReencode):
            reencode(sample.data_set, target)
        return
    data_set = sample.data_set
    try:
        content = converted(data_set, target)
    except MalformedDataSet:
        assert sample.name in BROKEN
        return
    try:
        before = sample.decoded()
        correct_ambiguous_vr(before, sample.syntax != EXPLICIT_BIG)
        wanted = texts(before)
    except (AttributeError, NotImplementedError, TypeError, ValueError):
        pytest.skip("pydicom cannot read it")
    after = decoded(content, target)
    correct_ambiguous_vr(after, True)
    assert texts(after) == wanted


TWINS = [
    ("MR_small_bigendian.dcm", "MR_small.dcm"),
    ("rtdose_expb.dcm", "rtdose.dcm"),
    ("rtdose_expb_1frame.dcm", "rtdose_1frame.dcm"),
    ("SC_rgb_expb_16bit.dcm", "SC_rgb_16bit.dcm"),
    ("SC_rgb_expb_32bit.dcm", "SC_rgb_32bit.dcm"),
    ("SC_rgb_expb.dcm", "SC_rgb.dcm"),
]


@pytest.mark.parametrize(("big", "little"), TWINS)
@pytest.mark.parametrize("target", TARGETS)
def test_pixels_are_those_of_the_little_endian_twin(samples, big, little, target):
    after = decoded(converted(samples[big].data_set, target), target)
    assert after.PixelData == samples[little].decoded().PixelData


def test_there_and_back_again_is_the_original(samples):
    source = samples["CT_small.dcm"]
    implicit = converted(source.data_set, IMPLICIT_LITTLE)
    explicit = converted(EncodedDataSet.read(implicit, IMPLICIT_LITTLE), EXPLICIT_LITTLE)
    assert texts(decoded(explicit, EXPLICIT_LITTLE)) == texts(source.decoded())


def test_pixel_data_goes_by_reference(samples):
    pieces = reencode(samples["CT_small.dcm"].data_set, IMPLICIT_LITTLE)
    assert max(piece.length for piece in pieces if isinstance(piece, Slice)) == 32768


def test_a_value_too_long_for_its_vr_becomes_unknown():
    value = b"1.5\\" * 20000
    implicit = b"\x18\x00\x50\x00" + len(value).to_bytes(4, "little") + value
    explicit = converted(EncodedDataSet.read(implicit, IMPLICIT_LITTLE), EXPLICIT_LITTLE)
    assert explicit[4:6] == b"UN"
    assert explicit[12:] == value


def test_other_targets_are_refused(samples):
    with pytest.raises(CannotReencode):
        reencode(samples["CT_small.dcm"].data_set, EXPLICIT_BIG)
