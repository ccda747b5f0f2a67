"""Comments in compressed frames are blanked, and the picture stays as it is."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_fragments

from rules.deid.profile import Danger
from rules.deid.scan import findings
from rules.edits import EditFailed, apply_edits
from rules.encoded.data_set import EncodedDataSet, Slice
from tests.rules.deid.test_phantom import profile
from tests.rules.deid.test_scan import encoded, original

SYNTAX = "1.2.840.10008.1.2.4.50"
NAME = b"Vandermeer"


def result_of(
    frames: list[bytes],
    *edits: dict[str, object],
    fragments: bytes = b"",
    onto: Dataset | None = None,
) -> tuple[EncodedDataSet, bytes]:
    pixels, made = fragments or encapsulate(frames), onto or original()
    made.PixelData = pixels
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    source = EncodedDataSet.read(encoded(made).source, SYNTAX)
    edited = apply_edits((), source, record=None, profile=profile(edits=list(edits)))
    assert edited.pixel_edits == ()
    content = b"".join(
        bytes(source.source[one.offset : one.offset + one.length])
        if isinstance(one, Slice)
        else one
        for one in edited.pieces
    )
    return source, content


def segment(marker: int, text: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + (len(text) + 2).to_bytes(2, "big") + text


def frames_in(content: bytes) -> list[bytes]:
    data_set = EncodedDataSet.read(content, SYNTAX)
    element = data_set.element(0x7FE00010)
    assert element is not None
    return list(generate_fragments(content[element.value : element.stop]))[1:]


JFIF, SCAN = segment(0xE0, b"JFIF\0Vandermeer"), b"\xff\xda\0\x04..Vandermeer..\xff\xd9"


@pytest.mark.parametrize("marker", [0xFE, 0xE1, 0xED])
def test_a_comment_of_each_frame_is_blanked_where_it_stands(marker: int) -> None:
    frame = b"\xff\xd8" + JFIF + segment(marker, NAME) + b"\xff\xff" + segment(0xDB, NAME) + SCAN
    _, content = result_of([frame, frame])
    expected = frame.replace(segment(marker, NAME), segment(marker, b" " * len(NAME)))
    assert [one[: len(frame)] for one in frames_in(content)] == [expected, expected]


def test_a_comment_of_jpeg_2000_keeps_its_kind() -> None:
    size = segment(0x51, bytes(36))
    frame = b"\xff\x4f" + size + segment(0x64, b"\0\1" + NAME) + b"\xff\x90\0\x0a" + NAME
    _, content = result_of([frame])
    assert segment(0x64, b"\0\1" + b" " * len(NAME)) in content
    assert content.count(NAME) == 1


@pytest.mark.parametrize(
    "frame",
    [
        b"\xff\xd8\xff\xfe", b"\xff\xd8\xff\xfe\xff\xff" + NAME, b"\xff\xd8\xff\xfe\0\0" + NAME,
        b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\xff\xd8" + b"\xff" * 5000, b"\1\2",
    ],
)  # fmt: skip
def test_what_makes_no_sense_stays(frame: bytes) -> None:
    _, content = result_of([frame])
    (found,) = frames_in(content)
    assert found.rstrip(b"\0") == frame.rstrip(b"\0")


def test_to_ask_for_the_syntax_that_is_there_changes_nothing() -> None:
    frame = b"\xff\xd8" + segment(0xFE, NAME) + SCAN
    asked: dict[str, object] = {"transfer_syntax": {"to": SYNTAX, "lossy": {"quality": 90}}}
    assert result_of([frame], asked)[1] == result_of([frame])[1]


def test_the_proof_finds_nothing_any_more() -> None:
    frame = b"\xff\xd8" + segment(0xFE, b"of Vandermeer, 17.05.2024") + b"\xff\xda\0\x02\xff\xd9"
    source, content = result_of([frame])
    assert findings(source, EncodedDataSet.read(content, SYNTAX)) == []
    assert NAME in bytes(source.source)


def test_a_decoder_sees_the_same_picture(tmp_path: Path) -> None:
    found = get_testdata_file("examples_ybr_color.dcm")
    assert isinstance(found, str)
    made = pydicom.dcmread(found)
    frames = [
        frame[:2] + segment(0xFE, NAME) + frame[2:]
        for frame in generate_fragments(made.PixelData)
        if frame.startswith(b"\xff\xd8")
    ][:2]
    made.NumberOfFrames, made.PixelData = 2, encapsulate(frames)
    before = made.pixel_array
    made.save_as(tmp_path / "in.dcm")
    content = (tmp_path / "in.dcm").read_bytes()
    meta = made.file_meta.TransferSyntaxUID
    start = content.index(b"\x08\0\x08\0CS")
    source = EncodedDataSet.read(content, meta, offset=start)
    passed = profile(dangers=dict.fromkeys(Danger, "pass"))
    edited = apply_edits((), source, record=None, profile=passed)
    result = content[:start] + b"".join(
        content[one.offset : one.offset + one.length] if isinstance(one, Slice) else one
        for one in edited.pieces
    )
    (tmp_path / "out.dcm").write_bytes(result)
    assert NAME not in result
    assert (pydicom.dcmread(tmp_path / "out.dcm").pixel_array == before).all()


END = b"\xff\xd9"
TEXT = segment(0xFE, NAME)
PART = b"\xff\x90\0\x0a\0\0%b\0\1"


def blank(*pieces: bytes) -> bytes:
    """The pieces without the name."""
    return b"".join(pieces).replace(NAME, b" " * len(NAME))


def in_2000(*of_tile: bytes, size: int | None = None) -> bytes:
    tile = b"".join(of_tile) + b"\xff\x93Vandermaar"
    length = 12 + len(tile) if size is None else size
    return b"\xff\x4f" + segment(0x51, bytes(36)) + PART % length.to_bytes(4, "big") + tile + END


COMMENT_2000 = segment(0x64, b"\0\1" + NAME)
BOX = b"\0\0\0\x0cjP  \r\n\x87\n"


@pytest.mark.parametrize(
    "frame",
    [
        b"\xff\xd8\xff\xda\0\x02\xff\0\xff\xd0.." + TEXT + b"\xff\xda\0\x02.." + END,
        b"\xff\xd8\xff\xda\0\x02\x12" + END + NAME,
        b"\xff\xd8\xff\xda\0\x02\x12" + END + b"\xff\xd8" + TEXT + b"\xff\xda\0\x02\x12" + END,
        b"\xff\xd8\xff\xf7\0\x02\xff\xda\0\x02\xff\x7f\x12" + TEXT + END,
        in_2000(COMMENT_2000),
        in_2000(COMMENT_2000, size=0),
        in_2000() + NAME,
        BOX + b"\0\0\0\x12xml " + NAME + b"\0\0\0\0jp2c" + in_2000(COMMENT_2000),
    ],
    ids=["between scans", "behind the end", "in the next", "JPEG-LS", "tile", "last tile",
         "behind the end of JPEG 2000", "box"],
)  # fmt: skip
def test_wherever_they_are(frame: bytes) -> None:
    _, content = result_of([frame])
    (found,) = frames_in(content)
    assert found[: len(frame)] == blank(frame)


def test_where_a_picture_is_cut_into_fragments() -> None:
    frame = b"\xff\xd8" + JFIF + TEXT + SCAN
    at = (frame.index(TEXT) + 8) // 2 * 2
    made = encapsulate([frame[:at], frame[at:]], has_bot=False)
    _, content = result_of([], fragments=made)
    found = b"".join(frames_in(content))
    assert found[: len(frame)] == frame.replace(TEXT, TEXT[:4] + b" " * len(NAME))


@pytest.mark.parametrize("table", [NAME + b"\0\0", b"\0\0\0\0" + NAME[:8]])
def test_an_offset_table_that_makes_no_sense_holds_the_object(table: bytes) -> None:
    made = b"\xfe\xff\0\xe0" + len(table).to_bytes(4, "little") + table + encapsulate([SCAN])[12:]
    with pytest.raises(EditFailed, match="table of offsets"):
        result_of([], fragments=made)


def test_an_extended_table_that_makes_no_sense_is_taken_out() -> None:
    frame = b"\xff\xd8" + SCAN
    for value, stays in ((bytes(8), True), (b"Zzyx1234", False)):
        made = original()
        made.add_new(0x7FE00001, "OV", value)
        _, content = result_of([frame], onto=made)
        assert (value in content) is stays
