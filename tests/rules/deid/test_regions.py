"""Regions: which fit an object, and what they make black in it."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydicom.dataset import Dataset

from rules.deid.engine import Refused
from rules.deid.regions import Region, boxes_of, outside_of, shipped
from rules.documents.problems import Mistake
from rules.documents.reading import DocumentError, Section, parse_document
from rules.editing.schema_pixels import Burn
from rules.edits import apply_edits
from tests.rules.deid.test_phantom import profile
from tests.rules.deid.test_scan import encoded


class Listed(Section):
    regions: tuple[Region, ...]


def read(text: str) -> tuple[Region, ...]:
    return parse_document(text, "10.yaml").validate(Listed).regions


def ultrasound(*regions: tuple[int, int, int, int], **more: object) -> Dataset:
    made = Dataset()
    made.SOPClassUID, made.Modality = "1.2.840.10008.5.1.4.1.1.6.1", "US"
    made.Manufacturer, made.ManufacturerModelName = "Philips Medical Systems", "iU22"
    made.Rows, made.Columns = 480, 640
    items = []
    for x, y, right, below in regions:
        item = Dataset()
        item.RegionLocationMinX0, item.RegionLocationMinY0 = x, y
        item.RegionLocationMaxX1, item.RegionLocationMaxY1 = right, below
        items.append(item)
    if items:
        made.SequenceOfUltrasoundRegions = items
    for keyword, value in more.items():
        setattr(made, keyword, value)
    return made


def test_a_shipped_region_fits_by_maker_model_and_size() -> None:
    assert boxes_of(shipped(), encoded(ultrasound())) == ((0, 0, 640, 50),)
    assert boxes_of(shipped(), encoded(ultrasound(Rows=481))) is None
    assert boxes_of(shipped(), encoded(ultrasound(Manufacturer="Nobody"))) is None
    assert len({region.name for region in shipped()}) == len(shipped()) > 20


def test_outside_the_ultrasound_regions_all_is_black() -> None:
    made = encoded(ultrasound((100, 60, 539, 459), Manufacturer="Nobody"))
    assert boxes_of(shipped(), made) == (
        (0, 0, 640, 60), (0, 60, 100, 400), (540, 60, 100, 400), (0, 460, 640, 20),
    )  # fmt: skip


@pytest.mark.parametrize(
    "region", [(0, 0, 639, 479), (700, 500, 800, 600), (50, 50, 10, 10), (0, 0, 99999, 99999)]
)
def test_regions_that_tell_nothing_do_not_count(region: tuple[int, int, int, int]) -> None:
    assert boxes_of(shipped(), encoded(ultrasound(region, Manufacturer="Nobody"))) is None


def test_all_regions_that_fit_count() -> None:
    regions = read(
        "regions:\n"
        "- {name: a, when: {Modality: us}, left: 5, bottom: 7}\n"
        "- {name: b, when: {ManufacturerModelName: [other, 'IU?2']}, black: [[1, 2, 3, 4]]}\n"
        "- {name: c, when: {Modality: CT}, top: 9}\n"
    )
    assert boxes_of(regions, encoded(ultrasound())) == (
        (0, 473, 640, 7), (0, 0, 5, 480), (1, 2, 3, 4),
    )  # fmt: skip


def test_a_device_without_text_is_known_to_have_none() -> None:
    regions = read("regions: [{name: a, when: {Modality: US}, nothing: true}]")
    assert boxes_of(regions, encoded(ultrasound())) == ()
    assert boxes_of(regions, encoded(ultrasound(Modality="CT"))) is None


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{name: a, when: {Modality: US}}", "expected what is made black"),
        ("{name: a, when: {Modality: US}, nothing: true, top: 3}", "and something is"),
        ("{name: a, when: {}, top: 3}", "expected attributes and what they say"),
        ("{name: a, when: {Modalty: US}, top: 3}", "Modality"),
        ("{name: a, when: {Modality: US}, top: -3}", "top"),
        ("{name: a, when: {Modality: US}, tops: 3}", "top"),
        ("{name: a, when: {Modality: US}, black: [[1, 2, 3]]}", "four numbers of a rectangle"),
        ("{name: a, when: {Modality: US}, outside: ultrasound}", "ultrasound regions"),
    ],
)
def test_mistakes_are_told_with_their_place(written: str, said: str) -> None:
    with pytest.raises((DocumentError, Mistake)) as raised:
        read(f"regions:\n- {written}")
    assert said in str(raised.value)
    assert "10.yaml:2" in str(raised.value)


@given(
    st.lists(st.tuples(*[st.integers(0, 30)] * 2, *[st.integers(1, 30)] * 2), min_size=1),
    st.integers(1, 30),
    st.integers(1, 30),
)
def test_outside_is_what_is_not_inside(
    inside: list[tuple[int, int, int, int]], rows: int, columns: int
) -> None:
    shows = np.zeros((rows, columns), bool)
    for x, y, width, height in inside:
        shows[y : y + height, x : x + width] = True
    black = np.zeros((rows, columns), int)
    for x, y, width, height in outside_of(inside, rows, columns):
        black[y : y + height, x : x + width] += 1
    assert (black == ~shows).all() or not shows.any()
    assert shows.any() or not black.any()


def scanned(**more: object) -> Dataset:
    made = ultrasound(**more)
    made.SOPInstanceUID, made.StudyInstanceUID, made.PatientID = "1.2.3.4.5.6", "1.2.3.4.5", "P"
    made.PixelData = bytes(4)
    made["PixelData"].VR = "OW"
    return made


CLEANS = {"options": ["clean pixel data"], "dangers": {}}


def test_a_region_becomes_a_pixel_edit_and_the_object_says_so() -> None:
    chosen = profile(**CLEANS, regions="shipped")
    edited = apply_edits((), encoded(scanned()), record=None, profile=chosen)
    (burn,) = edited.pixel_edits
    assert isinstance(burn, Burn)
    assert burn.burning.rectangles == ((0, 0, 640, 50),)
    assert "BurnedInAnnotation" in edited.changed


def test_a_suspect_without_a_region_is_refused() -> None:
    chosen = profile(**CLEANS, regions=["shipped"])
    with pytest.raises(Refused, match="none of the profile's regions fits"):
        apply_edits((), encoded(scanned(Rows=481)), record=None, profile=chosen)
    ct = scanned(SOPClassUID="1.2.840.10008.5.1.4.1.1.2", Modality="CT")
    assert apply_edits((), encoded(ct), record=None, profile=chosen).pixel_edits == ()
    ct.BurnedInAnnotation = "YES"
    with pytest.raises(Refused, match="BurnedInAnnotation says YES"):
        apply_edits((), encoded(ct), record=None, profile=chosen)


def test_a_picture_known_to_have_no_text_passes_as_it_is() -> None:
    known = [{"name": "a", "when": {"Modality": "US"}, "nothing": True}]
    chosen = profile(**CLEANS, regions=known)
    assert apply_edits((), encoded(scanned()), record=None, profile=chosen).pixel_edits == ()


def test_an_overlay_in_the_picture_is_refused_whatever_is_made_black() -> None:
    made = scanned()
    made.BitsAllocated, made.BitsStored, made.HighBit = 8, 8, 7
    made.add_new(0x60000010, "US", 4)
    made.add_new(0x60000102, "US", 7)
    with pytest.raises(Refused, match="an overlay is in bits that its picture uses"):
        apply_edits((), encoded(made), record=None, profile=profile(**CLEANS, regions="shipped"))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"regions": "shipped"}, "regions need the option clean pixel data"),
        ({"options": ["clean pixel data"]}, "needs regions, or a burn"),
        ({"options": ["clean pixel data"], "regions": "shiped"}, "expected regions, or: shipped"),
    ],
)
def test_regions_and_the_option_belong_together(written: dict[str, object], said: str) -> None:
    with pytest.raises((Mistake, ValidationError), match=said):
        profile(**written)


def test_without_the_extra_a_profile_that_searches_pictures_is_a_mistake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    with pytest.raises((Mistake, ValidationError), match="needs the extra `ocr`"):
        profile(detect_text="every frame")
    assert profile(detect_text="off").detect_text == "off"
