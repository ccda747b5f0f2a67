"""Pseudonyms: the same under one key, others under another; references and dates stay right."""

from __future__ import annotations

import hashlib
import hmac
import re

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.documents.reading import DocumentError
from rules.editing.shifting import NoDate, shifted
from rules.edits import EditFailed
from rules.resources import Key, KeyUnknown

KEYS = {"research": "a secret of many characters", "other": "another one of many characters"}


def test_a_hash_is_the_same_for_the_same_value_and_key(edit, ct):
    one = edit(ct, "- hash: {tag: PatientID, key: research}")
    again = edit(ct, "- hash: {tag: [PatientID], key: research, length: 16}")
    other = edit(ct, "- hash: {tag: PatientID, key: other}")
    assert one.PatientID == again.PatientID != other.PatientID
    assert re.fullmatch("[A-Z2-7]{16}", one.PatientID)
    assert one.PixelData == ct.decoded().PixelData


def test_equal_values_stay_equal_in_other_attributes_and_lengths(edit, ct):
    after = edit(
        ct,
        """
        - set: {PatientComments: ' 1CT1', OtherPatientIDs: [1CT1, '', x]}
        - hash: {tag: [PatientID, PatientComments, OtherPatientIDs], key: research, length: 52}
        """,
    )
    first, empty, other = after.OtherPatientIDs
    assert after.PatientID == after.PatientComments == first != other
    assert (len(first), empty) == (52, "")


def test_what_is_not_there_is_not_hashed(edit, ct):
    after = edit(ct, "- hash: {tag: [PatientComments, AccessionNumber], key: research, length: 16}")
    assert "PatientComments" not in after
    assert not after.AccessionNumber


def test_a_key_makes_other_digests_for_other_purposes():
    key = Key("research", b"secret")
    assert key.digest("uid", "1") == hmac.digest(b"secret", b"uid\x001", hashlib.sha256)
    assert key.digest("hash", "1") != key.digest("uid", "1")
    assert "secret" not in repr(key)
    with pytest.raises(KeyUnknown):
        Key("research").digest("uid", "1")


def uids_of(data_set: pydicom.Dataset) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for element in data_set.iterall():
        if element.VR == "UI" and element.value:
            values = [element.value] if isinstance(element.value, str) else list(element.value)
            found.setdefault(element.keyword, []).extend(map(str, values))
    return found


def test_every_uid_is_new_but_those_that_dicom_defines(edit, samples):
    for name in ("rtplan.dcm", "CT_small.dcm", "liver_1frame.dcm", "MR_small_bigendian.dcm"):
        before = uids_of(samples[name].decoded())
        after = uids_of(edit(samples[name], "- new_uid: {key: research}"))
        assert before.keys() == after.keys()
        for keyword, old in before.items():
            for one, other in zip(old, after[keyword], strict=True):
                if one.startswith("1.2.840.10008.") or "Class" in keyword:
                    assert other == one
                else:
                    assert re.fullmatch(r"2\.25\.(0|[1-9][0-9]{0,38})", other)
                    assert len(other) <= 44


def test_references_stay_references(edit, ct):
    before = ct.decoded()
    after = edit(
        ct,
        """
        - add_item:
            to: ReferencedImageSequence
            item:
              ReferencedSOPClassUID: "{SOPClassUID}"
              ReferencedSOPInstanceUID: "{SOPInstanceUID}"
        - new_uid: {key: research}
        """,
    )
    [item] = after.ReferencedImageSequence
    assert item.ReferencedSOPInstanceUID == after.SOPInstanceUID != before.SOPInstanceUID
    assert item.ReferencedSOPClassUID == after.SOPClassUID == before.SOPClassUID


def test_some_uids_or_all_but_some(edit, ct):
    before = ct.decoded()
    some = edit(ct, "- new_uid: {key: research, tag: StudyInstanceUID}")
    but = edit(ct, "- new_uid: {key: research, except: [StudyInstanceUID]}")
    assert some.SOPInstanceUID == before.SOPInstanceUID
    assert but.StudyInstanceUID == before.StudyInstanceUID != some.StudyInstanceUID
    assert but.SOPInstanceUID != before.SOPInstanceUID


def dates_of(data_set: pydicom.Dataset) -> list[str]:
    return [str(e.value) for e in data_set.iterall() if e.VR in ("DA", "DT") and e.value]


def test_all_dates_move_alike_and_times_stay(edit, ct, samples):
    before, after = ct.decoded(), edit(ct, "- shift_dates: {days: -30}")
    assert (before.StudyDate, after.StudyDate) == ("20040119", "20031220")
    assert after.StudyTime == before.StudyTime
    assert "PatientBirthDate" not in after or not after.PatientBirthDate
    nested = samples["rtplan.dcm"]
    moved = edit(nested, "- shift_dates: {days: 1}")
    for old, new in zip(dates_of(nested.decoded()), dates_of(moved), strict=True):
        assert shifted("DA", old, 1) == new


def test_keyed_shifts_are_by_patient_and_into_the_past(edit, ct):
    seen = set()
    for patient in ("1CT1", "A", "B", "C"):
        text = f"- set: {{PatientID: {patient}}}\n- shift_dates: {{key: research, within: 100}}"
        moved = edit(ct, text).StudyDate
        assert edit(ct, text).StudyDate == moved
        assert "20031011" <= moved < "20040119"
        seen.add(moved)
    assert len(seen) > 1
    by = edit(ct, "- shift_dates: {key: research, by: StudyInstanceUID, tag: SeriesDate}")
    assert by.StudyDate == "20040119"
    spared = edit(ct, "- shift_dates: {days: 1, except: StudyDate}")
    assert spared.StudyDate == "20040119"
    assert spared.SeriesDate != ct.decoded().SeriesDate


@pytest.mark.parametrize(
    ("vr", "value", "days", "expected"),
    [
        ("DA", "20040228", 1, "20040229"),
        ("DA", "20040228 ", 2, "20040301"),
        ("DA", "2004.02.28", 2, "20040301"),
        ("DA", "2004-02-28", 2, "20040301"),
        ("DA", "20040101-20040131", -1, "20031231-20040130"),
        ("DA", "20040101-", -1, "20031231-"),
        ("DA", "-20040131", -1, "-20040130"),
        ("DT", "20040101", -1, "20031231"),
        ("DT", "20040101120000.123456+0100", -1, "20031231120000.123456+0100"),
        ("DT", "2004010112-0500", 31, "2004020112-0500"),
        ("DT", "200401", -30, "200312"),
        ("DT", "2004", -365, "2003"),
        ("DT", "2004+0100", -365, "2003+0100"),
        ("DT", "20040101-20040131", 1, "20040102-20040201"),
        ("DT", "20040101120000-20040131120000", 1, "20040102120000-20040201120000"),
        ("DA", "", 1, ""),
    ],
)
def test_a_date_moves(vr, value, days, expected):
    assert shifted(vr, value, days) == expected


@pytest.mark.parametrize(
    ("vr", "value"),
    [
        ("DA", "00000000"), ("DA", "20041301"), ("DA", "unknown"), ("DA", "2004"), ("DA", "-"),
        ("DA", "99991231"), ("DT", "20040101xx"), ("DT", "200413"), ("DT", "-"), ("DT", "200"),
        ("DA", "20040101-20040101-20040101"),
    ],
)  # fmt: skip
def test_what_is_no_date_does_not_move(vr, value):
    with pytest.raises(NoDate):
        shifted(vr, value, 1)


@given(st.dates(), st.integers(-1000, 1000))
def test_there_and_back(day, days):
    text = day.strftime("%Y%m%d").rjust(8, "0")
    try:
        there = shifted("DA", text, days)
    except NoDate:
        return
    assert shifted("DA", there, -days) == text
    assert shifted("DT", text + "12", days) == there + "12"


@given(st.sampled_from(["DA", "DT"]), st.text("0123456789-+.: x", max_size=20))
def test_no_text_makes_it_fail_otherwise(vr, text):
    try:
        assert isinstance(shifted(vr, text, 7), str)
    except NoDate:
        pass


@pytest.mark.parametrize(
    ("edits", "says"),
    [
        ("- shift_dates: {key: research, by: PatientComments}", "absent or empty"),
        ("- set: {PatientID: ''}\n- shift_dates: {key: research}", "absent or empty"),
    ],
)
def test_what_cannot_be_moved_holds_the_object(edit, ct, edits, says):
    with pytest.raises(EditFailed, match=says):
        edit(ct, edits)


def test_a_broken_date_holds_the_object_and_is_not_told(edit, ct, remade):
    data_set = ct.decoded()
    data_set["StudyDate"]._value = "2004XX01"
    with pytest.raises(EditFailed, match=r"^StudyDate is no date that can be moved$"):
        edit(remade(ct, data_set), "- shift_dates: {days: 1}")


@pytest.mark.parametrize(
    "edits", ["hash: {tag: PatientID, key: x}", "new_uid: {key: x}", "shift_dates: {key: x}"]
)
def test_without_secrets_rules_can_be_looked_at_and_not_used(edit, ct, edits):
    with pytest.raises(EditFailed, match="the secret of the key x is not known here"):
        edit(ct, f"- {edits}", keys=None)


@pytest.mark.parametrize(
    ("edits", "says"),
    [
        ("hash: {tag: PatientID, key: reserch}", "mean research"),
        ("hash: {tag: PatientID}", "key: this key is missing"),
        ("hash: {tag: StudyDate, key: research}", "StudyDate is no text"),
        ("hash: {tag: AccessionNumber, key: research, length: 20}", "mean 16"),
        ("hash: {tag: PatientID, key: research, length: 4}", "at least 8"),
        ("new_uid: {key: research, tag: PatientID}", "PatientID is no UID"),
        ("shift_dates: {}", "expected days, or a key"),
        ("shift_dates: {days: 1, key: research}", "expected days, or a key"),
        ("shift_dates: {days: 0}", "no days are no shift"),
        ("shift_dates: {days: 1, within: 30}", "goes with a key"),
        ("shift_dates: {days: 1, tag: StudyTime}", "StudyTime is no date"),
        ("shift_dates: {days: some}", "expected a whole number"),
    ],
)
def test_mistakes(edit, ct, edits, says):
    with pytest.raises(DocumentError) as caught:
        edit(ct, f"- {edits}")
    [problem] = caught.value.problems
    assert says in str(problem)
    assert KEYS["research"] not in str(problem)
