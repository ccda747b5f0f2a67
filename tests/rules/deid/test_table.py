"""The standard's tables as they are read."""

import pytest
from pydicom.datadict import tag_for_keyword
from pydicom.uid import CTImageStorage, VLEndoscopicImageStorage

from rules.deid.table import Option, row_of, rows, safe_private, type_of

CODES = {"X", "Z", "D", "U", "X/Z", "X/D", "Z/D", "X/Z/D", "X/Z/U*"}


def number(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    return tag


def test_every_code_is_one_the_standard_knows():
    assert {row.basic for row in rows().values()} == CODES
    assert {code for row in rows().values() for code in row.options.values()} == {"K", "C"}
    assert len(rows()) == 653


@pytest.mark.parametrize(
    ("keyword", "basic", "option", "code"),
    [
        ("PatientName", "Z", None, None),
        ("PatientID", "Z/D", None, None),
        ("SOPInstanceUID", "U", Option.RETAIN_UIDS, "K"),
        ("StudyDate", "Z", Option.RETAIN_MODIFIED_DATES, "C"),
        ("StudyDescription", "X", Option.CLEAN_DESCRIPTORS, "C"),
        ("StationName", "X/Z/D", Option.RETAIN_DEVICE_IDENTITY, "K"),
    ],
)
def test_rows_are_those_of_the_standard(
    keyword: str, basic: str, option: Option | None, code: str | None
):
    row = row_of(number(keyword))
    assert row is not None
    assert row.basic == basic
    assert option is None or row.options[option] == code


def test_curves_and_overlays_are_found_in_every_group_they_repeat_in():
    assert [getattr(row_of(tag), "basic", None) for tag in (0x50000010, 0x501E3000)] == ["X", "X"]
    assert getattr(row_of(0x60023000), "name", None) == "Overlay Data"
    assert row_of(0x60020010) is None
    assert row_of(0x50010010) is None  # private


def test_what_a_type_is_depends_on_where_an_attribute_stands():
    contrast = number("ContrastBolusAgent")
    assert type_of(contrast, sop_class_uid=CTImageStorage, sequence=None) == "2"
    assert type_of(contrast, sop_class_uid=VLEndoscopicImageStorage, sequence=None) == "3"
    institution = number("InstitutionName")
    identification = number("ReferringPhysicianIdentificationSequence")
    assert type_of(institution, sop_class_uid=CTImageStorage, sequence=None) == "3"
    assert type_of(institution, sop_class_uid=CTImageStorage, sequence=identification) == "1C"


def test_safe_private_attributes_are_named_by_their_creator():
    assert (0x7053, "Philips PET Private Group", 0x00) in safe_private()
    assert len(safe_private()) == 479
