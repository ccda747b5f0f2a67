"""What an object consists of: `remove` by VR, `keep_only`, `add_item`, copies out of items."""

from __future__ import annotations

import pydicom
import pytest

from rules.documents.reading import DocumentError
from rules.editing.schema_structure import AddItem
from rules.edits import EditFailed


def every(data_set: pydicom.Dataset) -> list[pydicom.DataElement]:
    return list(data_set.iterall())


@pytest.mark.parametrize("name", ["CT_small.dcm", "rtplan.dcm", "MR_small_bigendian.dcm"])
@pytest.mark.parametrize("vrs", ["PN", "[DA, TM]", "[LO, SH, ST]", "DS"])
def test_all_of_a_vr_go_at_every_level(edit, samples, name, vrs):
    sample = samples[name]
    gone = vrs.strip("[]").split(", ")
    before = sample.decoded()
    after = edit(sample, f"- remove: {{vr: {vrs}}}")
    assert any(e.VR in gone for e in every(before))
    assert not [e for e in every(after) if e.VR in gone and not e.tag.is_private]
    left = [e for e in every(before) if e.VR not in gone]
    assert len([e for e in every(after) if not e.tag.is_private]) == len(
        [e for e in left if not e.tag.is_private]
    )


def test_what_an_object_needs_stays_whatever_its_vr(edit, ct):
    after = edit(ct, "- remove: [{vr: [UI, CS, OW, OB]}, PatientComments]")
    before = ct.decoded()
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        assert after[keyword] == before[keyword]
    assert after.SpecificCharacterSet == before.SpecificCharacterSet
    assert after.PixelData == before.PixelData
    assert "Modality" not in after
    assert "FrameOfReferenceUID" not in after


ALWAYS = {
    "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID",
    "SeriesInstanceUID", "SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "RescaleIntercept",
    "RescaleSlope", "PixelPaddingValue", "PixelData",
}  # fmt: skip


def test_keep_only(edit, ct):
    after = edit(ct, "- keep_only: [PatientID, Modality, '0020,0013']")
    before = ct.decoded()
    kept = {e.keyword for e in after}
    assert kept - ALWAYS == {"PatientID", "Modality", "InstanceNumber"}
    assert after.PixelData == before.PixelData
    assert after.pixel_array.sum() == before.pixel_array.sum()


def test_keep_only_with_paths_patterns_and_private(edit, samples, ct):
    after = edit(samples["rtplan.dcm"], "- keep_only: [BeamSequence.BeamName, '300C,xxxx']")
    assert {e.keyword for beam in after.BeamSequence for e in beam} == {"BeamName"}
    assert {"BeamSequence", "ReferencedStructureSetSequence"} <= {e.keyword for e in after}
    assert "FractionGroupSequence" not in after
    assert after.ReferencedStructureSetSequence[0].ReferencedSOPInstanceUID
    whole = edit(samples["rtplan.dcm"], "- keep_only: [BeamSequence.BeamName, BeamSequence]")
    assert len(whole.BeamSequence[0].ControlPointSequence) == 2
    private = edit(ct, "- keep_only: '0009,[GEMS_IDEN_01],27'")
    assert [hex(e.tag) for e in private if e.tag.is_private] == ["0x90010", "0x91027"]
    every_private = edit(ct, "- keep_only: private")
    old = [e.tag for e in ct.decoded() if e.tag.is_private]
    assert [e.tag for e in every_private if e.tag.is_private] == old


def test_an_item_is_added_to_what_is_there_or_made(edit, ct, samples):
    item = "item: {CodeValue: '{StudyID}-1', CodingSchemeDesignator: 99EH, CodeMeaning: Thorax}"
    after = edit(
        ct,
        f"""
        - add_item: {{to: ProcedureCodeSequence, {item}}}
        - add_item: {{to: ProcedureCodeSequence, {item}}}
        - set: {{ProcedureCodeSequence.CodeMeaning: Lunge}}
        """,
    )
    one, other = after.ProcedureCodeSequence
    assert (one.CodeValue, one.CodeMeaning) == (f"{ct.decoded().StudyID}-1", "Lunge")
    assert one == other
    assert after.PixelData == ct.decoded().PixelData
    plan = samples["rtplan.dcm"]
    count = len(plan.decoded().BeamSequence)
    more = edit(plan, "- add_item: {to: BeamSequence, item: {BeamName: Zusätzlich}}")
    assert len(more.BeamSequence) == count + 1
    assert more.BeamSequence[0] == plan.decoded().BeamSequence[0]
    assert more.BeamSequence[-1].BeamName == "Zusätzlich"


@pytest.mark.parametrize("name", ["rtplan.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm"])
def test_items_in_items_and_private_sequences(edit, samples, name):
    after = edit(
        samples[name],
        """
        - add_item:
            to: RequestAttributesSequence
            item:
              RequestedProcedureID: R1
              RequestedProcedureCodeSequence: [{CodeValue: A}, {CodeValue: B}]
        - add_item: {to: RequestAttributesSequence.RequestedProcedureCodeSequence,
                     item: {CodeValue: C}}
        - set: {"RequestAttributesSequence.0029,[MINE],10": x}
        """,
    )
    [item] = after.RequestAttributesSequence
    assert [code.CodeValue for code in item.RequestedProcedureCodeSequence] == ["A", "B", "C"]
    assert item.private_block(0x29, "MINE")[0x10].value in ("x", b"x ")
    assert item.RequestedProcedureID == "R1"


def test_a_new_item_where_there_is_no_item_to_hold_it(edit, ct):
    with pytest.raises(EditFailed, match="no item to add it in"):
        edit(ct, "- add_item: {to: BeamSequence.ReferencedDoseSequence, item: {StudyID: a}}")


def test_a_sequence_that_was_removed_begins_anew(edit, samples):
    after = edit(
        samples["rtplan.dcm"],
        "- remove: BeamSequence\n- add_item: {to: BeamSequence, item: {BeamName: a}}",
    )
    assert [beam.BeamName for beam in after.BeamSequence] == ["a"]
    gone = edit(
        samples["rtplan.dcm"],
        "- add_item: {to: BeamSequence, item: {BeamName: a}}\n- remove: BeamSequence",
    )
    assert "BeamSequence" not in gone


def test_values_are_copied_out_of_items_and_into_them(edit, samples):
    plan = samples["rtplan.dcm"]
    beams = [str(beam.BeamName) for beam in plan.decoded().BeamSequence]
    after = edit(
        plan,
        """
        - copy: {from: BeamSequence.BeamName, to: OtherPatientIDs}
        - copy: {from: PatientID, to: BeamSequence.BeamDescription}
        - move: {from: BeamSequence.BeamName, to: PatientComments}
        """,
    )
    found = after.OtherPatientIDs
    assert ([found] if isinstance(found, str) else list(found)) == beams
    assert {beam.BeamDescription for beam in after.BeamSequence} == {after.PatientID}
    assert after.PatientComments == "\\".join(beams)
    assert not [beam for beam in after.BeamSequence if "BeamName" in beam]


@pytest.mark.parametrize(
    ("edits", "says"),
    [
        ("remove: {vr: XX}", "there is no VR XX"),
        ("remove: {vr: }", "expected VRs such as"),
        ("remove: {tag: PatientID}", "expected an attribute, a pattern, private"),
        ("remove: []", "at least one attribute"),
        ("keep_only: [PatentID]", "mean PatientID"),
        ("keep_only: []", "at least one attribute"),
        ("add_item: {to: PatientID, item: {StudyID: a}}", "PatientID is no sequence"),
        ("add_item: {to: BeamSequence, item: {}}", "expected attributes and their values"),
        ("add_item: {to: BeamSequence, item: {BeamNam: a}}", "mean BeamName"),
        ("add_item: {to: BeamSequence, item: {BeamNumber: a}}", "no IS value"),
        ("add_item: {to: BeamSequence, item: {PixelData: a}}", "holds no text"),
        ("add_item: {to: BeamSequence, item: {BeamName: }}", "a text is missing"),
        ("add_item: {to: BeamSequence, item: {BeamSequence.BeamName: a}}", "as a mapping"),
        ("add_item: {to: BeamSequence}", "item: this key is missing"),
        ("charset: ISO_IR 100", "mean ISO_IR 192"),
    ],
)
def test_mistakes(edit, ct, edits, says):
    with pytest.raises(DocumentError) as caught:
        edit(ct, f"- {edits}")
    [problem] = caught.value.problems
    assert says in str(problem)


def test_what_was_typed_is_what_is_written():
    typed = {
        "to": "BeamSequence",
        "item": {"BeamName": "{StudyID}", "BeamSequence": [{"BeamName": "b"}]},
    }
    edit = AddItem.model_validate({"add_item": typed})
    assert edit.model_dump(mode="json", by_alias=True) == {"add_item": typed}
