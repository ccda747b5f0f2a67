"""A synthetic set of modalities with an answer for each action, in the ten kinds of the MIDI-B
benchmark (TCIA, doi 10.7937/cf2p-aw56; its scoring: github.com/CBIIT/MIDI_validation_script).

Each object says who its patient is in the ways that real ones do; what must stay stands beside it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import (
    ComprehensiveSRStorage,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalXRayImageStorageForPresentation,
    MRImageStorage,
    NuclearMedicineImageStorage,
    PositronEmissionTomographyImageStorage,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
    XRayAngiographicImageStorage,
)

SIZE: Final = 48
BANNER: Final = 8
"""Rows of a picture, and those at its top that a name is written in."""


class Kind(StrEnum):
    """The action types of the benchmark."""

    TAG_RETAINED = "tag_retained"
    TEXT_NOTNULL = "text_notnull"
    TEXT_RETAINED = "text_retained"
    TEXT_REMOVED = "text_removed"
    DATE_SHIFTED = "date_shifted"
    UID_CHANGED = "uid_changed"
    UID_CONSISTENT = "uid_consistent"
    PATID_CONSISTENT = "patid_consistent"
    PIXELS_RETAINED = "pixels_retained"
    PIXELS_HIDDEN = "pixels_hidden"


MODALITIES: Final = {
    "CT": CTImageStorage,
    "MR": MRImageStorage,
    "PT": PositronEmissionTomographyImageStorage,
    "NM": NuclearMedicineImageStorage,
    "CR": ComputedRadiographyImageStorage,
    "DX": DigitalXRayImageStorageForPresentation,
    "MG": DigitalMammographyXRayImageStorageForPresentation,
    "XA": XRayAngiographicImageStorage,
    "US": UltrasoundImageStorage,
    "OT": SecondaryCaptureImageStorage,
    "SR": ComprehensiveSRStorage,
    "RTSTRUCT": RTStructureSetStorage,
}
NUMBERS: Final = {modality: number for number, modality in enumerate(MODALITIES, 20)}
WRITTEN_ON: Final = frozenset({"US", "OT", "XA"})
WITHOUT_PIXELS: Final = frozenset({"SR", "RTSTRUCT"})


@dataclass(frozen=True)
class Patient:
    """Somebody who does not exist."""

    number: int
    name: str
    doctor: str
    born: date

    @property
    def id(self) -> str:
        return f"MRN-{7000000 + self.number}"


PATIENTS: Final = (
    Patient(1, "Kowalczyk^Bronislawa^Maria", "Oduya^Femi^^Dr", date(1951, 5, 17)),
    Patient(2, "Grünwald^Jörg", "Nakamura^Aiko", date(1987, 11, 2)),
    Patient(3, "O'Hara-Smythe^Lin", "de la Cruz^Inés", date(2009, 2, 28)),
)


@dataclass(frozen=True)
class Check:
    """One required action. `path`: keywords with dots; `value`: what is looked for."""

    kind: Kind
    path: str = ""
    value: str = ""


@dataclass
class Case:
    """An object and what is required of it."""

    name: str
    data_set: Dataset
    checks: list[Check] = field(default_factory=list)

    def encoded(self) -> bytes:
        file = io.BytesIO()
        pydicom.dcmwrite(
            file, self.data_set, implicit_vr=False, little_endian=True, enforce_file_format=False
        )
        return file.getvalue()


def cases() -> Iterator[Case]:
    """Two objects of each modality for each patient, two days apart."""
    for patient in PATIENTS:
        for modality in MODALITIES:
            for instance in (1, 2):
                yield _case(patient, modality, instance)


def _case(patient: Patient, modality: str, instance: int) -> Case:
    made = Dataset()
    case = Case(f"{modality} {patient.number}.{instance}", made)
    made.SpecificCharacterSet = "ISO_IR 192"
    made.SOPClassUID, made.Modality = MODALITIES[modality], modality
    _identity(case, patient, instance)
    _dates(case, instance)
    _texts(case, patient)
    _technique(case)
    if modality == "SR":
        _report(case, patient)
    elif modality not in WITHOUT_PIXELS:
        _pixels(case, modality in WRITTEN_ON, instance)
    return case


def _identity(case: Case, patient: Patient, instance: int) -> None:
    made = case.data_set
    root = f"1.3.6.1.4.1.99.{patient.number}"
    made.PatientName, made.PatientID = patient.name, patient.id
    made.PatientBirthDate = f"{patient.born:%Y%m%d}"
    made.PatientSex, made.PatientAge = "F", "044Y"
    made.OtherPatientIDs = f"ALT{patient.number}55555"
    made.PatientAddress = f"{patient.number} Elm Street, Springfield"
    made.ReferringPhysicianName = patient.doctor
    made.InstitutionName, made.StationName = "General Hospital Springfield", "SCANNER7"
    made.AccessionNumber = f"ACC{patient.number}{instance}4711"
    made.SOPInstanceUID = f"{root}.{NUMBERS[made.Modality]}.{instance}"
    made.StudyInstanceUID, made.SeriesInstanceUID = f"{root}.8", f"{root}.9.{instance}"
    made.FrameOfReferenceUID = f"{root}.10"
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        case.checks += [Check(Kind.UID_CHANGED, keyword), Check(Kind.UID_CONSISTENT, keyword)]
    case.checks += [Check(Kind.UID_CHANGED, "FrameOfReferenceUID")]
    referred = Dataset()
    referred.ReferencedSOPClassUID = CTImageStorage
    referred.ReferencedSOPInstanceUID = f"{root}.{NUMBERS['CT']}.1"
    made.ReferencedImageSequence = [referred]
    nested = "ReferencedImageSequence.ReferencedSOPInstanceUID"
    case.checks += [Check(Kind.UID_CHANGED, nested), Check(Kind.UID_CONSISTENT, nested)]
    case.checks += [Check(Kind.PATID_CONSISTENT, "PatientID")]
    case.checks += [Check(Kind.TEXT_NOTNULL, one) for one in ("PatientID", "PatientName")]
    told = {
        "PatientName": patient.name,
        "PatientID": patient.id,
        "OtherPatientIDs": f"ALT{patient.number}55555",
        "PatientAddress": "Elm Street",
        "PatientBirthDate": f"{patient.born:%Y%m%d}",
        "ReferringPhysicianName": patient.doctor,
        "InstitutionName": "Springfield",
        "StationName": "SCANNER7",
        "AccessionNumber": "4711",
    }
    case.checks += [Check(Kind.TEXT_REMOVED, keyword, value) for keyword, value in told.items()]
    case.checks += [Check(Kind.TAG_RETAINED, "PatientSex"), Check(Kind.TAG_RETAINED, "PatientAge")]


def _dates(case: Case, instance: int) -> None:
    made = case.data_set
    day = date(2025, 2, 27) + timedelta(days=2 * instance)
    for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        setattr(made, keyword, f"{day:%Y%m%d}")
        case.checks += [Check(Kind.DATE_SHIFTED, keyword), Check(Kind.TEXT_NOTNULL, keyword)]
    made.AcquisitionDateTime = f"{day:%Y%m%d}101530.250000+0100"
    made.StudyTime = "101500"
    case.checks += [Check(Kind.DATE_SHIFTED, "AcquisitionDateTime")]
    case.checks += [Check(Kind.TEXT_RETAINED, "StudyTime", "101500")]
    dose = Dataset()
    dose.RadiopharmaceuticalStartDateTime = f"{day:%Y%m%d}090000"
    made.RadiopharmaceuticalInformationSequence = [dose]
    nested = "RadiopharmaceuticalInformationSequence.RadiopharmaceuticalStartDateTime"
    case.checks += [Check(Kind.DATE_SHIFTED, nested)]


def _texts(case: Case, patient: Patient) -> None:
    made = case.data_set
    family = patient.name.partition("^")[0]
    written = {
        "StudyDescription": ("THORAX WITH CONTRAST", f" {family}"),
        "SeriesDescription": ("AXIAL 3.0 B30f", f" for {patient.id}"),
        "ProtocolName": ("Routine", " 02/03/2025"),
        "ImageComments": ("motion artefact", f", Dr. {patient.doctor.partition('^')[0]} told"),
        "PatientComments": ("prone", ", call +1 555 123 4567 or mail@example.org"),
        "AdditionalPatientHistory": ("cough for a week", ", seen at General Hospital Springfield"),
    }
    for keyword, (kept, told) in written.items():
        setattr(made, keyword, kept + told)
        case.checks += [
            Check(Kind.TEXT_RETAINED, keyword, kept),
            Check(Kind.TEXT_REMOVED, keyword, told.strip(" ,")),
        ]
    block = made.private_block(0x0029, "ACME SECRET", create=True)
    block.add_new(0x10, "LO", f"{patient.name} {patient.id}")
    case.checks += [Check(Kind.TEXT_REMOVED, "", patient.id)]


def _technique(case: Case) -> None:
    made = case.data_set
    made.Manufacturer, made.ManufacturerModelName = "ACME", "Scan-o-mat 3000"
    made.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    made.BodyPartExamined, made.KVP, made.SliceThickness = "CHEST", "120", "3.0"
    for keyword in ("Manufacturer", "ImageType", "BodyPartExamined", "KVP", "SliceThickness"):
        case.checks += [Check(Kind.TAG_RETAINED, keyword)]
    case.checks += [Check(Kind.TEXT_RETAINED, "ManufacturerModelName", "Scan-o-mat 3000")]
    block = made.private_block(0x7053, "Philips PET Private Group", create=True)
    block.add_new(0x00, "DS", "0.000587")
    case.checks += [Check(Kind.TEXT_RETAINED, "", "0.000587")]


def _report(case: Case, patient: Patient) -> None:
    finding, person = Dataset(), Dataset()
    finding.RelationshipType, finding.ValueType = "CONTAINS", "TEXT"
    finding.TextValue = f"{patient.name.partition('^')[0]} has a nodule of 7 mm"
    person.RelationshipType, person.ValueType = "HAS OBS CONTEXT", "PNAME"
    person.PersonName = patient.doctor
    case.data_set.ContentSequence = [finding, person]
    text, name = "ContentSequence.TextValue", "ContentSequence.PersonName"
    case.checks += [
        Check(Kind.TEXT_RETAINED, text, "has a nodule of 7 mm"),
        Check(Kind.TEXT_REMOVED, text, patient.name.partition("^")[0]),
        Check(Kind.TEXT_REMOVED, name, patient.doctor),
        Check(Kind.TEXT_NOTNULL, name),
    ]


def _pixels(case: Case, written_on: bool, instance: int) -> None:
    made = case.data_set
    made.Rows = made.Columns = SIZE
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = 16
    made.HighBit, made.PixelRepresentation = 15, 0
    picture = np.random.default_rng(instance).integers(1, 4000, (SIZE, SIZE), dtype=np.uint16)
    made.PixelData = picture.tobytes()
    made["PixelData"].VR = "OW"
    if written_on:
        case.checks += [Check(Kind.PIXELS_HIDDEN)]
    case.checks += [Check(Kind.PIXELS_RETAINED)]
