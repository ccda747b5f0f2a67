"""What the header says of the pixels: rows, columns, bits, colours, frames (PS3.3 C.7.6.3).

Read from an encoded data set; pixel data itself is not touched.
"""

from __future__ import annotations

from dataclasses import dataclass

from rules.encoded.data_set import EncodedDataSet
from rules.encoded.level import Element
from rules.tags import AttributePath, parse_path

PIXEL_DATA = 0x7FE00010
FLOAT_PIXEL_DATA = (0x7FE00008, 0x7FE00009)
MOST_FRAMES = 10_000_000


class NoPicture(Exception):
    """The header does not describe pixels that can be worked on. Says why, without values that
    could be about a patient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One object's pixels. `planar`: 1 where each colour has a plane of its own."""

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    is_signed: bool
    photometric: str
    planar: int
    frames: int

    @property
    def is_subsampled(self) -> bool:
        """Whether two pixels share their colour in native pixel data (PS3.3 C.7.6.3.1.2)."""
        return self.photometric in ("YBR_FULL_422", "YBR_PARTIAL_422")

    @property
    def sample_bytes(self) -> int:
        return self.bits_allocated // 8

    @property
    def native_frame_length(self) -> int:
        """Bytes of one frame of native pixel data."""
        samples = 2 if self.is_subsampled else self.samples
        return self.rows * self.columns * samples * self.sample_bytes


def read_picture(data_set: EncodedDataSet) -> Picture:
    """The picture that a header describes. NoPicture where it describes none that can be worked
    on, MalformedDataSet where the header makes no sense."""
    bits_allocated = _number(data_set, "BitsAllocated")
    bits_stored = _number(data_set, "BitsStored", bits_allocated)
    picture = Picture(
        rows=_number(data_set, "Rows"),
        columns=_number(data_set, "Columns"),
        samples=_number(data_set, "SamplesPerPixel", 1),
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        high_bit=_number(data_set, "HighBit", bits_stored - 1),
        is_signed=_number(data_set, "PixelRepresentation", 0) == 1,
        photometric=_text(data_set, "PhotometricInterpretation"),
        planar=_number(data_set, "PlanarConfiguration", 0),
        frames=_number(data_set, "NumberOfFrames", 1) or 1,
    )
    _check(picture)
    return picture


def pixel_element(data_set: EncodedDataSet) -> Element | None:
    """Where Pixel Data stands in the source; None where the object has none."""
    return data_set.element(PIXEL_DATA)


def has_float_pixels(data_set: EncodedDataSet) -> bool:
    """Whether the pixels are floating point numbers (PS3.3 C.7.6.24), which no codec takes."""
    return any(data_set.element(tag) is not None for tag in FLOAT_PIXEL_DATA)


def _check(picture: Picture) -> None:
    if picture.samples not in (1, 3):
        raise NoPicture("Samples per Pixel is neither 1 nor 3")
    if picture.bits_allocated not in (8, 16, 32):
        raise NoPicture(f"Bits Allocated is {picture.bits_allocated}, not 8, 16 or 32")
    if not 0 < picture.bits_stored <= picture.bits_allocated:
        raise NoPicture("Bits Stored does not fit Bits Allocated")
    if not picture.rows or not picture.columns:
        raise NoPicture("the picture has no rows or no columns")
    if not 0 < picture.frames <= MOST_FRAMES:
        raise NoPicture("Number of Frames makes no sense")
    if picture.photometric.startswith("YBR_PARTIAL") or picture.photometric in _RETIRED:
        raise NoPicture(f"the photometric interpretation is {picture.photometric}")


_RETIRED = frozenset({"ARGB", "CMYK", "HSV", ""})
_PATHS: dict[str, AttributePath] = {}


def _first(data_set: EncodedDataSet, keyword: str) -> str:
    path = _PATHS.get(keyword)
    if path is None:
        path = _PATHS[keyword] = parse_path(keyword)
    values = data_set.values(path)
    return values[0].strip() if values else ""


def _text(data_set: EncodedDataSet, keyword: str) -> str:
    return _first(data_set, keyword).upper()


def _number(data_set: EncodedDataSet, keyword: str, otherwise: int | None = None) -> int:
    text = _first(data_set, keyword)
    try:
        return int(text)
    except ValueError:
        if text or otherwise is None:
            raise NoPicture(f"{keyword} is absent or no number") from None
        return otherwise
