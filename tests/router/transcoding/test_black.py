"""Black rectangles: where they should be and nowhere else, whatever the pixels are encoded in."""

import numpy as np
import pytest

from router.transcoding.errors import CannotTranscode
from router.transcoding.plan import Blackening, Plan
from router.transcoding.transcoder import Transcoder
from router.transcoding.work import Loss
from rules.encoded.data_set import EncodedDataSet
from rules.encoded.encapsulated import frames_of
from rules.encoded.pictures import pixel_element
from tests.router.transcoding.material import (
    BIG,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG,
    JPEG_LS,
    JPEG_SV1,
    LOSSLESS,
    RLE,
    Encoded,
    gradient,
    picture,
    transcoded,
)

BOXES = ((0, 0, 20, 5), (30, 10, 100, 3), (500, 0, 5, 5))
"""At a corner, over the edge, and beside the picture."""


def burnt(pixels: np.ndarray, black: int = 0) -> np.ndarray:
    wanted = pixels.copy()
    for x, y, width, height in BOXES:
        wanted[..., y : y + height, x : x + width] = black
    return wanted


def burnt_colours(pixels: np.ndarray) -> np.ndarray:
    return np.moveaxis(burnt(np.moveaxis(pixels, -1, 0)), 0, -1)


def in_syntax(transcoder: Transcoder, pixels: np.ndarray, syntax: str, **more: int) -> Encoded:
    if syntax in (EXPLICIT, IMPLICIT, BIG):
        return picture(pixels, syntax, None, **more)
    return transcoded(transcoder, picture(pixels, EXPLICIT, None, **more), Plan(target=syntax))


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, DEFLATED, *LOSSLESS])
@pytest.mark.parametrize("dtype", ["<u1", "<u2", "<i2"])
def test_in_any_lossless_syntax_it_stays_in_it(transcoder: Transcoder, syntax: str, dtype: str):
    pixels = gradient(2, 40, 50, dtype=dtype, most=200)
    came = in_syntax(transcoder, pixels, syntax)
    left = transcoded(transcoder, came, Plan(black=(Blackening(boxes=BOXES),)))
    assert left.syntax == (EXPLICIT if syntax == BIG else syntax)
    assert np.array_equal(left.pixels(), burnt(pixels))
    header, before = left.read(), came.read()
    del header.PixelData, before.PixelData
    assert header == before


@pytest.mark.parametrize("syntax", [EXPLICIT, *LOSSLESS])
def test_colours(transcoder: Transcoder, syntax: str):
    pixels = gradient(40, 50, 3, dtype="<u1", most=200)
    came = in_syntax(transcoder, pixels, syntax)
    left = transcoded(transcoder, came, Plan(black=(Blackening(boxes=BOXES),)))
    assert np.array_equal(left.pixels(), burnt_colours(pixels))


def test_colours_by_plane_stay_so(transcoder: Transcoder):
    pixels = gradient(40, 50, 3, dtype="<u1", most=200)
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1)).tobytes()
    came = picture(pixels, PlanarConfiguration=1, PixelData=planes)
    left = transcoded(transcoder, came, Plan(black=(Blackening(boxes=BOXES),)))
    assert left.read().PlanarConfiguration == 1
    assert np.array_equal(left.pixels(), burnt_colours(pixels))


def test_where_0_is_white_black_is_the_highest_value(transcoder: Transcoder):
    pixels = gradient(40, 50)
    came = picture(pixels, photometric="MONOCHROME1", BitsStored=12, HighBit=11)
    left = transcoded(transcoder, came, Plan(black=(Blackening(boxes=BOXES),)))
    assert np.array_equal(left.pixels(), burnt(pixels, 4095))


@pytest.mark.parametrize("syntax", [EXPLICIT, JPEG_LS])
def test_only_the_frames_that_were_named(transcoder: Transcoder, syntax: str):
    pixels = gradient(6, 40, 50)
    came = in_syntax(transcoder, pixels, syntax, BitsStored=12, HighBit=11)
    plan = Plan(black=(Blackening(boxes=BOXES, frames=((2, 2), (4, 5))),))
    left = transcoded(transcoder, came, plan)
    wanted = pixels.copy()
    for frame in (1, 3, 4):
        wanted[frame] = burnt(pixels[frame])
    assert np.array_equal(left.pixels(), wanted)
    if syntax == JPEG_LS:
        there, here = fragments(came), fragments(left)
        assert [n for n in range(6) if there[n] == here[n]] == [0, 2, 5]


def test_what_jpeg_lost_stays_lost_and_marked_and_nothing_more_is_lost(transcoder: Transcoder):
    pixels = gradient(40, 50, 3, dtype="<u1", most=200)
    came = transcoded(transcoder, picture(pixels), Plan(target=JPEG, loss=Loss(quality=80)))
    left = transcoded(transcoder, came, Plan(black=(Blackening(boxes=BOXES),)))
    assert left.syntax == JPEG_SV1
    before = transcoded(transcoder, came, Plan(target=EXPLICIT))
    assert np.array_equal(left.pixels(), burnt_colours(before.pixels()))
    assert left.read().LossyImageCompression == "01"
    assert left.read().LossyImageCompressionMethod == "ISO_10918_1"
    assert left.uid == came.uid


def test_with_another_syntax_in_one_go(transcoder: Transcoder):
    pixels = gradient(40, 50)
    plan = Plan(target=RLE, black=(Blackening(boxes=BOXES),))
    left = transcoded(transcoder, picture(pixels, IMPLICIT), plan)
    assert left.syntax == RLE
    assert np.array_equal(left.pixels(), burnt(pixels))


def test_an_object_without_pixels_stays_as_it_is(transcoder: Transcoder):
    came = picture(gradient(40, 50))
    data = came.data[: came.data.rindex(b"\xe0\x7f\x10\x00OW")]
    left = transcoded(transcoder, Encoded(data, EXPLICIT), Plan(black=(Blackening(boxes=BOXES),)))
    assert left == Encoded(data, EXPLICIT)


def test_pixels_that_are_not_all_there_are_refused(transcoder: Transcoder):
    came = picture(gradient(40, 50), PixelData=bytes(40 * 50))
    with pytest.raises(CannotTranscode, match="shorter than the header says"):
        transcoded(transcoder, came, Plan(black=(Blackening(boxes=BOXES),)))


def fragments(one: Encoded) -> list[bytes]:
    data_set = EncodedDataSet.read(one.data, one.syntax)
    element = pixel_element(data_set)
    assert element is not None
    frames = frames_of(data_set.source, element, int(one.read().NumberOfFrames))
    return [
        b"".join(one.data[part.offset : part.offset + part.length] for part in frame)
        for frame in frames
    ]
