"""Names of files that lead nowhere else and never meet."""

import unicodedata
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.egress.layout import ABSENT, Layout, safe

LAYOUT = Layout("{PatientID}/{StudyInstanceUID}/CT_{SOPInstanceUID}.dcm")


def test_values_become_names_of_folders_and_of_the_file():
    values = {"PatientID": "P 1", "StudyInstanceUID": "1.2.3", "SOPInstanceUID": "1.2.3.4"}
    assert LAYOUT.names(lambda path: values[str(path)]) == ["P 1", "1.2.3", "CT_1.2.3.4.dcm"]


def test_what_an_object_does_not_have_is_called_so():
    assert LAYOUT.names(lambda path: None) == [ABSENT, ABSENT, f"CT_{ABSENT}.dcm"]


@pytest.mark.parametrize(
    "value", ["..", ".", "../../etc/passwd", "/etc/passwd", "a/b", "a\\b", ".hidden", "a\0x", "x."]
)
def test_a_value_can_neither_climb_nor_hide(value):
    name = safe(value)
    assert "/" not in name
    assert "\\" not in name
    assert not name.startswith(".")
    assert "~" in name


@given(st.text(max_size=300))
def test_any_value_is_one_name_that_a_file_system_takes(value):
    name = safe(value)
    assert PurePosixPath(name).parts == (name,)
    assert name not in (".", "..")
    assert 0 < len(name.encode()) <= 120
    assert not any(ord(letter) < 32 for letter in name)


@given(st.text(max_size=30), st.text(max_size=30))
def test_different_values_have_different_names(one, other):
    if safe(one) == safe(other):
        assert _plain(one) == _plain(other)


def _plain(value):
    return unicodedata.normalize("NFC", value.strip(" \0"))


def test_values_that_clean_up_alike_stay_apart():
    assert len({safe("A/B"), safe("A_B"), safe("A\\B"), safe("A:B")}) == 4
    assert len({safe(""), safe(ABSENT)}) == 2


@pytest.mark.parametrize("template", ["", "/", "../{SOPInstanceUID}", "a/../{SOPInstanceUID}"])
def test_a_layout_that_leaves_its_folder_is_refused(template):
    with pytest.raises(ValueError, match="folder"):
        Layout(template)


@pytest.mark.parametrize("template", ["{NoSuchKeyword}", "{SOPInstanceUID", "a}b"])
def test_a_layout_that_makes_no_sense_is_refused(template):
    with pytest.raises(ValueError, match=r"\w"):
        Layout(template)
