"""The ten kinds of check of the MIDI-B benchmark on a synthetic set of modalities.

Two patients with two studies each, eight modalities, references between objects, text burned into
the ultrasound; what has to stay and what has to go is written down beside what is planted.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from router.config import Codecs
from router.transcoding.parts import blocks_of
from router.transcoding.plan import plan_of
from router.transcoding.transcoder import Transcoder
from rules.deid.profile import Profile
from rules.edits import apply_edits
from tests.rules.deid.test_phantom import EXPLICIT, profile
from tests.rules.deid.test_scan import encoded

STORAGE = "1.2.840.10008.5.1.4.1.1"
CLASSES = {
    "CT": f"{STORAGE}.2", "MR": f"{STORAGE}.4", "PT": f"{STORAGE}.128", "NM": f"{STORAGE}.20",
    "CR": f"{STORAGE}.1", "DX": f"{STORAGE}.1.1", "MG": f"{STORAGE}.1.2", "US": f"{STORAGE}.6.1",
}  # fmt: skip
PATIENTS = {
    "MRN-44817": ("Osterwald^Henrike^M", "19560213"),
    "MRN-90235": ("Tanaka^Noboru", "19710830"),
}
KINDS = (
    "tag_retained", "text_notnull", "text_retained", "text_removed", "date_shifted", "uid_changed",
    "uid_consistent", "patid_consistent", "pixels_retained", "pixels_hidden",
)  # fmt: skip
STRIP = 50
RETAINED = ("Modality", "Rows", "Columns", "BitsStored", "InstanceNumber", "SliceThickness",
            "PixelSpacing", "ImageType", "PatientPosition")  # fmt: skip
UIDS = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")
DATES = ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")
NOT_NULL = ("PatientID", "PatientName", "SOPClassUID", "SOPInstanceUID", "StudyDate", "Modality")


@dataclass
class Score:
    """Right and wrong answers of each kind; a wrong one is told by where, never by value."""

    right: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def count(self, kind: str, where: str, *, good: bool) -> None:
        if good:
            self.right[kind] += 1
        else:
            self.wrong.append(f"{kind}: {where}")


@dataclass
class Case:
    """An object before and after. `where` names it without its patient."""

    where: str
    before: Dataset
    after: Dataset
    content: bytes


def objects() -> Iterator[tuple[str, Dataset]]:
    for number, (patient, (name, born)) in enumerate(PATIENTS.items(), 1):
        for study in (1, 2):
            for order, modality in enumerate(CLASSES, 1):
                where = f"patient {number}, study {study}, {modality}"
                yield where, planted(patient, name, born, number, study, order, modality)


def planted(
    patient: str, name: str, born: str, number: int, study: int, order: int, modality: str
) -> Dataset:
    made = Dataset()
    root = f"1.3.6.1.4.1.99999.{number}.{study}"
    family = name.partition("^")[0]
    made.SOPClassUID, made.SOPInstanceUID = CLASSES[modality], f"{root}.{order}.1"
    made.StudyInstanceUID, made.SeriesInstanceUID = root, f"{root}.{order}"
    made.FrameOfReferenceUID = f"{root}.9{order % 2}"
    made.PatientID, made.PatientName, made.PatientBirthDate = patient, name, born
    made.AccessionNumber, made.Modality = f"ACC{number}{study}7731", modality
    for keyword, day in zip(DATES, (3, 3, 4, 4), strict=True):
        setattr(made, keyword, f"2023{study + 4:02}{day:02}")
    made.AcquisitionDateTime = f"2023{study + 4:02}0412{order:02}00.000000"
    made.SeriesDescription = f"AX T2 FLAIR {family}"
    made.StudyDescription = "HEAD WITHOUT CONTRAST"
    made.InstitutionName, made.OperatorsName = "Spital Oberhausen", "Brand^Lisa"
    made.PatientComments = f"called {family} twice, phone 0171-5550199"
    made.Manufacturer, made.ManufacturerModelName = "Philips Medical Systems", "iU22"
    made.ImageType, made.InstanceNumber = ["ORIGINAL", "PRIMARY"], order
    made.SliceThickness, made.PixelSpacing, made.PatientPosition = "2.5", ["0.5", "0.5"], "HFS"
    referenced = Dataset()
    referenced.ReferencedSOPClassUID = CLASSES["CT"]
    referenced.ReferencedSOPInstanceUID = f"{root}.1.1"
    made.SourceImageSequence = [referenced]
    request = Dataset()
    request.RequestedProcedureID, request.ScheduledProcedureStepID = f"RP{number}8812", "SPS5512"
    made.RequestAttributesSequence = [request]
    made.add_new(0x00190010, "LO", "ACME 1.0")
    made.add_new(0x00191001, "LO", f"{name}|{patient}")
    made.add_new(0x00191002, "UN", f"born {born}".encode())
    return with_pixels(made, number * 100 + study * 10 + order)


def with_pixels(made: Dataset, seed: int) -> Dataset:
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows, made.Columns = 480, 640
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    pixels = np.random.default_rng(seed).integers(1, 200, (480, 640), np.uint8)
    if made.Modality == "US":
        pixels[10:30, 20:300] = 255
    made.PixelData = pixels.tobytes()
    made["PixelData"].VR = "OB"
    return made


@pytest.fixture(scope="module")
def cases() -> Iterator[list[Case]]:
    transcoder = Transcoder(Codecs())
    chosen = profile(
        options=["retain modified dates", "clean descriptors", "clean pixel data"],
        regions="shipped",
        dangers={},
    )
    yield [case(transcoder, chosen, where, made) for where, made in objects()]
    transcoder.close()


def case(transcoder: Transcoder, chosen: Profile, where: str, made: Dataset) -> Case:
    data_set = encoded(made)
    edited = apply_edits((), data_set, record=None, profile=chosen)
    with transcoder.planned(data_set, edited, plan_of(edited.pixel_edits)) as done:
        assert done.transfer_syntax_uid == EXPLICIT
        content = b"".join(blocks_of(done.source, done.parts))
    after = read_dataset(io.BytesIO(content), False, True)
    before = read_dataset(io.BytesIO(bytes(data_set.source)), False, True)
    return Case(where, before, after, content)


def scored(cases: list[Case]) -> Score:
    score = Score()
    for one in cases:
        of_attributes(score, one)
        of_texts(score, one)
        of_pixels(score, one)
    of_dates(score, cases)
    of_identity(score, cases)
    return score


def of_attributes(score: Score, one: Case) -> None:
    for keyword in RETAINED:
        good = one.after.get(keyword) == one.before.get(keyword) is not None
        score.count("tag_retained", f"{one.where} {keyword}", good=good)
    for keyword in NOT_NULL:
        good = bool(str(one.after.get(keyword, "")))
        score.count("text_notnull", f"{one.where} {keyword}", good=good)


def of_texts(score: Score, one: Case) -> None:
    for keyword, text in (
        ("SeriesDescription", "AX T2 FLAIR"),
        ("StudyDescription", "HEAD WITHOUT CONTRAST"),
        ("Manufacturer", "Philips Medical Systems"),
    ):
        good = str(one.after.get(keyword, "")) == text
        score.count("text_retained", f"{one.where} {keyword}", good=good)
    before = one.before
    name = str(before.PatientName).split("^")
    for text in (
        *name[:2], before.PatientID, before.PatientBirthDate, before.AccessionNumber,
        "Oberhausen", "Brand", "Lisa", "5550199",
        before.RequestAttributesSequence[0].RequestedProcedureID, "SPS5512", "ACME",
    ):  # fmt: skip
        good = text.casefold().encode() not in one.content.lower()
        score.count("text_removed", f"{one.where}, a planted text", good=good)


def of_dates(score: Score, cases: list[Case]) -> None:
    """By whole days, the same for all of a patient."""
    shifts: dict[str, set[int]] = {}
    for one in cases:
        for keyword in (*DATES, "AcquisitionDateTime"):
            was, now = one.before[keyword].value, str(one.after.get(keyword, ""))
            moved = days_between(was[:8], now[:8]) if now[8:] == was[8:] else 0
            shifts.setdefault(one.before.PatientID, set()).add(moved)
            good = moved != 0 and len(shifts[one.before.PatientID]) == 1
            score.count("date_shifted", f"{one.where} {keyword}", good=good)


def days_between(was: str, now: str) -> int:
    try:
        return (date.fromisoformat(now) - date.fromisoformat(was)).days
    except ValueError:
        return 0


def of_identity(score: Score, cases: list[Case]) -> None:
    uids: dict[str, set[str]] = {}
    patients: dict[str, set[str]] = {}
    for one in cases:
        pairs = [(keyword, one.before[keyword].value, one.after.get(keyword)) for keyword in UIDS]
        keyword = "ReferencedSOPInstanceUID"
        sources = (one.before.SourceImageSequence[0], one.after.SourceImageSequence[0])
        pairs.append((keyword, sources[0][keyword].value, sources[1].get(keyword)))
        for keyword, was, now in pairs:
            good = bool(now) and now != was
            score.count("uid_changed", f"{one.where} {keyword}", good=good)
            uids.setdefault(was, set()).add(str(now))
        patients.setdefault(one.before.PatientID, set()).add(one.after.PatientID)
    for kind, found in (("uid_consistent", uids), ("patid_consistent", patients)):
        taken = Counter(new for news in found.values() for new in news)
        for number, news in enumerate(found.values()):
            good = len(news) == 1 and taken[next(iter(news))] == 1
            score.count(kind, f"the {number + 1}th of them", good=good)


def of_pixels(score: Score, one: Case) -> None:
    before = np.frombuffer(one.before.PixelData, np.uint8).reshape(480, 640)
    after = np.frombuffer(one.after.PixelData, np.uint8).reshape(480, 640)
    top = STRIP if one.before.Modality == "US" else 0
    score.count("pixels_retained", one.where, good=bool((before[top:] == after[top:]).all()))
    if top:
        score.count("pixels_hidden", one.where, good=not after[:top].any())


def test_every_check_of_every_kind_is_right(
    cases: list[Case], capsys: pytest.CaptureFixture[str]
) -> None:
    score = scored(cases)
    wrong = Counter(text.partition(":")[0] for text in score.wrong)
    with capsys.disabled():
        print()
        for kind in KINDS:
            all_of = score.right[kind] + wrong[kind]
            print(f"  {kind:18}{score.right[kind]:6} of {all_of:5}")
        total = score.right.total()
        print(f"  {'score':18}{100 * total / (total + len(score.wrong)):8.2f} %")
    assert score.wrong == []
    assert set(score.right) == set(KINDS)


def test_the_checks_see_what_is_wrong(cases: list[Case]) -> None:
    """On objects as they came nothing that must change has changed."""
    untouched = [
        Case(one.where, one.before, one.before, bytes(encoded(one.before).source)) for one in cases
    ]
    kinds = {text.partition(":")[0] for text in scored(untouched).wrong}
    assert kinds >= {"text_retained", "text_removed", "date_shifted", "uid_changed",
                     "pixels_hidden"}  # fmt: skip
    one = cases[0]
    emptied = pydicom.Dataset()
    emptied.PixelData = bytes(480 * 640)
    emptied.PatientID, emptied.SourceImageSequence = "", [pydicom.Dataset()]
    lost = scored([Case(one.where, one.before, emptied, b""), *cases[1:]])
    kinds = {text.partition(":")[0] for text in lost.wrong}
    assert kinds >= {"tag_retained", "text_notnull", "uid_consistent", "patid_consistent",
                     "pixels_retained"}  # fmt: skip
