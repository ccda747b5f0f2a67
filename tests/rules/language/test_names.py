"""Names: attributes, UIDs and their groups, kinds of values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import keyword_dict

from rules import tags
from rules.documents.problems import Mistake, suggest
from rules.matching.kinds import KINDS
from rules.tags import ALL_PRIVATE, Tag, TagPattern, parse_path, parse_pattern
from rules.uids import groups_of, uid_named

VRS = (
    "AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR "
    "US UT UV"
)


@pytest.mark.parametrize(
    ("text", "steps", "vr"),
    [
        ("Modality", [(0x0008, 0x0060, None)], "CS"),
        ("0008,0060", [(0x0008, 0x0060, None)], "CS"),
        ("(0008,0060)", [(0x0008, 0x0060, None)], "CS"),
        ("0019,1008", [(0x0019, 0x1008, None)], None),
        ("0029,[SIEMENS CSA HEADER],1a", [(0x0029, 0x1A, "SIEMENS CSA HEADER")], None),
        ("0029,[A.B C],10", [(0x0029, 0x10, "A.B C")], None),
        ("SmallestImagePixelValue", [(0x0028, 0x0106, None)], "US"),
        ("6000,0010", [(0x6000, 0x0010, None)], "US"),
        (
            "RequestAttributesSequence.0020,0010",
            [(0x0040, 0x0275, None), (0x0020, 0x0010, None)],
            "SH",
        ),
        ("0029,[A.B],10.StudyID", [(0x0029, 0x10, "A.B"), (0x0020, 0x0010, None)], "SH"),
    ],
)
def test_a_path(text: str, steps: list[tuple[int, int, str | None]], vr: str | None) -> None:
    path = parse_path(text)
    assert path.steps == tuple(Tag(*step) for step in steps)
    assert path.vr == vr
    assert parse_path(str(path)) == path


@pytest.mark.parametrize(
    "text", ["", ".", "Modality.", ".Modality", "8,60", "0008.0060", "0008,[A],10", "(0019,10xx)"]
)
def test_what_names_no_attribute(text: str) -> None:
    with pytest.raises(Mistake):
        parse_path(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Modallity", "Modality"),
        ("modality", "Modality"),
        ("PatientId", "PatientID"),
        ("RequestAttributeSequence.StudyID", "RequestAttributesSequence.StudyID"),
        ("StudyDescripton", "StudyDescription"),
    ],
)
def test_the_keyword_that_was_meant(text: str, meant: str) -> None:
    with pytest.raises(Mistake) as caught:
        parse_path(text)
    assert caught.value.suggestion == meant


@given(st.text(max_size=30) | st.from_regex(r"[(0-9a-fxX,\[\]). A-Z]{0,20}", fullmatch=True))
def test_any_text_is_a_path_or_a_mistake(text: str) -> None:
    try:
        path = parse_pattern(text)
    except Mistake:
        return
    assert str(path)


@pytest.mark.parametrize(
    ("text", "tag", "matches"),
    [
        ("(0019,10xx)", 0x001910AB, True),
        ("(0019,10xx)", 0x001911AB, False),
        ("50XX,xxxx", 0x50120010, True),
        ("50XX,xxxx", 0x51120010, False),
        ("private", 0x00191010, True),
        ("private", 0x00181010, False),
    ],
)
def test_a_pattern(text: str, tag: int, matches: bool) -> None:
    pattern = parse_pattern(text)
    assert isinstance(pattern, TagPattern)
    assert pattern.matches(tag) is matches
    assert (pattern is ALL_PRIVATE) == (text == "private")


def test_every_vr_has_a_kind() -> None:
    assert sorted(KINDS) == VRS.split()


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("CT Image Storage", ("image",)),
        ("Enhanced US Volume Storage", ("image",)),
        ("Segmentation Storage", ("image",)),
        ("Digital X-Ray Image Storage - For Processing", ("image",)),
        ("VL Whole Slide Microscopy Image Storage", ("image",)),
        ("RT Image Storage", ("image", "rt")),
        ("RT Dose Storage", ("rt",)),
        ("RT Structure Set Storage", ("rt",)),
        ("Robotic-Arm Radiation Storage", ("rt",)),
        ("X-Ray Radiation Dose SR Storage", ("sr",)),
        ("Key Object Selection Document Storage", ("sr",)),
        ("Grayscale Softcopy Presentation State Storage", ("pr",)),
        ("Encapsulated PDF Storage", ("encapsulated",)),
        ("Raw Data Storage", ()),
        ("MR Spectroscopy Storage", ()),
        ("12-lead ECG Waveform Storage", ()),
    ],
)
def test_the_groups_of_a_class(name: str, groups: tuple[str, ...]) -> None:
    uid = uid_named(name, "SOP Class")
    assert uid is not None
    assert groups_of(uid) == groups
    assert groups_of("1.2.3") == ()


def test_names_of_uids() -> None:
    assert uid_named("JPEG 2000 Image Compression", "Transfer Syntax") == "1.2.840.10008.1.2.4.91"
    assert uid_named("implicit vr little endian", "Transfer Syntax") == "1.2.840.10008.1.2"
    assert uid_named("CT Image Storage", "Transfer Syntax") is None
    assert uid_named("1.2.3", "SOP Class") == "1.2.3"
    assert uid_named("1.02.3", "SOP Class") is None


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("less_than", ["older_than", "below"], "below"),
        ("Less-Than", ["older_than", "below"], "below"),
        ("equals", ["value", "below"], "value"),
        ("delete", ["remove", "set"], "remove"),
        ("destination", ["destinations"], "destinations"),
        ("gt", ["below"], None),
    ],
)
def test_words_of_other_programs_are_understood(
    word: str, known: list[str], meant: str | None
) -> None:
    assert suggest(word, known) == meant


def test_the_everyday_keywords_are_the_dictionarys():
    assert {name: keyword_dict[name] for name in tags.EVERYDAY} == tags.EVERYDAY
