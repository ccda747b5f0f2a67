"""Text in pictures: found in any coding, on any frame; pictures without it pass."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image, ImageDraw, ImageFont
from prometheus_client import REGISTRY
from pydicom.dataset import Dataset

from router.config import Codecs
from router.transcoding.errors import CannotTranscode
from router.transcoding.looking import SOME, Found, chosen, find_text
from router.transcoding.palettes import light_of
from router.transcoding.plan import Blackening, Plan
from router.transcoding.processes import CodecProcesses
from router.transcoding.transcoder import Transcoder
from rules.encoded.data_set import EncodedDataSet
from tests.programs import missing
from tests.router.transcoding.material import (
    BIG,
    EXPLICIT,
    J2K_LOSSLESS,
    Encoded,
    encode,
    file,
    gradient,
    picture,
    transcoded,
)


@pytest.fixture(scope="module")
def processes(transcoder: Transcoder) -> CodecProcesses:
    if importlib.util.find_spec("rapidocr") is None:
        raise missing("the extra `ocr` is not installed")
    return transcoder.processes


def soft(*shape: int, dtype: str = "<u2") -> np.ndarray:
    """As bright as tissue: half of what the samples can hold."""
    most = 2000 if np.dtype(dtype).itemsize > 1 else 120
    return gradient(*shape, dtype=dtype, most=most)


def written(
    pixels: np.ndarray, value: int, text: str = "MUSTER^ANNA 12.03.1960", size: int = 14
) -> np.ndarray:
    """The frame with a line of text at the upper left."""
    mask = Image.new("L", (pixels.shape[1], pixels.shape[0]), 0)
    font = ImageFont.load_default(size)
    ImageDraw.Draw(mask).text((9, 11), text, fill=255, font=font)
    changed = pixels.copy()
    changed[np.asarray(mask) > 127] = value
    return changed


def found(processes: CodecProcesses, one: Encoded, *, every_frame: bool = True) -> Found | None:
    data_set = EncodedDataSet.read(one.data, one.syntax)
    return find_text(processes, data_set, every_frame=every_frame)


def searches(outcome: str) -> float:
    name = "dicom_router_text_searches_total"
    return REGISTRY.get_sample_value(name, {"outcome": outcome}) or 0.0


@pytest.mark.parametrize("syntax", [EXPLICIT, BIG, J2K_LOSSLESS])
def test_in_any_coding(transcoder: Transcoder, processes: CodecProcesses, syntax: str):
    one = picture(written(soft(160, 256), 4000), BIG if syntax == BIG else EXPLICIT)
    if syntax != one.syntax:
        one = transcoded(transcoder, one, Plan(target=syntax))
    before = searches("found")
    assert found(processes, one) == Found(frame=1)
    assert searches("found") - before == 1


def test_in_whatever_the_samples_mean(processes: CodecProcesses):
    signed = written(soft(160, 256).astype("<i2") - 1024, 1200)
    assert found(processes, picture(signed))
    assert found(processes, picture(written(soft(160, 256), 0), photometric="MONOCHROME1"))
    colours = np.stack([written(soft(160, 256, dtype="u1"), 250)] * 3, axis=-1)
    assert found(processes, picture(colours, photometric="YBR_FULL"))
    outlier = written(soft(160, 256), 2600)
    outlier[100:140, 100:103] = 60_000  # metal: all else is dark beside it
    assert found(processes, picture(outlier))


def palette(light: tuple[int, ...]) -> Encoded:
    """Indices 1 and 2 of which the palette decides what is seen."""
    pixels = written(np.full((160, 256), 1, "u1"), 2)
    header = picture(pixels, photometric="PALETTE COLOR").read()
    for colour in ("Red", "Green", "Blue"):
        descriptor = f"{colour}PaletteColorLookupTableDescriptor"
        setattr(header, descriptor, [len(light), 0, 16])
        header[descriptor].VR = "US"
        data = b"".join((one << 8).to_bytes(2, "little") for one in light)
        setattr(header, f"{colour}PaletteColorLookupTableData", data)
    return Encoded(encode(header, EXPLICIT), EXPLICIT)


def test_by_what_a_palette_shows(processes: CodecProcesses):
    shown = palette((0, 10, 240) + (0,) * 253)
    assert light_of(EncodedDataSet.read(shown.data, shown.syntax))[:3] == bytes((0, 10, 240))
    assert found(processes, shown)
    assert not found(processes, palette((0, 10, 10) + (0,) * 253))


def test_small_print_of_a_large_picture_and_large_print(processes: CodecProcesses):
    large = np.zeros((1000, 900), "<u2")
    large[500:, 400:] = soft(500, 500)
    small = large.copy()
    small[900:980, 600:] = written(large[900:980, 600:], 4000, size=11)
    assert found(processes, picture(small))
    assert found(processes, picture(written(large, 4000, "ANNA", size=300)))


@pytest.mark.parametrize(("frames", "every_frame"), [(4, True), (40, False)])
def test_the_frame_is_told_and_no_other_is_needed(
    processes: CodecProcesses, frames: int, every_frame: bool
):
    pixels = np.zeros((frames, 64, 256), "u1")
    last = pixels.copy()
    last[-1] = written(pixels[-1], 200)
    assert found(processes, picture(last), every_frame=every_frame) == Found(frame=frames)
    between = pixels.copy()
    between[2] = written(pixels[2], 200)
    expected = Found(frame=3) if every_frame else None
    assert found(processes, picture(between), every_frame=every_frame) == expected


def test_some_frames_are_the_first_the_last_and_some_between():
    assert chosen(1, every_frame=False) == {1}
    assert chosen(SOME, every_frame=False) == set(range(1, SOME + 1))
    assert sorted(chosen(100, every_frame=False)) == [1, 25, 50, 75, 100]
    assert chosen(100, every_frame=True) == set(range(1, 101))


def test_what_is_made_black_is_not_found(transcoder: Transcoder, processes: CodecProcesses):
    came = picture(written(soft(160, 256), 4000))
    black = Plan(black=(Blackening(boxes=((0, 0, 256, 40),)),))
    assert found(processes, came)
    assert not found(processes, transcoded(transcoder, came, black))


@pytest.mark.parametrize(
    ("name", "has_text"),
    [
        ("examples_palette.dcm", True),
        ("US1_UNCR.dcm", True),
        ("CT_small.dcm", False),
        ("MR_small_RLE.dcm", False),
        ("examples_overlay.dcm", False),
    ],
)
def test_real_pictures(processes: CodecProcesses, name: str, has_text: bool):
    path = Path(str(pydicom.data.get_testdata_file(name)))
    assert (found(processes, file(path), every_frame=False) is not None) is has_text


def test_an_object_without_a_picture_has_no_text(processes: CodecProcesses):
    report = Dataset()
    report.PatientName = "Doe^Jane"
    assert found(processes, Encoded(encode(report, EXPLICIT), EXPLICIT)) is None


@pytest.mark.parametrize(
    ("changes", "syntax", "why"),
    [
        ({"Rows": 400}, EXPLICIT, "shorter than the header says"),
        ({"BitsAllocated": 12}, EXPLICIT, "Bits Allocated is 12"),
        ({}, "1.2.840.10008.1.2.4.100", "no codec for transfer syntax"),
    ],
)
def test_what_cannot_be_searched_is_said(
    processes: CodecProcesses, changes: dict[str, int], syntax: str, why: str
):
    one = picture(soft(160, 256), EXPLICIT, None, **changes)
    before = searches("failed")
    with pytest.raises(CannotTranscode, match=why):
        found(processes, Encoded(one.data, syntax))
    assert searches("failed") == before + 1


@pytest.fixture
def tight() -> Iterator[CodecProcesses]:
    made = CodecProcesses(Codecs(processes=1, memory=450 << 20, timeout=30))
    yield made
    made.close()


def test_a_detector_that_runs_out_of_memory_harms_nobody(
    processes: CodecProcesses, tight: CodecProcesses
):
    one = picture(written(soft(500, 500), 4000))
    with pytest.raises(CannotTranscode):
        found(tight, one)
    assert found(processes, one)
