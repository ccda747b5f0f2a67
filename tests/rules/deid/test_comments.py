"""Comments in compressed frames are blanked, and the picture stays as it is."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_fragments

from rules.deid.profile import Danger
from rules.deid.scan import findings
from rules.edits import apply_edits
from rules.encoded import EncodedDataSet, Slice
from tests.rules.deid.test_phantom import profile
from tests.rules.deid.test_scan import encoded, original

SYNTAX = "1.2.840.10008.1.2.4.50"
NAME = b"Vandermeer"


def result_of(frames: list[bytes], *edits: dict[str, object]) -> tuple[EncodedDataSet, bytes]:
    made = original()
    made.PixelData = encapsulate(frames)
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
