"""What a profile does beyond the table: what it keeps, writes, refuses and cleans."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    EncapsulatedPDFStorage,
    EnhancedSRStorage,
    RawDataStorage,
    UltrasoundImageStorage,
    XRayAngiographicImageStorage,
)

from rules.deid.engine import Dropped, Refused
from rules.edits import apply_edits
from rules.encoded.data_set import EncodedDataSet, MalformedDataSet, Slice
from rules.encoded.draft import EditFailed
from rules.loading import rules_of_texts

EXPLICIT = "1.2.840.10008.1.2.1"
KEYS = {"research": "a secret of many characters", "other": "another of many characters"}


def an_object(**values: object) -> Dataset:
    data_set = Dataset()
    data_set.SOPClassUID = CTImageStorage
    data_set.SOPInstanceUID = "1.2.3.1"
    data_set.StudyInstanceUID = "1.2.3.2"
    data_set.PatientID = "4711"
    data_set.PatientName = "Doe^Jane"
    data_set.StudyDate = "20260301"
    for name, value in values.items():
        setattr(data_set, name, value)
    return data_set


def edited(
    data_set: Dataset, profile: str, tmp_path: Path | None = None, edits: str = ""
) -> Dataset:
    encoded = io.BytesIO()
    pydicom.dcmwrite(
        encoded, data_set, implicit_vr=False, little_endian=True, enforce_file_format=False
    )
    text = f"profiles:\n  p: {profile}\nroutes: [{{name: a, deidentify: p, send_to: x, {edits}}}]"
    table = rules_of_texts({"a.yaml": text}, keys=KEYS, folder=tmp_path)
    dispatch = table.routes[0].dispatch
    source = EncodedDataSet.read(encoded.getvalue(), EXPLICIT)
    done = apply_edits(dispatch.edits, source, record=None, profile=dispatch.profile)
    whole = b"".join(
        bytes(source.view(piece.offset, piece.length)) if isinstance(piece, Slice) else piece
        for piece in done.pieces
    )
    made = pydicom.filereader.read_dataset(io.BytesIO(whole), False, True)
    assert made.SOPInstanceUID == done.sop_instance_uid
    return made


def test_pseudonyms_are_those_of_the_edits_with_the_same_key() -> None:
    edits = "edits: [{copy: {from: PatientID, to: PatientComments}}]"
    one = edited(an_object(), "{key: research}")
    also = edited(
        an_object(),
        "{key: other, edits: [hash: {tag: PatientID, key: research}, "
        "new_uid: {tag: [SOPInstanceUID], key: research}]}",
        edits=edits,
    )
    assert one.PatientID == also.PatientID != "4711"
    assert one.SOPInstanceUID == also.SOPInstanceUID != "1.2.3.1"
    assert one.StudyInstanceUID != also.StudyInstanceUID
    assert one.PatientName == one.PatientID
    assert "PatientComments" not in also  # what the route wrote is de-identified, too


def test_another_key_is_another_identity() -> None:
    one, other = (edited(an_object(), f"{{key: {key}}}") for key in KEYS)
    for name in ("PatientID", "PatientName", "SOPInstanceUID", "StudyInstanceUID"):
        assert one[name].value != other[name].value


def test_a_crosswalk_decides_and_who_is_not_in_it_is_held(tmp_path: Path) -> None:
    (tmp_path / "subjects.csv").write_text("old,new\n4711,SUBJ-1\n")
    profile = "{key: research, edits: [lookup: {tag: PatientID, table: subjects.csv}]}"
    assert edited(an_object(), profile, tmp_path).PatientID == "SUBJ-1"
    with pytest.raises(EditFailed, match="nothing for its value"):
        edited(an_object(PatientID="4712"), profile, tmp_path)


def test_what_the_profile_keeps_or_writes_stays_and_nothing_beside_it() -> None:
    item = Dataset()
    item.ScheduledProcedureStepID, item.RequestedProcedureID = "S1", "R1"
    data_set = an_object(RequestAttributesSequence=[item], PatientAge="044Y", StationName="CT1")
    block = data_set.private_block(0x0029, "ACME", create=True)
    block.add_new(0x10, "LO", "wanted")
    block.add_new(0x11, "LO", "unwanted")
    profile = (
        "{key: research, keep: [PatientAge, RequestAttributesSequence.ScheduledProcedureStepID, "
        '"0029,[ACME],10"], edits: [set: {StationName: "{Modality}1"}]}'
    )
    data_set.Modality = "CT"
    made = edited(data_set, profile)
    assert (made.PatientAge, made.StationName) == ("044Y", "CT1")
    (kept,) = made.RequestAttributesSequence
    assert kept.ScheduledProcedureStepID == "S1"
    assert "RequestedProcedureID" not in kept
    assert [e.value for e in made if e.tag.is_private] == ["ACME", "wanted"]


def test_a_whitelist_takes_all_else_and_its_own_still_go_through_the_table() -> None:
    data_set = an_object(Modality="CT", BodyPartExamined="HEAD")
    made = edited(data_set, "{key: research, edits: [keep_only: [Modality, PatientID]]}")
    assert made.Modality == "CT"
    assert made.PatientID not in ("4711", "")
    assert "BodyPartExamined" not in made
    assert "StudyDate" not in made


def test_dates_of_a_patient_move_together_and_keep_their_distance() -> None:
    first = edited(an_object(), "{key: research, options: retain modified dates}")
    second = edited(
        an_object(StudyDate="20260401", AcquisitionDateTime="20260401120000.5+0100"),
        "{key: research, options: retain modified dates}",
    )
    days = [pydicom.valuerep.DA(one.StudyDate) for one in (first, second)]
    assert (days[1] - days[0]).days == 31
    assert days[0] < pydicom.valuerep.DA("20260301")
    assert second.AcquisitionDateTime == f"{second.StudyDate}120000.5+0100"
    assert second.LongitudinalTemporalInformationModified == "MODIFIED"


def test_a_date_that_is_none_does_not_stay() -> None:
    made = edited(
        an_object(ContentDate="2026xx", SeriesDate="19911332"),
        "{key: research, options: retain modified dates}",
    )
    assert "2026xx" not in str(made)
    assert "19911332" not in str(made)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("CT Thorax with contrast", "CT Thorax with contrast"),
        ("Thorax of Jane DOE, 4711", "Thorax of ,"),
        ("seen 12.03.2026 by Dr. Quack", "seen by"),
        ("follow-up to 3 Mar 2025, call +49 30 123456", "follow-up to , call"),
        ("see 1.2.840.113619.2.55 and jane@example.org", "see and"),
        ("T2 TSE 512x512 5mm", "T2 TSE 512x512 5mm"),
    ],
)
def test_texts_lose_what_identifies_and_keep_the_rest(text: str, left: str) -> None:
    made = edited(an_object(StudyDescription=text), "{key: research, options: clean descriptors}")
    assert made.StudyDescription == left


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"SOPClassUID": "1.2.3.4"}, "unknown classes"),
        ({"SOPClassUID": EncapsulatedPDFStorage}, "encapsulated documents"),
        ({"SOPClassUID": RawDataStorage}, "raw data"),
        ({"SOPClassUID": EnhancedSRStorage}, "structured reports"),
        ({"BurnedInAnnotation": "YES", "PixelData": b"00"}, "burned-in text"),
        ({"SOPClassUID": UltrasoundImageStorage, "PixelData": b"00"}, "burned-in text"),
        ({"SOPClassUID": XRayAngiographicImageStorage, "PixelData": b"00"}, "burned-in text"),
        ({"BurnedInAnnotation": "Yes", "PixelData": b"00"}, "burned-in text"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"], "PixelData": b"00"}, "burned-in"),
        ({"ImageType": ["ORIGINAL", "SECONDARY", "CT_SOM5 PROT"], "PixelData": b"00"}, "burned-in"),
        ({"ConversionType": "SD", "PixelData": b"00"}, "burned-in text"),
        ({"Modality": "ot", "PixelData": b"00"}, "burned-in text"),
        ({"RecognizableVisualFeatures": "YES"}, "recognizable features"),
    ],
)
def test_what_no_table_makes_safe_is_held_unless_the_profile_says_pass(
    values: dict[str, Any], reason: str
) -> None:
    data_set = an_object(**values)
    if "PixelData" in data_set:
        data_set["PixelData"].VR = "OW"
    with pytest.raises(Refused, match=reason):
        edited(data_set, "{key: research}")
    word = "burned-in text" if reason.startswith("burned-in") else reason
    assert edited(data_set, f"{{key: research, dangers: {{{word}: pass}}}}").PatientID != "4711"


def test_a_sequence_that_is_written_as_bytes_is_taken_out() -> None:
    hidden = b"\xfe\xff\x00\xe0\x10\x00\x00\x00\x10\x00\x10\x00PN\x08\x00Doe^Jane"
    data_set = an_object(Modality="CT")
    data_set.add_new(0x00221419, "OB", hidden)  # Acquisition Device Type Code Sequence, really
    assert 0x00221419 not in edited(data_set, "{key: research}")


def test_a_vr_that_is_none_holds_the_object() -> None:
    encoded = io.BytesIO()
    pydicom.dcmwrite(
        encoded, an_object(ContentDate="20260301"), implicit_vr=False, little_endian=True,
        enforce_file_format=False,
    )  # fmt: skip
    broken = encoded.getvalue().replace(b"\x08\x00\x23\x00DA", b"\x08\x00\x23\x00D\xcf")
    text = "{profiles: {p: {key: research}}, routes: [{name: a, deidentify: p, send_to: x}]}"
    dispatch = rules_of_texts({"a.yaml": text}, keys=KEYS).routes[0].dispatch
    source = EncodedDataSet.read(broken, EXPLICIT)
    with pytest.raises((EditFailed, MalformedDataSet)):
        apply_edits((), source, record=None, profile=dispatch.profile)


def test_an_attribute_that_is_there_twice_holds_the_object() -> None:
    encoded = io.BytesIO()
    pydicom.dcmwrite(
        encoded, an_object(Modality="CT"), implicit_vr=False, little_endian=True,
        enforce_file_format=False,
    )  # fmt: skip
    again = encoded.getvalue() + b"\x08\x00\x60\x00CS\x02\x00MR"
    text = "{profiles: {p: {key: research}}, routes: [{name: a, deidentify: p, send_to: x}]}"
    dispatch = rules_of_texts({"a.yaml": text}, keys=KEYS).routes[0].dispatch
    with pytest.raises(EditFailed, match="Modality is there twice"):
        apply_edits((), EncodedDataSet.read(again, EXPLICIT), record=None, profile=dispatch.profile)


def test_discard_counts_before_hold_and_says_so() -> None:
    both = an_object(
        SOPClassUID=UltrasoundImageStorage, PixelData=b"00", RecognizableVisualFeatures="YES"
    )
    both["PixelData"].VR = "OW"
    profile = "{key: research, dangers: {recognizable features: discard}}"
    with pytest.raises(Dropped, match=r"^discarded: recognizable features: Recog"):
        edited(both, profile)
    del both.RecognizableVisualFeatures
    with pytest.raises(Refused, match=r"^burned-in text"):
        edited(both, profile)
