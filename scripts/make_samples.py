"""Writes a small CT series to try the router with: a ball in water, ten slices of 64 x 64 pixels.

The UIDs are the same on every run, and stand for no patient.

    python scripts/make_samples.py [FOLDER]
"""

import struct
import sys
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

SIZE = 64
SLICES = 10
SPACING_MM = 2.5
WATER, BALL = 0, 300


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, SLICES + 1):
        path = folder / f"ct-{number:02}.dcm"
        slice_of_series(number).save_as(path, enforce_file_format=True)
    print(f"{SLICES} CT slices in {folder}")


def slice_of_series(number: int) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = uid(f"instance {number}")
    ds.StudyInstanceUID = uid("study")
    ds.SeriesInstanceUID = uid("series")
    ds.FrameOfReferenceUID = uid("frame of reference")
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.PatientName = "Sample^Ball"
    ds.PatientID = "SAMPLE"
    ds.AccessionNumber = "A0001"
    ds.StudyDate = ds.SeriesDate = "20260101"
    ds.StudyTime = ds.SeriesTime = "120000"
    ds.Modality = "CT"
    ds.Manufacturer = "SAMPLES"
    ds.StudyDescription = "CT of a ball in water"
    ds.BodyPartExamined = "PHANTOM"
    ds.SliceThickness = str(SPACING_MM)
    ds.SeriesNumber = 1
    ds.InstanceNumber = number
    ds.ImagePositionPatient = [0, 0, (number - 1) * SPACING_MM]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing = [SPACING_MM, SPACING_MM]
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows = ds.Columns = SIZE
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = 1
    ds.RescaleIntercept, ds.RescaleSlope = 0, 1
    ds.PixelData = pixels(number)
    return ds


def pixels(number: int) -> bytes:
    """The ball's cross-section at this slice, 16 bits a pixel."""
    centre, radius = SIZE / 2, SIZE / 3
    height = (number - (SLICES + 1) / 2) * SIZE / SLICES
    values = [
        BALL if (x - centre) ** 2 + (y - centre) ** 2 + height**2 <= radius**2 else WATER
        for y in range(SIZE)
        for x in range(SIZE)
    ]
    return struct.pack(f"<{len(values)}h", *values)


def uid(what: str) -> str:
    return generate_uid(prefix="2.25.", entropy_srcs=["dicom-router samples", what])


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "var/samples"))
