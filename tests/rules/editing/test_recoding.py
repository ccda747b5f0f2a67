"""Texts that the object's character set cannot hold: the whole object goes out in Unicode."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pydicom.data
import pytest

from rules.editing.recording import Recording
from rules.editing.schema import Edit
from rules.edits import EditFailed

FOLDER = Path(pydicom.data.__file__).parent / "charset_files"
FILES = sorted(FOLDER.glob("*.dcm"))
WHEN = Recording(when=datetime(2026, 3, 1, 12, tzinfo=UTC), system="ROUTER")
TEXT = {"LO", "LT", "PN", "SH", "ST", "UC", "UT"}


def texts(data_set: pydicom.Dataset) -> list[tuple[str, str]]:
    data_set.decode()
    return [(str(e.tag), str(e.value)) for e in data_set.iterall() if e.VR in TEXT]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_text_of_every_character_set(edit, samples, path):
    sample = samples.get(path.name)
    if sample is None:
        pytest.skip("it has no file meta information")
    before = texts(sample.decoded())
    try:
        after = edit(sample, "- charset: ISO_IR 192")
    except EditFailed as failed:
        assert "has no SOP" in str(failed)  # noqa: PT017
        return
    assert after.SpecificCharacterSet == "ISO_IR 192"
    assert not [e for item in after.iterall() if item.VR == "SQ" for d in item.value for e in d
                if e.tag == 0x00080005]  # fmt: skip
    assert texts(after) == before


def test_an_edit_switches_the_object_only_where_it_must(edit, samples, ct):
    same = edit(ct, "- set: {InstitutionName: Zürich}")
    assert same.SpecificCharacterSet == "ISO_IR 100"
    other = edit(ct, "- set: {StudyID: a, PatientName: '王^小東'}")
    assert other.SpecificCharacterSet == "ISO_IR 192"
    assert other.PatientName == "王^小東"
    assert other.PixelData == ct.decoded().PixelData
    russian = edit(samples["chrRuss.dcm"], "- set: {InstitutionName: Zürich}")
    assert russian.SpecificCharacterSet == "ISO_IR 192"
    assert russian.PatientName == samples["chrRuss.dcm"].decoded().PatientName
    assert russian.InstitutionName == "Zürich"


def test_person_names_with_all_components_and_items_with_sets_of_their_own(edit, ct, remade):
    data_set = ct.decoded()
    data_set.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    data_set.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    inner = pydicom.Dataset()
    inner.SpecificCharacterSet = "ISO_IR 144"
    inner.RequestedProcedureDescription = "Грудь"
    outer = pydicom.Dataset()
    outer.RequestedProcedureDescription = "胸"
    data_set.RequestAttributesSequence = [inner, outer]
    after = edit(remade(ct, data_set), "- set: {InstitutionName: Zürich}")
    assert str(after.PatientName) == "Yamada^Tarou=山田^太郎=やまだ^たろう"
    one, other = after.RequestAttributesSequence
    assert "SpecificCharacterSet" not in one
    assert one.RequestedProcedureDescription == "Грудь"
    assert other.RequestedProcedureDescription == "胸"


def test_what_was_before_is_recorded_in_the_set_it_was_in(edit, samples):
    sample = samples["chrRuss.dcm"]
    before = sample.decoded()
    after = edit(sample, "- prefix: {PatientName: 'Zürich '}", record=WHEN)
    [record] = after.OriginalAttributesSequence
    [old] = record.ModifiedAttributesSequence
    assert sorted(e.keyword for e in old) == ["PatientName", "SpecificCharacterSet"]
    assert old.SpecificCharacterSet == before.SpecificCharacterSet
    assert old.PatientName == before.PatientName
    again = edit(
        type(sample)(sample.name, written(after), sample.syntax, offset_of(written(after))),
        "- charset: ISO_IR 192",
    )
    assert again.OriginalAttributesSequence[0].ModifiedAttributesSequence[0] == old


def test_where_no_set_was_named_the_record_says_how_it_was_read(edit, ct, remade):
    data_set = ct.decoded()
    del data_set.SpecificCharacterSet
    after = edit(remade(ct, data_set), "- set: {PatientName: 王}", record=WHEN)
    [record] = after.OriginalAttributesSequence
    [old] = record.ModifiedAttributesSequence
    assert old.SpecificCharacterSet == "ISO_IR 100"
    assert old.PatientName == data_set.PatientName


def test_bytes_that_are_no_text_hold_the_object(edit, ct, remade):
    data_set = ct.decoded()
    data_set.SpecificCharacterSet = "ISO_IR 144"
    sample = remade(ct, data_set)
    at = sample.content.index(b"ISO_IR 144")
    content = sample.content[:at] + b"ISO_IR 999" + sample.content[at + 10 :]
    name = content.index(b"CompressedSamples")
    content = content[:name] + b"\xc4" + content[name + 1 :]
    broken = type(sample)(sample.name, content, sample.syntax, sample.offset)
    with pytest.raises(EditFailed, match=r"^PatientName cannot be read in the object's char"):
        edit(broken, "- charset: ISO_IR 192")


def written(data_set: pydicom.Dataset) -> bytes:
    file = io.BytesIO()
    pydicom.dcmwrite(file, data_set, enforce_file_format=True)
    return file.getvalue()


def offset_of(content: bytes) -> int:
    return 144 + int.from_bytes(content[140:144], "little")


def test_the_schema_says_what_can_be_written():
    from pydantic import TypeAdapter

    schema = TypeAdapter(list[Edit]).json_schema()
    assert schema["$defs"]["Charset"]["properties"]["charset"]["const"] == "ISO_IR 192"
