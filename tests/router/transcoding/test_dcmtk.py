"""DCMTK decodes what we encode, sample for sample; and colours keep their meaning with all."""

import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest

from router.dicom.part10 import FileMeta, encode_file_meta
from router.transcoding.plan import Blackening, Plan
from router.transcoding.transcoder import Transcoder
from router.transcoding.work import Loss
from tests.programs import needed
from tests.router.transcoding.material import (
    EXPLICIT,
    HTJ2K,
    J2K,
    JPEG,
    JPEG_LOSSLESS,
    JPEG_LS,
    JPEG_LS_NEAR,
    JPEG_SV1,
    LOSSLESS,
    RLE,
    SECONDARY_CAPTURE,
    gradient,
    picture,
    transcoded,
)

DECODERS = {RLE: "dcmdrle", JPEG_LS: "dcmdjpls", JPEG_SV1: "dcmdjpeg", JPEG_LOSSLESS: "dcmdjpeg"}
COLOURS = gradient(64, 48, 3, dtype="<u1", most=250)
PICTURES = {
    "8 bits": picture(gradient(64, 48, dtype="<u1", most=250)),
    "12 bits": picture(gradient(64, 48), BitsStored=12, HighBit=11),
    "signed": picture(gradient(64, 48, dtype="<i2") - 2000),
    "colours": picture(COLOURS),
    "frames": picture(gradient(3, 64, 48)),
}


@pytest.mark.interop
@pytest.mark.parametrize("syntax", DECODERS)
@pytest.mark.parametrize("name", PICTURES)
def test_dcmtk_decodes_what_we_encode(
    transcoder: Transcoder, name: str, syntax: str, tmp_path: Path
):
    came = PICTURES[name]
    left = transcoded(transcoder, came, Plan(target=syntax))
    meta = FileMeta(
        media_storage_sop_class_uid=SECONDARY_CAPTURE,
        media_storage_sop_instance_uid=left.uid,
        transfer_syntax_uid=syntax,
    )
    encoded, decoded = tmp_path / "encoded.dcm", tmp_path / "decoded.dcm"
    encoded.write_bytes(encode_file_meta(meta) + left.data)
    command = [needed(DECODERS[syntax]), str(encoded), str(decoded)]
    subprocess.run(command, check=True, capture_output=True)
    assert np.array_equal(pydicom.dcmread(decoded).pixel_array, came.pixels())


LOSSES = [
    Plan(target=JPEG, loss=Loss(quality=95)),
    Plan(target=J2K, loss=Loss(ratio=3)),
    Plan(target=HTJ2K, loss=Loss(ratio=3)),
    Plan(target=JPEG_LS_NEAR, loss=Loss(error=1)),
]


@pytest.mark.parametrize("plan", [*(Plan(target=one) for one in LOSSLESS), *LOSSES], ids=str)
def test_luminance_and_chrominance_are_taken_for_what_they_are(transcoder: Transcoder, plan: Plan):
    came = picture(COLOURS, photometric="YBR_FULL")
    left = transcoded(transcoder, came, plan)
    off = np.abs(left.pixels().astype(int) - came.pixels().astype(int))
    assert off.mean() < 4 if plan.loss else off.max() == 0
    back = transcoded(transcoder, left, Plan(target=EXPLICIT))
    off = np.abs(back.pixels().astype(int) - left.pixels().astype(int))
    # Decoders of what has lost something may round differently.
    assert off.max() <= (8 if plan.target == JPEG else 2 if plan.loss else 0)


def test_black_is_black_in_chrominance_too(transcoder: Transcoder):
    came = picture(COLOURS, photometric="YBR_FULL")
    plan = Plan(black=(Blackening(boxes=((0, 0, 5, 5),)),))
    assert not transcoded(transcoder, came, plan).pixels()[:5, :5].any()
