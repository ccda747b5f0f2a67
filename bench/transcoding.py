"""What it costs to change pixels, beside pydicom's: `python -m bench.transcoding`

One CT slice of 512 x 512 in 16 bits. Ours is the whole way, through the codec process and with the
comparison that `codecs.verify` makes; pydicom's is dcmread, compress or decompress, and dcmwrite.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from io import BytesIO

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from router.config import Codecs
from router.dicom.part10 import FileMeta, encode_file_meta
from router.transcoding.parts import blocks_of
from router.transcoding.plan import Blackening, Plan
from router.transcoding.transcoder import Transcoder
from rules.edits import Edited
from rules.encoded.data_set import EncodedDataSet, Slice

EXPLICIT = "1.2.840.10008.1.2.1"
SYNTAXES = {
    "RLE": "1.2.840.10008.1.2.5",
    "JPEG Lossless": "1.2.840.10008.1.2.4.70",
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "JPEG 2000": "1.2.840.10008.1.2.4.90",
    "HTJ2K": "1.2.840.10008.1.2.4.201",
}
ROUNDS = 30
BOXES = ((0, 0, 512, 40), (0, 472, 200, 40))


def main() -> None:
    plain = slice_of_ct()
    quick = Transcoder(Codecs(verify=False))
    careful = Transcoder(Codecs())
    print(
        f"{'milliseconds, median of ' + str(ROUNDS):34}{'ours':>9}{'unverified':>12}{'pydicom':>9}"
    )
    for name, syntax in SYNTAXES.items():
        plan, back = Plan(target=syntax), Plan(target=EXPLICIT)
        coded, _ = ours(careful, plain, EXPLICIT, plan)
        row(
            f"compress to {name}",
            partial(ours, careful, plain, EXPLICIT, plan),
            partial(ours, quick, plain, EXPLICIT, plan),
            partial(theirs, plain, EXPLICIT, syntax),
        )
        row(
            f"decompress from {name}",
            partial(ours, careful, coded, syntax, back),
            None,
            partial(theirs, coded, syntax, EXPLICIT),
        )
    black = Plan(black=(Blackening(boxes=BOXES),))
    for name, syntax in {"native": EXPLICIT, **SYNTAXES}.items():
        coded, _ = ours(careful, plain, EXPLICIT, Plan(target=syntax))
        row(
            f"blacken, {name}",
            partial(ours, careful, coded, syntax, black),
            partial(ours, quick, coded, syntax, black),
            partial(blackened, coded, syntax),
        )
    quick.close()
    careful.close()


def row(name: str, *deeds: Callable[[], object] | None) -> None:
    cells = ["-" if deed is None else median(deed) for deed in deeds]
    print(f"{name:34}{cells[0]:>9}{cells[1]:>12}{cells[2]:>9}")


def median(deed: Callable[[], object]) -> str:
    took = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        try:
            deed()
        except (NotImplementedError, RuntimeError):  # it has no codec for this
            return "-"
        took.append(time.perf_counter() - started)
    return f"{statistics.median(took) * 1000:.1f}"


def ours(transcoder: Transcoder, data: bytes, syntax: str, plan: Plan) -> tuple[bytes, str]:
    data_set = EncodedDataSet.read(data, syntax)
    edited = Edited(
        pieces=(Slice(0, len(data)),),
        sop_class_uid="",
        sop_instance_uid="",
        transfer_syntax_uid=syntax,
        changed=(),
    )
    with transcoder.planned(data_set, edited, plan) as done:
        return b"".join(blocks_of(done.source, done.parts)), done.transfer_syntax_uid


def read(data: bytes, syntax: str) -> pydicom.FileDataset:
    meta = FileMeta(
        media_storage_sop_class_uid="1.2",
        media_storage_sop_instance_uid="1.2.3",
        transfer_syntax_uid=syntax,
    )
    return pydicom.dcmread(BytesIO(encode_file_meta(meta) + data))


def theirs(data: bytes, syntax: str, target: str) -> None:
    data_set = read(data, syntax)
    if target == EXPLICIT:
        data_set.decompress(generate_instance_uid=False)
    else:
        data_set.compress(target, generate_instance_uid=False)
    data_set.save_as(BytesIO())


def blackened(data: bytes, syntax: str) -> None:
    data_set = read(data, syntax)
    pixels = data_set.pixel_array.copy()
    for x, y, width, height in BOXES:
        pixels[y : y + height, x : x + width] = 0
    data_set.PixelData = pixels.tobytes()
    if syntax != EXPLICIT:
        data_set.file_meta.TransferSyntaxUID = UID(EXPLICIT)
        data_set["PixelData"].is_undefined_length = False
        data_set.compress(syntax, generate_instance_uid=False)
    data_set.save_as(BytesIO())


def slice_of_ct() -> bytes:
    random = np.random.default_rng(3)
    y, x = np.mgrid[0:512, 0:512]
    body = ((x - 256) ** 2 + (y - 256) ** 2 < 200**2) * (
        1000 + 60 * np.sin(x / 17) * np.cos(y / 23)
    )
    pixels = (body + random.normal(24, 12, body.shape)).clip(0, 4095).astype("<u2")
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    made.Rows, made.Columns, made.SamplesPerPixel = 512, 512, 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 0
    made.PixelData = pixels.tobytes()
    made["PixelData"].VR = "OW"
    target = BytesIO()
    file = pydicom.filebase.DicomFileLike(target)
    file.is_implicit_VR, file.is_little_endian = False, True
    pydicom.filewriter.write_dataset(file, made)
    return target.getvalue()


if __name__ == "__main__":
    main()
