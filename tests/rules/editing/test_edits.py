"""Edits on real objects: pydicom reads them back equal but for the edit; pixels are untouched."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pydicom
import pytest
from pydantic import TypeAdapter

from rules.editing.schema import Edit
from rules.edits import EditFailed, Recording, apply_edits
from rules.encoded.data_set import EncodedDataSet, MalformedDataSet, Piece

ADAPTER: TypeAdapter[list[Edit]] = TypeAdapter(list[Edit])
WHEN = Recording(when=datetime(2026, 3, 1, 12, tzinfo=UTC), system="ROUTER")
STATION = 0x00081010


def joined(pieces: tuple[Piece, ...], data_set: EncodedDataSet) -> bytes:
    return b"".join(
        piece if isinstance(piece, bytes) else bytes(data_set.view(piece.offset, piece.length))
        for piece in pieces
    )


def one(edit: dict[str, Any]) -> list[Edit]:
    return ADAPTER.validate_python([edit])


def edit(sample: Any, *edits: dict[str, Any], record: Recording | None = None) -> Any:
    """What pydicom reads after the edits, and the result itself."""
    data_set = sample.data_set
    result = apply_edits(ADAPTER.validate_python(list(edits)), data_set, record=record)
    return sample.decoded(joined(result.pieces, data_set)), result


def in_json(data_set: pydicom.Dataset, *but: int) -> dict[str, Any]:
    """Every element as pydicom decodes it, without group lengths and those named."""
    plain = {}
    for element in data_set:
        if element.tag.element and element.tag not in but:
            plain[str(element.tag)] = (element.VR, repr(element.value))
    return plain


BROKEN = {"MR_truncated.dcm", "rtplan_truncated.dcm", "DICOMDIR-nooffset"}
UNREADABLE = (NotImplementedError, TypeError, ValueError, LookupError, EOFError)
"""What pydicom raises for broken values."""


UNJUDGED = "emri_small_jpeg_2k_lossless_too_short.dcm"
"""Its last fragment has no end: pydicom then finds no elements at all."""


def decoded_json(sample: Any) -> dict[str, Any]:
    if sample.name == UNJUDGED:
        pytest.skip("pydicom reads nothing of it")
    try:
        return in_json(sample.decoded(), STATION)
    except UNREADABLE:
        pytest.skip("pydicom cannot read it")


def test_an_edit_leaves_everything_else(sample):
    before = decoded_json(sample)
    try:
        after, _ = edit(sample, {"set": {"StationName": "ELSEWHERE"}})
    except EditFailed as failed:
        assert str(failed).startswith("the object has no SOP")  # noqa: PT017
        return
    except MalformedDataSet:
        assert sample.name in BROKEN
        return
    assert after.StationName == "ELSEWHERE"
    assert in_json(after, STATION) == before


@pytest.fixture
def ct(samples):
    return samples["CT_small.dcm"]


CASES: list[tuple[list[dict[str, Any]], Callable[[pydicom.Dataset], object], object]] = [
    ([{"set": {"InstitutionName": "Odd"}}], lambda ds: ds.InstitutionName, "Odd"),
    ([{"copy": {"from": "Columns", "to": "Rows"}}], lambda ds: ds.Rows, 128),
    ([{"set": {"Rows": "256"}}], lambda ds: ds.Rows, 256),
    ([{"set": {"SmallestImagePixelValue": "-5"}}], lambda ds: ds.SmallestImagePixelValue, -5),
    ([{"set": {"DopplerCorrectionAngle": "-1.5"}}], lambda ds: ds.DopplerCorrectionAngle, -1.5),
    ([{"set": {"SimpleFrameList": ["1", "2"]}}], lambda ds: list(ds.SimpleFrameList), [1, 2]),
    ([{"set": {"ImageType": ["DERIVED", "B"]}}], lambda ds: list(ds.ImageType), ["DERIVED", "B"]),
    ([{"set": {"StudyID": "{Modality}-{PatientID}"}}], lambda ds: ds.StudyID, "CT-1CT1"),
    ([{"set_if_missing": {"PatientID": "X"}}], lambda ds: ds.PatientID, "1CT1"),
    ([{"set_if_missing": {"AccessionNumber": "X"}}], lambda ds: ds.AccessionNumber, "X"),
    ([{"prefix": {"PatientID": "EH-"}}], lambda ds: ds.PatientID, "EH-1CT1"),
    ([{"prefix": {"PatientID": "a"}}, {"suffix": {"PatientID": "z"}}],
     lambda ds: ds.PatientID, "a1CT1z"),
    ([{"copy": {"from": "PatientID", "to": "StudyID"}}], lambda ds: ds.StudyID, "1CT1"),
    ([{"move": {"from": "PatientID", "to": "StudyID"}}], lambda ds: "PatientID" in ds, False),
    ([{"remove": ["PatientName"]}], lambda ds: "PatientName" in ds, False),
    ([{"remove": "private"}], lambda ds: [e for e in ds.iterall() if e.tag.is_private], []),
    ([{"remove": "(0019,10xx)"}], lambda ds: 0x00191002 in ds, False),
    ([{"replace": {"tag": "PatientID", "pattern": "^1(C)", "with": "\\1x"}}],
     lambda ds: ds.PatientID, "CxT1"),
    ([{"lower": "PatientID"}], lambda ds: ds.PatientID, "1ct1"),
    ([{"upper": ["PatientName"]}], lambda ds: str(ds.PatientName), "COMPRESSEDSAMPLES^CT1"),
    ([{"set": {"0029,[MINE],10": "a"}}],
     lambda ds: ds.private_block(0x29, "MINE")[0x10].value, "a"),
]  # fmt: skip


@pytest.mark.parametrize(("edits", "seen", "wanted"), CASES, ids=lambda value: None)
def test_what_each_edit_does(ct, edits, seen, wanted):
    after, result = edit(ct, *edits)
    assert seen(after) == wanted
    assert after.PixelData == ct.decoded().PixelData
    assert result.sop_instance_uid == after.SOPInstanceUID
    assert result.transfer_syntax_uid == ct.syntax


@pytest.mark.parametrize(
    "impossible",
    [
        {"set": {"StudyID": "{StudyComments} {PatientID}"}},
        {"set": {"StudyID": "{PatientName}{PatientName}"}},  # longer than SH
        {"copy": {"from": "StudyComments", "to": "StudyID"}},
        {"remove": "(0008,xxxx)"},
        {"prefix": {"StudyDate": "x"}},
        {"suffix": {"Rows": "x"}},
    ],
)
def test_an_impossible_edit_fails_and_says_why_without_the_value(ct, impossible):
    with pytest.raises(EditFailed) as failed:
        apply_edits(one(impossible), ct.data_set, record=None)
    assert "1CT1" not in str(failed.value)
    assert "Compressed" not in str(failed.value)


def test_an_edit_that_changes_nothing_passes_the_source_on(ct):
    _, result = edit(ct, {"set": {"PatientID": "1CT1"}}, {"strip": "PatientID"}, record=WHEN)
    (whole,) = result.pieces
    assert result.changed == ()
    assert (whole.offset, whole.length) == (ct.offset, len(ct.content) - ct.offset)


def test_previous_values_are_recorded(ct):
    after, result = edit(ct, {"prefix": {"PatientID": "EH-"}}, {"remove": "0043,1010"}, record=WHEN)
    (item,) = after.OriginalAttributesSequence
    (previous,) = item.ModifiedAttributesSequence
    assert previous.PatientID == "1CT1"
    assert item.ModifyingSystem == "ROUTER"
    assert item.AttributeModificationDateTime == "20260301120000.000000+0000"
    assert result.changed[0] == "PatientID"


def test_a_second_recording_comes_after_the_first(ct):
    data_set = ct.data_set
    edits = ADAPTER.validate_python([{"prefix": {"PatientID": "A"}}])
    first = joined(apply_edits(edits, data_set, record=WHEN).pieces, data_set)
    again = EncodedDataSet.read(first, ct.syntax)
    second = joined(apply_edits(edits, again, record=WHEN).pieces, again)
    items = ct.decoded(second).OriginalAttributesSequence
    assert [i.ModifiedAttributesSequence[0].PatientID for i in items] == ["1CT1", "A1CT1"]


def test_private_attributes_go_at_every_level(sample):
    decoded_json(sample)
    before = sample.decoded()
    before.remove_private_tags()
    try:
        after, _ = edit(sample, {"remove": "private"})
    except EditFailed as failed:
        assert str(failed).startswith("the object has no SOP")  # noqa: PT017
        return
    except MalformedDataSet:
        assert sample.name in BROKEN
        return
    assert in_json(after) == in_json(before)


def test_an_edit_in_every_item_keeps_the_lengths_right(samples):
    after, _ = edit(samples["rtplan.dcm"], {"set": {"BeamSequence.BeamName": "Field and more"}})
    assert [beam.BeamName for beam in after.BeamSequence] == ["Field and more"]
    assert len(after.BeamSequence[0].ControlPointSequence) == 2


SIGNING = (0x4FFE0001, 0xFFFAFFFA)


def sign(data_set):
    """As a signing station leaves a data set, at the ends of which the sequences stand."""
    for tag in SIGNING:
        item = pydicom.Dataset()
        item.MACIDNumber = 1
        data_set.add_new(tag, "SQ", [item])


@pytest.fixture(params=["CT_small.dcm", "JPEG2000.dcm", "MR_small_bigendian.dcm", "rtplan.dcm"])
def signed(request, samples):
    """Native pixel data, encapsulated, big endian, none; signatures lie behind it."""
    sample = samples[request.param]
    data_set = sample.decoded()
    sign(data_set)
    return written(sample, data_set)


def written(sample, data_set):
    """The sample with another data set."""
    file = io.BytesIO()
    pydicom.dcmwrite(file, data_set, enforce_file_format=True)
    content = file.getvalue()
    meta_length = int.from_bytes(content[140:144], "little")
    return replace(sample, content=content, offset=144 + meta_length)


def signatures(data_set):
    return [tag for tag in SIGNING if tag in data_set]


def test_a_change_takes_the_signatures_with_it(signed):
    assert signatures(signed.decoded()) == list(SIGNING)
    after, result = edit(signed, {"set": {"PatientID": "EH-1"}}, record=WHEN)
    assert signatures(after) == []
    assert result.changed == ("PatientID", "MACParametersSequence", "DigitalSignaturesSequence")
    (item,) = after.OriginalAttributesSequence
    assert signatures(item.ModifiedAttributesSequence[0]) == list(SIGNING)
    before = signed.decoded()
    assert after.get("PixelData") == before.get("PixelData")
    dropped = (*SIGNING, 0x00100020, 0x04000561)
    assert in_json(after, *dropped) == in_json(before, *dropped)


def test_without_a_change_signatures_hold(signed):
    same = str(signed.decoded().SOPInstanceUID)
    after, result = edit(signed, {"set": {"SOPInstanceUID": same}}, {"remove": "LabelText"})
    assert result.changed == ()
    assert signatures(after) == list(SIGNING)


def test_what_cannot_be_signed_can_change(signed):
    after, _ = edit(signed, {"remove": "(fffc,xxxx)"})
    assert signatures(after) == list(SIGNING)
    after, result = edit(signed, {"remove": "(fffa,xxxx)"})
    assert signatures(after) == [SIGNING[0]]
    assert result.changed == ("DigitalSignaturesSequence",)


def test_signatures_of_items_go_where_the_item_changed(samples):
    data_set = samples["rtplan.dcm"].decoded()
    sign(data_set.BeamSequence[0])
    sign(data_set.FractionGroupSequence[0])
    after, _ = edit(
        written(samples["rtplan.dcm"], data_set), {"set": {"BeamSequence.BeamName": "x"}}
    )
    assert signatures(after.BeamSequence[0]) == []
    assert signatures(after.FractionGroupSequence[0]) == list(SIGNING)


def test_damage_behind_the_header_is_no_reason_to_hold(samples):
    sample = samples["CT_small.dcm"]
    cut = replace(sample, content=sample.content[:-5000])
    _, result = edit(cut, {"set": {"PatientID": "EH-1"}})
    assert result.changed == ("PatientID",)


def test_a_signature_before_damage_cannot_be_taken_out(samples):
    sample = samples["CT_small.dcm"]
    data_set = sample.decoded()
    sign(data_set)
    signed = written(sample, data_set)
    with pytest.raises(MalformedDataSet):
        edit(replace(signed, content=signed.content[:-30]), {"set": {"PatientID": "EH-1"}})
