"""What is sent: a CT slice of 525 KB with 150 elements and 3 sequences, and an object of 20 KB.

Each copy has a SOP Instance UID of its own, written over the same 36 characters; everything else
is seeded and the same in each run.
"""

from __future__ import annotations

import io
import random
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

MARK = "2.25." + "1" * 35
"""Stands where each copy's SOP Instance UID goes; all have its length."""

KINDS = {"ct": 512, "small": 96}
"""Rows and columns of 16-bit pixels."""

_TEXTS = [
    "InstitutionName",
    "Manufacturer",
    "ManufacturerModelName",
    "StationName",
    "StudyDescription",
    "SeriesDescription",
    "BodyPartExamined",
    "ProtocolName",
    "ConvolutionKernel",
    "SoftwareVersions",
    "DeviceSerialNumber",
    "InstitutionalDepartmentName",
    "PerformedProcedureStepDescription",
    "RequestedProcedureDescription",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "OperatorsName",
    "PatientComments",
    "ImageComments",
    "AdmittingDiagnosesDescription",
    "AccessionNumber",
    "StudyID",
    "ContrastBolusAgent",
    "FilterType",
    "TimezoneOffsetFromUTC",
    "PatientID",
    "PatientName",
    "OtherPatientNames",
    "EthnicGroup",
    "Occupation",
]
_NUMBERS = [
    "SliceThickness",
    "KVP",
    "DataCollectionDiameter",
    "ReconstructionDiameter",
    "GantryDetectorTilt",
    "TableHeight",
    "ExposureTime",
    "XRayTubeCurrent",
    "Exposure",
    "GeneratorPower",
    "FocalSpots",
    "SpacingBetweenSlices",
    "DistanceSourceToDetector",
    "DistanceSourceToPatient",
    "SliceLocation",
    "WindowCenter",
    "WindowWidth",
    "RescaleIntercept",
    "RescaleSlope",
    "PatientSize",
    "PatientWeight",
    "InstanceNumber",
    "SeriesNumber",
    "AcquisitionNumber",
]


def data_set(kind: str) -> Dataset:
    """The object, its SOP Instance UID being MARK."""
    chance = random.Random(20261121)
    ds = Dataset()
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = MARK
    ds.StudyInstanceUID = "2.25.77000000000000000000000000000000001"
    ds.SeriesInstanceUID = "2.25.77000000000000000000000000000000002"
    ds.FrameOfReferenceUID = "2.25.77000000000000000000000000000000003"
    ds.Modality = "CT"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20261121"
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "120000"
    ds.PatientBirthDate, ds.PatientSex, ds.PatientAge = "19500101", "O", "076Y"
    ds.ImagePositionPatient = [-250, -250, 100]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing = [0.9765625, 0.9765625]
    for number, keyword in enumerate(_TEXTS):
        setattr(ds, keyword, f"T{number:02d}")
    ds.Manufacturer = "SIEMENS"
    ds.TimezoneOffsetFromUTC = "+0100"
    for number, keyword in enumerate(_NUMBERS):
        setattr(ds, keyword, str(number + 1))
    _add_sequences(ds)
    _add_private(ds)
    side = KINDS[kind]
    ds.Rows = ds.Columns = side
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.PixelData = chance.randbytes(side * side * 2)
    return ds


def _add_sequences(ds: Dataset) -> None:
    for keyword in ("ReferencedStudySequence", "ReferencedImageSequence"):
        item = Dataset()
        item.ReferencedSOPClassUID = CTImageStorage
        item.ReferencedSOPInstanceUID = "2.25.77000000000000000000000000000000004"
        setattr(ds, keyword, Sequence([item, item]))
    request = Dataset()
    request.RequestedProcedureID = "RP1"
    request.ScheduledProcedureStepID = "SPS1"
    ds.RequestAttributesSequence = Sequence([request])


def _add_private(ds: Dataset) -> None:
    block = ds.private_block(0x0019, "DICOM-ROUTER BENCH", create=True)
    for number in range(64):
        block.add_new(number, "LO", f"PRIVATE {number:02d}")


def template(kind: str) -> bytes:
    """The encoded data set, Explicit VR Little Endian."""
    encoded = io.BytesIO()
    pydicom.dcmwrite(
        encoded, data_set(kind), implicit_vr=False, little_endian=True, enforce_file_format=False
    )
    return encoded.getvalue()


def instance_uid(run: int, number: int) -> str:
    """A UID as long as MARK, different for each run and number."""
    return f"2.25.9{run:020d}{number:014d}"


def write_files(folder: Path, kind: str, count: int, run: int) -> None:
    """Write `count` copies as Part 10 files, as an archive would have them."""
    folder.mkdir(parents=True)
    ds = data_set(kind)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = CTImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = UID(MARK)
    encoded = io.BytesIO()
    pydicom.dcmwrite(encoded, ds, enforce_file_format=True)
    whole = encoded.getvalue()
    for number in range(count):
        uid = instance_uid(run, number).encode()
        (folder / f"{number:06d}.dcm").write_bytes(whole.replace(MARK.encode(), uid))
