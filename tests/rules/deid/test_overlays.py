"""Overlays in bits of the pixels: cleared where the picture does not use them, else held."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from router.config import Codecs
from router.transcoding.errors import CannotTranscode
from router.transcoding.parts import blocks_of
from router.transcoding.plan import Plan
from router.transcoding.transcoder import Transcoder
from rules.deid.engine import Refused
from rules.editing.schema import Edit
from rules.edits import apply_edits
from rules.encoded.data_set import EncodedDataSet
from rules.loading import rules_of_texts
from tests.router.transcoding.material import (
    BIG,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    J2K_LOSSLESS,
    JPEG_SV1,
    RLE,
    Encoded,
    encode,
    gradient,
    transcoded,
)
from tests.rules.deid.test_phantom import profile


@pytest.fixture(scope="module")
def transcoder() -> Iterator[Transcoder]:
    made = Transcoder(Codecs())
    yield made
    made.close()


def overlaid(pixels: np.ndarray, syntax: str, *, high: int = 11, **more: object) -> Encoded:
    """Pictures of 12 bits with a figure in bit 15, which an overlay group describes."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4", "1.2.3.4"
    made.StudyInstanceUID, made.PatientID = "1.2.3.5", "4711"
    made.Rows, made.Columns, made.NumberOfFrames = *pixels.shape[1:], pixels.shape[0]
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, high
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    plain = pixels.view("<u2")
    figure = np.zeros_like(plain)
    figure[:, 2:9, 3:30:2] = 1
    used = (plain & 0xFFF) << (high - 11)
    words = used | figure << (15 if high < 15 else 0)
    made.PixelData = words.astype(">u2" if syntax == BIG else "<u2").tobytes()
    made["PixelData"].VR = "OW"
    made.add_new(0x60000010, "US", pixels.shape[1])
    made.add_new(0x60000011, "US", pixels.shape[2])
    made.add_new(0x60000040, "CS", "G")
    made.add_new(0x60000050, "SS", [1, 1])
    made.add_new(0x60000100, "US", 16)
    made.add_new(0x60000102, "US", 15 if high < 15 else 0)
    for keyword, value in more.items():
        setattr(made, keyword, value)
    return Encoded(encode(made, syntax), syntax)


def sent(transcoder: Transcoder, came: Encoded, edits: tuple[Edit, ...] = ()) -> Encoded:
    """As a route without dangers that pass sends it."""
    data_set = EncodedDataSet.read(came.data, came.syntax)
    edited = apply_edits(edits, data_set, record=None, profile=profile(dangers={}))
    with transcoder.edited(data_set, edited) as done:
        data = b"".join(blocks_of(done.source, done.parts))
        return Encoded(data, done.transfer_syntax_uid, done.sop_instance_uid)


def words(one: Encoded) -> np.ndarray:
    """All bits of the samples, as they are written."""
    return np.frombuffer(one.read().PixelData, "<u2")


@pytest.mark.parametrize("dtype", ["<u2", "<i2"])
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, DEFLATED, RLE, JPEG_SV1, J2K_LOSSLESS])
def test_bits_that_the_picture_does_not_use_are_cleared(
    transcoder: Transcoder, syntax: str, dtype: str
) -> None:
    pixels = gradient(3, 40, 50).astype(dtype) - (2048 if dtype == "<i2" else 0)
    native = syntax if syntax in (EXPLICIT, IMPLICIT, BIG) else EXPLICIT
    came = overlaid(pixels, native)
    if native != syntax:
        came = transcoded(transcoder, came, Plan(target=syntax))
    left = sent(transcoder, came)
    assert left.syntax == (EXPLICIT if syntax == BIG else syntax)
    assert not [element for element in left.read() if element.tag.group == 0x6000]
    plain = transcoded(transcoder, left, Plan(target=EXPLICIT))
    assert np.array_equal(words(plain).view(dtype), pixels.ravel())


def test_so_are_those_below_the_picture(transcoder: Transcoder) -> None:
    pixels = gradient(1, 40, 50)
    came = overlaid(pixels, EXPLICIT, high=15)
    assert (words(came) & 1).any()
    assert np.array_equal(words(sent(transcoder, came)), pixels.ravel() << 4)


def test_what_a_route_takes_out_of_the_header_is_still_in_the_pixels(
    transcoder: Transcoder,
) -> None:
    text = (
        "{profiles: {p: {key: research}}, routes: [{name: a, deidentify: p, send_to: x,"
        " edits: [remove: '(60xx,xxxx)']}]}"
    )
    table = rules_of_texts({"a.yaml": text}, keys={"research": "a secret of many characters"})
    pixels = gradient(1, 40, 50)
    left = sent(transcoder, overlaid(pixels, EXPLICIT), table.routes[0].dispatch.edits)
    assert np.array_equal(words(left), pixels.ravel())


def test_an_overlay_in_bits_that_the_picture_uses_holds_the_object(transcoder: Transcoder) -> None:
    came = overlaid(gradient(1, 40, 50), EXPLICIT, BitsStored=16, HighBit=15)
    with pytest.raises(Refused, match="burned-in text: an overlay is in bits that its picture"):
        sent(transcoder, came)


def test_an_overlay_with_data_of_its_own_and_bits_elsewhere_is_in_the_pixels_too(
    transcoder: Transcoder,
) -> None:
    pixels = gradient(1, 40, 50)
    header = pydicom.dcmread(io.BytesIO(overlaid(pixels, EXPLICIT).data), force=True)
    header.add_new(0x60003000, "OW", b"\0\0")
    left = sent(transcoder, Encoded(encode(header, EXPLICIT), EXPLICIT))
    assert np.array_equal(words(left), pixels.ravel())


def test_an_overlay_whose_data_is_gone_leaves_the_pixels_as_they_are() -> None:
    came = overlaid(gradient(1, 40, 50, most=255).astype("<u2"), EXPLICIT)
    header = pydicom.dcmread(io.BytesIO(came.data), force=True)
    header.BitsStored, header.HighBit = 16, 15
    header[0x60000100].value, header[0x60000102].value = 1, 0
    data_set = EncodedDataSet.read(encode(header, EXPLICIT), EXPLICIT)
    assert not apply_edits((), data_set, record=None, profile=profile(dangers={})).pixel_edits


def test_bits_that_make_no_sense_are_refused(transcoder: Transcoder) -> None:
    came = overlaid(gradient(1, 40, 50), EXPLICIT, HighBit=5)
    with pytest.raises(CannotTranscode, match="High Bit"):
        sent(transcoder, came)
