"""Every edit as it is typed, on a CT slice; and what holds of all of them.

Whatever bytes an object consists of, an edit is done or refused with a reason; done twice, most
leave what they left the first time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from textwrap import indent
from typing import Any

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules.editing.recording import Recording
from rules.editing.schema import EDITS
from rules.edits import EditFailed, apply_edits
from rules.encoded.data_set import EncodedDataSet, MalformedDataSet
from rules.loading import rules_of_texts

FILES = {"mrn.csv": "old,new\n1CT1,EH-7\n"}
KEYS = {"research": "a secret of many characters"}
WHEN = Recording(when=datetime(2026, 3, 1, 12, tzinfo=UTC), system="ROUTER")
PIXEL_EDITS = ("transfer_syntax: RLELossless", "burn: [[0, 0, 10, 10]]")

CASES: list[tuple[str, Callable[[pydicom.Dataset], object], object]] = [
    ("set: {StudyID: 0123}", lambda ds: ds.StudyID, "0123"),
    ("set: {StudyID: '{Modality}-{PatientID}'}", lambda ds: ds.StudyID, "CT-1CT1"),
    ("set: {StudyID: '{{x}}'}", lambda ds: ds.StudyID, "{x}"),
    ("set: {ImageType: [A, B]}", lambda ds: list(ds.ImageType), ["A", "B"]),
    ("set: {StudyID: ''}", lambda ds: ds.StudyID, ""),
    ("set: {'0029,[MINE],10': a}", lambda ds: ds.private_block(0x29, "MINE")[0x10].value, "a"),
    ("set_if_missing: {PatientID: X, AccessionNumber: Y}",
     lambda ds: (ds.PatientID, ds.AccessionNumber), ("1CT1", "Y")),
    ("remove: [PatientName, '(0019,10xx)']",
     lambda ds: ("PatientName" in ds, 0x00191002 in ds), (False, False)),
    ("remove: private", lambda ds: [e for e in ds if e.tag.is_private], []),
    ("remove: {vr: PN}", lambda ds: [e for e in ds if e.VR == "PN"], []),
    ("keep_only: [PatientID]", lambda ds: ("PatientName" in ds, ds.PatientID), (False, "1CT1")),
    ("copy: {from: PatientID, to: StudyID}", lambda ds: (ds.StudyID, ds.PatientID),
     ("1CT1", "1CT1")),
    ("move: {from: PatientID, to: StudyID}", lambda ds: (ds.StudyID, "PatientID" in ds),
     ("1CT1", False)),
    ("prefix: {PatientID: EH-}", lambda ds: ds.PatientID, "EH-1CT1"),
    ("suffix: {PatientID: '-{Modality}'}", lambda ds: ds.PatientID, "1CT1-CT"),
    ("replace: {tag: PatientID, pattern: '^1(C)', with: '\\1x'}", lambda ds: ds.PatientID, "CxT1"),
    ("upper: [PatientName]", lambda ds: str(ds.PatientName), "COMPRESSEDSAMPLES^CT1"),
    ("lower: PatientID", lambda ds: ds.PatientID, "1ct1"),
    ("strip: PatientID", lambda ds: ds.PatientID, "1CT1"),
    ("lookup: {tag: PatientID, table: mrn.csv}", lambda ds: ds.PatientID, "EH-7"),
    ("map: {tag: Modality, values: {CT: OT}}", lambda ds: ds.Modality, "OT"),
    ("hash: {tag: PatientID, key: research}", lambda ds: len(ds.PatientID), 16),
    ("shift_dates: {days: 1}", lambda ds: ds.StudyDate, "20040120"),
    ("new_uid: {key: research}", lambda ds: str(ds.SOPInstanceUID)[:5], "2.25."),
    ("add_item: {to: ProcedureCodeSequence, item: {CodeValue: a}}",
     lambda ds: [item.CodeValue for item in ds.ProcedureCodeSequence], ["a"]),
    ("charset: ISO_IR 192", lambda ds: ds.SpecificCharacterSet, "ISO_IR 192"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "seen", "wanted"), CASES, ids=[case[0] for case in CASES])
def test_an_edit_as_it_is_typed(edit, ct, text, seen, wanted):
    after = edit(ct, f"- {text}", files=FILES)
    assert seen(after) == wanted
    assert after.PixelData == ct.decoded().PixelData


def test_every_edit_is_typed_somewhere():
    typed = {text.partition(":")[0] for text, _, _ in CASES}
    assert typed | {text.partition(":")[0] for text in PIXEL_EDITS} == set(EDITS)


@pytest.mark.parametrize("text", [case[0] for case in CASES], ids=str)
def test_what_an_edit_changed_is_recorded(edit, ct, text):
    before = ct.decoded()
    after = edit(ct, f"- {text}", files=FILES, record=WHEN)
    plain = edit(ct, f"- {text}", files=FILES)
    changed = [
        e.tag for e in before if e.tag not in plain or repr(plain[e.tag].value) != repr(e.value)
    ]
    if not changed and "set" not in text and "add_item" not in text:
        assert "OriginalAttributesSequence" not in after
        return
    [record] = after.OriginalAttributesSequence
    [old] = record.ModifiedAttributesSequence
    creators = {e.tag for e in old if e.tag.is_private and e.tag.element < 0x100}
    assert {e.tag for e in old} - creators == set(changed) - creators
    assert all(old[tag].value == before[tag].value for tag in changed)


def test_edits_of_pixels_are_handed_on(ct):
    table = table_of("\n".join(f"- {text}" for text in (*PIXEL_EDITS, "lower: PatientID")))
    result = apply_edits(table, ct.data_set, record=None)
    assert [type(one).__name__ for one in result.pixel_edits] == ["TransferSyntax", "Burn"]


def table_of(edits: str) -> Any:
    text = f"routes:\n- name: it\n  send_to: there\n  edits:\n{indent(edits, '    ')}\n"
    return rules_of_texts({"10.yaml": text}, keys=KEYS).routes[0].dispatch.edits


AGAIN = [
    "set: {StudyID: x, PatientName: 王}", "remove: [private, vr: PN]", "keep_only: [PatientID]",
    "copy: {from: PatientID, to: StudyID}", "upper: [PatientName]", "charset: ISO_IR 192",
    "set_if_missing: {AccessionNumber: Y}", "map: {tag: Modality, values: {CT: CT}}",
]  # fmt: skip


@pytest.mark.parametrize("text", AGAIN)
def test_once_more_changes_nothing(edit_file, ct, text):
    once = edit_file(ct, f"- {text}")
    result = apply_edits(table_of(f"- {text}"), replace(ct, content=once).data_set, record=WHEN)
    assert result.changed == ()


@pytest.fixture(scope="module")
def tables() -> list[Any]:
    several = [case[0] for case in CASES if "lookup" not in case[0]]
    return [table_of("\n".join(f"- {text}" for text in several[n::4])) for n in range(4)]


SMALL = ["CT_small.dcm", "rtplan.dcm", "MR_small_bigendian.dcm", "UN_sequence.dcm",
         "nested_priv_SQ.dcm", "chrH31.dcm", "image_dfl.dcm", "JPEG2000.dcm"]  # fmt: skip


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from(SMALL),
    at=st.integers(0, 3000),
    cut=st.integers(0, 12),
    new=st.binary(max_size=12),
    which=st.integers(0, 3),
)
def test_whatever_an_object_consists_of(samples, tables, name, at, cut, new, which):
    sample = samples[name]
    data = sample.content[sample.offset :]
    broken = data[:at] + new + data[at + cut :]
    try:
        data_set = EncodedDataSet.read(broken, sample.syntax)
        result = apply_edits(tables[which], data_set, record=WHEN)
    except (EditFailed, MalformedDataSet):
        return
    assert result.sop_instance_uid
