"""No value of the phantom comes out but what an option retains."""

from __future__ import annotations

import io

import pydicom
import pytest
from pydicom.filereader import read_dataset
from pydicom.uid import UID

from rules.deid.profile import Danger, Profile
from rules.deid.table import Option
from rules.edits import apply_edits
from rules.encoded.data_set import EncodedDataSet, Slice
from rules.resources import Resources
from rules.tables import Tables
from tests.rules.deid.phantom import FORMS, NAMES, SYNTAXES, Phantom, Planted, phantom

EXPLICIT = "1.2.840.10008.1.2.1"
FEARLESS = dict.fromkeys(Danger, "pass")


def profile(**written: object) -> Profile:
    context = {"resources": Resources(Tables(None), {"research": "not for service"})}
    given = {"key": "research", "dangers": FEARLESS, **written}
    return Profile.model_validate(given, context=context)


def deidentified(content: bytes, syntax: str, chosen: Profile) -> bytes:
    data_set = EncodedDataSet.read(content, syntax)
    edited = apply_edits((), data_set, record=None, profile=chosen)
    return b"".join(
        bytes(data_set.view(piece.offset, piece.length)) if isinstance(piece, Slice) else piece
        for piece in edited.pieces
    )


def left_in(result: bytes, made: Phantom) -> list[Planted]:
    return [one for one in made.planted if one.data in result]


def decoded(content: bytes, syntax: str) -> pydicom.Dataset:
    uid = UID(syntax)
    return read_dataset(io.BytesIO(content), uid.is_implicit_VR, uid.is_little_endian)


def told(left: list[Planted]) -> list[str]:
    return [f"{one.tag:08X} {one.vr} at depth {one.depth}" for one in left]


def assert_moved(left: list[Planted]) -> None:
    """Times of day stay, and a year or month may: what is left of a date is moved by days."""
    assert {one.vr for one in left} <= {"DT", "TM", "SH"}
    assert all(len(one.data) <= len(b"tagsDT00196003") for one in left if one.vr == "DT")


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_nothing_is_left_by_the_basic_profile(syntax: str) -> None:
    made = phantom(syntax)
    assert len({one.data for one in made.planted}) == len(made.planted)
    assert left_in(made.content, made) == made.planted
    assert len({(one.tag, one.depth) for one in made.planted}) > 1900
    result = deidentified(made.content, syntax, profile())
    assert told(left_in(result, made)) == []
    again = decoded(result, syntax)
    assert again.PatientIdentityRemoved == "YES"
    assert [code.CodeValue for code in again.DeidentificationMethodCodeSequence] == ["113100"]
    assert again.PixelData == bytes(range(8))


@pytest.mark.parametrize("turn", range(1, FORMS))
def test_nothing_is_left_in_any_form_of_a_value(turn: int) -> None:
    """Partial dates and times, ranges, several values, wrong padding, values that are too long."""
    made = phantom(EXPLICIT, turn=turn)
    assert left_in(made.content, made) == made.planted
    assert told(left_in(deidentified(made.content, EXPLICIT, profile()), made)) == []
    dates = profile(options=["retain modified dates"])
    assert_moved(left_in(deidentified(made.content, EXPLICIT, dates), made))


@pytest.mark.parametrize("charset", NAMES)
def test_nothing_is_left_in_any_character_set(charset: str) -> None:
    made = phantom(EXPLICIT, charset)
    assert told(left_in(deidentified(made.content, EXPLICIT, profile()), made)) == []


@pytest.mark.parametrize(
    "option",
    [o for o in Option if o not in (Option.CLEAN_PIXEL_DATA, Option.CLEAN_VISUAL_FEATURES)],
)
def test_an_option_retains_what_its_column_says_and_nothing_else(option: Option) -> None:
    made = phantom(EXPLICIT)
    result = deidentified(made.content, EXPLICIT, profile(options=[option]))
    left = left_in(result, made)
    beyond = [one for one in left if one.row is None or option not in one.row.options]
    if option is Option.RETAIN_FULL_DATES:  # dates that the table does not know are dates, too
        beyond = [one for one in beyond if one.row is not None or one.vr != "DA"]
    assert told(beyond) == []
    kept = [one for one in made.planted if one.row and one.row.options.get(option) == "K"]
    assert told([one for one in kept if one not in left]) == []
    if option is Option.RETAIN_MODIFIED_DATES:
        assert_moved(left)
