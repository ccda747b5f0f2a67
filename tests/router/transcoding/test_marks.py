"""What the header says afterwards: of loss above all, and of colours, planes and frames."""

import struct
import tracemalloc
from mmap import ACCESS_READ, mmap
from pathlib import Path

import numpy as np
import pytest

from router.transcoding.errors import CannotTranscode
from router.transcoding.marks import Result, mark
from router.transcoding.parts import blocks_of
from router.transcoding.plan import Blackening, Plan
from router.transcoding.skeleton import skeleton
from router.transcoding.transcoder import Transcoder
from router.transcoding.work import Loss
from rules.edits import Edited
from rules.encoded.data_set import EncodedDataSet, Slice
from rules.encoded.draft import Draft
from rules.encoded.forms import form_of
from tests.router.transcoding.material import (
    BIG,
    DEFLATED,
    EXPLICIT,
    HTJ2K,
    IMPLICIT,
    J2K,
    J2K_LOSSLESS,
    JPEG,
    JPEG_LS,
    JPEG_LS_NEAR,
    LOSSLESS,
    RLE,
    SECONDARY_CAPTURE,
    Encoded,
    encode,
    gradient,
    picture,
    transcoded,
)

GREY = gradient(96, 128, dtype="<u1", most=250)
COLOURS = gradient(96, 128, 3, dtype="<u1", most=250)
LOSSY = [
    (JPEG, Loss(quality=80), "ISO_10918_1"),
    (J2K, Loss(ratio=12), "ISO_15444_1"),
    (HTJ2K, Loss(ratio=12), "ISO_15444_15"),
    (JPEG_LS_NEAR, Loss(error=3), "ISO_14495_1"),
]


@pytest.mark.parametrize("pixels", [GREY, COLOURS], ids=["grey", "colours"])
@pytest.mark.parametrize(("syntax", "loss", "method"), LOSSY, ids=[one[0] for one in LOSSY])
def test_what_loses_something_says_so(
    transcoder: Transcoder, pixels: np.ndarray, syntax: str, loss: Loss, method: str
):
    came = picture(pixels)
    left = transcoded(transcoder, came, Plan(target=syntax, loss=loss))
    header = left.read()
    assert left.syntax == syntax
    assert header.LossyImageCompression == "01"
    assert header.LossyImageCompressionMethod == method
    ratio = pixels.nbytes / len(header.PixelData)
    assert float(header.LossyImageCompressionRatio) == pytest.approx(ratio, rel=0.05)
    if loss.ratio:
        assert ratio >= loss.ratio * 0.8
    assert header.ImageType == ["DERIVED", "PRIMARY"]
    assert method in header.DerivationDescription
    (derivation,) = header.DerivationCodeSequence
    assert (derivation.CodeValue, derivation.CodingSchemeDesignator) == ("113040", "DCM")
    (source,) = header.SourceImageSequence
    assert source.ReferencedSOPClassUID == SECONDARY_CAPTURE
    assert source.ReferencedSOPInstanceUID == came.uid
    assert source.PurposeOfReferenceCodeSequence[0].CodeValue == "121320"
    assert header.SOPInstanceUID == left.uid != came.uid
    off = np.abs(left.pixels().astype(int) - pixels.astype(int))
    assert 0 < off.mean() < 6
    if loss.error:
        assert off.max() <= loss.error


def test_the_same_loss_makes_the_same_object_and_another_another(transcoder: Transcoder):
    came = picture(GREY)
    uids = [
        transcoded(transcoder, came, Plan(target=JPEG, loss=Loss(quality=quality))).uid
        for quality in (80, 80, 70)
    ]
    assert uids[0] == uids[1] != uids[2]


@pytest.mark.parametrize("marked", [True, False])
def test_what_has_lost_something_is_not_made_to_lose_more(transcoder: Transcoder, marked: bool):
    if marked:
        came = picture(GREY, LossyImageCompression="01")
    else:
        came = transcoded(transcoder, picture(GREY), Plan(target=JPEG, loss=Loss(quality=80)))
    with pytest.raises(CannotTranscode, match="lost something already"):
        transcoded(transcoder, came, Plan(target=J2K, loss=Loss(ratio=10)))


def test_without_loss_jpeg_2000_and_htj2k_lose_nothing_under_their_lossy_names_too(transcoder):
    for syntax in (J2K, HTJ2K):
        left = transcoded(transcoder, picture(COLOURS), Plan(target=syntax))
        assert left.syntax == syntax
        assert np.array_equal(left.pixels(), COLOURS)
        assert "LossyImageCompression" not in left.read()
        back = transcoded(transcoder, left, Plan(target=EXPLICIT))
        assert "LossyImageCompression" not in back.read()


@pytest.mark.parametrize("target", [EXPLICIT, RLE, J2K_LOSSLESS])
def test_the_mark_of_loss_stays_and_is_made_where_it_is_missing(transcoder, target: str):
    lossy = transcoded(transcoder, picture(GREY), Plan(target=JPEG, loss=Loss(quality=80)))
    header = lossy.read()
    for keyword in ("LossyImageCompression", "LossyImageCompressionMethod"):
        delattr(header, keyword)
    del header.LossyImageCompressionRatio
    unmarked = Encoded(_written(header), JPEG, lossy.uid)
    for came in (lossy, unmarked):
        left = transcoded(transcoder, came, Plan(target=target)).read()
        assert left.LossyImageCompression == "01"
        assert left.LossyImageCompressionMethod == "ISO_10918_1"
        assert float(left.LossyImageCompressionRatio) > 2
        assert left.SOPInstanceUID == lossy.uid


@pytest.mark.parametrize("source", [EXPLICIT, IMPLICIT, BIG, DEFLATED])
@pytest.mark.parametrize("target", [EXPLICIT, IMPLICIT, DEFLATED, *LOSSLESS])
@pytest.mark.parametrize("dtype", ["<u1", "<i2"])
def test_from_any_native_syntax_into_any_that_loses_nothing(
    transcoder: Transcoder, source: str, target: str, dtype: str
):
    pixels = gradient(3, 15, 17, dtype=dtype, most=120)  # frames and all of odd length
    if dtype == "<i2":
        pixels -= 60
    came = picture(pixels, EXPLICIT if source == DEFLATED else source)
    if source == DEFLATED:
        came = transcoded(transcoder, came, Plan(target=DEFLATED))
        assert came.syntax == DEFLATED
    left = transcoded(transcoder, came, Plan(target=target))
    assert left.syntax == target
    assert len(left.data) % 2 == 0
    assert np.array_equal(left.pixels(), pixels)
    assert left.uid == came.uid


def test_colours_by_plane_and_shared_colours(transcoder: Transcoder):
    planes = np.ascontiguousarray(COLOURS.transpose(2, 0, 1)).tobytes()
    by_plane = picture(COLOURS, PlanarConfiguration=1, PixelData=planes)
    for syntax in LOSSLESS:
        left = transcoded(transcoder, by_plane, Plan(target=syntax))
        assert left.read().PlanarConfiguration == 0
        assert np.array_equal(left.pixels(), COLOURS), syntax
    pairs = COLOURS[:, :, :2].tobytes()  # Y Y Cb Cr, whatever that shows
    shared = picture(COLOURS, photometric="YBR_FULL_422", PixelData=pairs)
    wanted = shared.pixels()
    for syntax in (RLE, JPEG_LS, J2K_LOSSLESS):
        left = transcoded(transcoder, shared, Plan(target=syntax))
        assert left.read().PhotometricInterpretation == "YBR_FULL"
        assert np.array_equal(left.pixels(), wanted), syntax


def test_photometric_interpretation_follows_the_codestream(transcoder: Transcoder):
    named = {
        syntax: transcoded(transcoder, picture(COLOURS), Plan(target=syntax)).read()
        for syntax in LOSSLESS
    }
    assert {syntax: header.PhotometricInterpretation for syntax, header in named.items()} == {
        syntax: "YBR_RCT" if ".4.9" in syntax or ".4.2" in syntax else "RGB" for syntax in LOSSLESS
    }
    with_loss = transcoded(transcoder, picture(COLOURS), Plan(target=JPEG, loss=Loss(quality=90)))
    assert with_loss.read().PhotometricInterpretation == "YBR_FULL_422"


def test_bits_above_bits_stored_are_kept(transcoder: Transcoder):
    """An overlay may lie there."""
    pixels = gradient(40, 50) | 0x8000
    came = picture(pixels, BitsStored=12, HighBit=11)
    for syntax in LOSSLESS:
        left = transcoded(transcoder, came, Plan(target=syntax))
        back = transcoded(transcoder, left, Plan(target=EXPLICIT))
        assert back.read().PixelData == came.read().PixelData, syntax


def test_an_offset_table_names_each_frame(transcoder: Transcoder):
    pixels = gradient(5, 40, 50)
    left = transcoded(transcoder, picture(pixels), Plan(target=RLE)).read()
    table, fragments = _items(left.PixelData)
    assert len(table) == len(fragments) == 5
    assert list(table) == [sum(8 + len(one) for one in fragments[:n]) for n in range(5)]


def test_offsets_beyond_32_bits_go_into_the_extended_table():
    header = EncodedDataSet.read(picture(GREY).data, EXPLICIT)
    header.root.complete()
    draft = Draft(header, header.root, header.charset)
    offsets, lengths = (0, 1 << 31, 1 << 33), (7, 8, 9)
    result = Result(
        source=EXPLICIT,
        target=RLE,
        photometric="MONOCHROME2",
        interleaved=False,
        was_lossy=False,
        native=1,
        before=1,
        after=1,
        lengths=lengths,
        offsets=offsets,
    )
    assert mark(draft, result, None) is None
    parts = skeleton(draft, form_of(RLE))
    left = Encoded(parts.before, EXPLICIT).read()
    assert left.ExtendedOffsetTable == np.array(offsets, "<u8").tobytes()
    assert left.ExtendedOffsetTableLengths == np.array(lengths, "<u8").tobytes()


def test_memory_does_not_grow_with_the_number_of_frames(transcoder: Transcoder, tmp_path: Path):
    frame = gradient(512, 1024)
    few = picture(np.stack([frame, frame])).data
    at = few.index(b"\xe0\x7f\x10\x00OW") + 8
    frames = 150
    head = few[:at].replace(b"IS\x02\x002 ", b"IS\x04\x00150 ") + struct.pack("<L", frames << 20)
    with (tmp_path / "many").open("wb") as new:
        new.write(head)
        for _ in range(frames):
            new.write(frame.tobytes())
    with (tmp_path / "many").open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as all_:
        data_set = EncodedDataSet.read(all_, EXPLICIT)
        edited = Edited(
            pieces=(Slice(0, len(all_)),),
            sop_class_uid=SECONDARY_CAPTURE,
            sop_instance_uid="1.2.3.4",
            transfer_syntax_uid=EXPLICIT,
            changed=(),
        )
        tracemalloc.start()
        try:
            with transcoder.planned(data_set, edited, Plan(target=RLE)) as done:
                assert sum(map(len, blocks_of(done.source, done.parts))) > 50 << 20
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 16 << 20


def test_signatures_and_the_length_of_the_group_do_not_survive(transcoder: Transcoder):
    came = picture(GREY, MACParametersSequence=[], DigitalSignaturesSequence=[])
    at = came.data.index(b"\xe0\x7f\x10\x00OB")
    length = b"\xe0\x7f\x00\x00UL\x04\x00" + (len(came.data) - at).to_bytes(4, "little")
    left = transcoded(
        transcoder, Encoded(came.data[:at] + length + came.data[at:], EXPLICIT), Plan(target=RLE)
    ).read()
    assert not {"MACParametersSequence", "DigitalSignaturesSequence"} & set(left.dir())
    assert 0x7FE00000 not in left


@pytest.mark.parametrize(
    ("came", "plan", "why"),
    [
        (
            picture(GREY, photometric="PALETTE COLOR"),
            Plan(target=JPEG, loss=Loss(quality=80)),
            "pal",
        ),
        (picture(gradient(8, 8)), Plan(target=JPEG, loss=Loss(quality=80)), "8 bits"),
        (picture(GREY, BitsAllocated=12), Plan(target=RLE), "Bits Allocated"),
        (picture(GREY, Rows=0), Plan(target=RLE), "no rows"),
        (picture(GREY, photometric="CMYK"), Plan(target=RLE), "CMYK"),
        (picture(GREY, NumberOfFrames=2), Plan(target=RLE), "shorter"),
        (picture(GREY), Plan(target=BIG), "does not write"),
        (Encoded(picture(GREY).data, "1.2.840.10008.1.2.4.102"), Plan(target=EXPLICIT), "no codec"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_done_is_refused_with_the_reason(transcoder, came, plan, why):
    with pytest.raises(CannotTranscode, match=why):
        transcoded(transcoder, came, plan)


def test_floating_point_pixels_are_left_alone(transcoder: Transcoder):
    came = picture(GREY).read()
    del came.PixelData
    came.FloatPixelData = b"\0\0\x80?" * GREY.size
    floats = Encoded(_written(came), EXPLICIT)
    assert transcoded(transcoder, floats, Plan(target=IMPLICIT)).read().FloatPixelData == (
        came.FloatPixelData
    )
    black = Plan(black=(Blackening(boxes=((0, 0, 1, 1),)),))
    for plan in (Plan(target=RLE), black):
        with pytest.raises(CannotTranscode, match="floating point"):
            transcoded(transcoder, floats, plan)


def _written(header) -> bytes:
    plain = header.copy()
    if header.file_meta.TransferSyntaxUID.is_encapsulated:
        plain["PixelData"].is_undefined_length = True
    return encode(plain, EXPLICIT)


def _items(data: bytes) -> tuple[np.ndarray, list[bytes]]:
    found: list[bytes] = []
    while data[:4] == b"\xfe\xff\x00\xe0":
        length = int.from_bytes(data[4:8], "little")
        found.append(data[8 : 8 + length])
        data = data[8 + length :]
    return np.frombuffer(found[0], "<u4"), found[1:]
