"""Places where values hide that no row of the table names: each was a leak, or might be one."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from rules.deid.cleaning import Vocabulary
from rules.deid.engine import Refused
from rules.deid.scan import findings
from rules.edits import apply_edits
from rules.encoded.data_set import EncodedDataSet, MalformedDataSet, Slice
from rules.encoded.draft import EditFailed
from rules.encoded.forms import BIG, EXPLICIT, IMPLICIT, Form
from rules.encoded.writing import encode_element, encode_item
from tests.router.transcoding.material import encode
from tests.rules.deid.test_engine import an_object
from tests.rules.deid.test_phantom import profile

SYNTAX = "1.2.840.10008.1.2.1"
SECRET = b"Vandermeer"


def through(content: bytes, syntax: str = SYNTAX, **written: object) -> bytes:
    data_set = EncodedDataSet.read(content, syntax)
    edited = apply_edits((), data_set, record=None, profile=profile(**written))
    assert edited.pixel_edits == ()
    return b"".join(
        bytes(data_set.view(one.offset, one.length)) if isinstance(one, Slice) else one
        for one in edited.pieces
    )


def made(**values: object) -> Dataset:
    return an_object(PatientName="Vandermeer^Josephine", PatientID="PAT-471100", **values)


def with_element(tag: int, vr: str, data: bytes) -> bytes:
    """An object with one element as it should not be."""
    plain = encode(made(), SYNTAX)
    data += b" " * (len(data) % 2)
    at = plain.index(b"\x10\0\x10\0PN") if tag < 0x00100010 else len(plain)
    return plain[:at] + encode_element(tag, vr, data, EXPLICIT) + plain[at:]


@pytest.mark.parametrize(
    ("tag", "vr", "text"),
    [
        (0x00620006, "ST", b"lesion of Vandermeer"),  # Segment Description
        (0x00400400, "LT", b"VANDERMEER, Josephine"),  # Comments on the Scheduled Step
        (0x00620020, "UT", b"PAT-471100 nodule"),  # Tracking ID
        (0x00081190, "UR", b"http://pacs.example/vandermeer"),  # Retrieve URL
        (0x00180050, "LO", b"Vandermeer"),  # Slice Thickness, as a text
        (0x0018115E, "ST", b"see Vandermeer"),  # Image and Fluoroscopy Area Dose Product
    ],
)
def test_texts_that_the_table_does_not_name(tag: int, vr: str, text: bytes) -> None:
    result = through(with_element(tag, vr, text)).lower()
    for secret in (SECRET.lower(), b"josephine", b"pat-471100"):
        assert secret not in result


def test_texts_without_what_identifies_stay() -> None:
    result = through(encode(made(SegmentDescription="lesion in the left lung"), SYNTAX))
    assert b"lesion in the left lung" in result


@pytest.mark.parametrize(
    ("tag", "vr", "data"),
    [
        (0x00189151, "LO", b"20260301"),  # Frame Acquisition DateTime
        (0x00720061, "SH", b"20260301"),  # Selector DA Value
        (0x00720066, "UC", SECRET),  # Selector LO Value
        (0x00081140, "LO", SECRET),  # Referenced Image Sequence
        (
            0x00189346,
            "OB",
            encode_item(encode_element(0x00100010, "PN", SECRET, IMPLICIT), IMPLICIT),
        ),
    ],
)
def test_what_is_written_in_another_vr(tag: int, vr: str, data: bytes) -> None:
    assert data not in through(with_element(tag, vr, data))


@pytest.mark.parametrize("inner", [EXPLICIT, IMPLICIT, BIG])
def test_a_sequence_as_unknown_in_whatever_form(inner: Form) -> None:
    item = encode_item(encode_element(0x00100010, "PN", SECRET, inner), inner)
    try:
        result = through(with_element(0x00189346, "UN", item))
    except (EditFailed, MalformedDataSet):
        return  # what nobody can read is held
    assert SECRET not in result


def test_a_uid_that_only_looks_like_one_of_dicom() -> None:
    uid = "1.2.840.10008.4711.19600312.77"
    assert uid.encode() not in through(encode(made(StudyInstanceUID=uid), SYNTAX))
    well_known = "1.2.840.10008.1.4.1.1"  # of a frame of reference
    assert well_known.encode() in through(encode(made(FrameOfReferenceUID=well_known), SYNTAX))


def test_dummies_are_made_of_what_options_would_clean() -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "77", "99LOCAL"
    code.CodeMeaning, code.SegmentDescription = "as decided by the board", "and later changed"
    given = made(ContentSequence=Sequence([code]))
    result = through(encode(given, SYNTAX), options=["clean descriptors"])
    assert b"decided" not in result
    assert b"changed" not in result


@pytest.mark.parametrize(
    ("name", "text", "left"),
    [
        ("M\u00fcller^J\u00f6rg", "MUELLER Joerg, Muller", ","),
        ("MUELLER^ANNA", "of M\u00fcller", "of"),
        ("Van-der-Meer^Jo", "Meer", ""),
        ("O'Neill^Pat", "NEILL of", "of"),
        (
            "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce",
            "\u5c71\u7530\u592a\u90ce\u69d8 CT",
            "\u69d8 CT",
        ),
        ("=\u738b^\u5c0f\u4e1c", "\u738b\u5c0f\u4e1c\u7684CT", "\u7684CT"),
        ("Le^An", "The island lean plan", "The island lean plan"),
        (
            "\u0418\u0432\u0430\u043d\u043e\u0432^\u0419",
            "\u0438\u0432\u0430\u043d\u043e\u0432 MR",
            "MR",
        ),
    ],
)  # fmt: skip
def test_names_as_others_spell_them(name: str, text: str, left: str) -> None:
    assert Vocabulary([name], []).clean(text) == left


def test_the_proof_knows_these_spellings() -> None:
    came = made()
    came.PatientName = "M\u00fcllermann^J\u00f6rg"
    came.SpecificCharacterSet = "ISO_IR 192"
    went = Dataset()
    went.SOPClassUID, went.SOPInstanceUID = came.SOPClassUID, "2.25.1"
    went.ProtocolName = "Muellermann"
    told = [EncodedDataSet.read(encode(one, SYNTAX), SYNTAX) for one in (came, went)]
    assert [str(one) for one in findings(*told)] == ["name of PatientName in ProtocolName"]


def pictured(frames: int, surplus: bytes) -> bytes:
    given = made(Rows=2, Columns=3, BitsAllocated=8, BitsStored=8, HighBit=7, SamplesPerPixel=1)
    given.PhotometricInterpretation, given.PixelRepresentation = "MONOCHROME2", 0
    given.NumberOfFrames, given.PixelData = frames, b"pixels" * frames + surplus
    given["PixelData"].VR = "OB"
    return encode(given, SYNTAX)


def test_what_follows_the_last_frame_is_blanked() -> None:
    result = through(pictured(3, b"text"))
    assert b"pixels" * 3 + b"    " in result
    assert result.endswith(b"    ")
    assert through(pictured(1, b"")).endswith(b"pixels")


def test_a_frame_that_the_header_does_not_know_holds_the_object() -> None:
    with pytest.raises(EditFailed, match="longer than the header says"):
        through(pictured(2, b"a name"))


@pytest.mark.parametrize("behind", [SECRET, SECRET * 3])
def test_bytes_behind_the_data_set_hold_the_object(behind: bytes) -> None:
    with pytest.raises((EditFailed, MalformedDataSet)):
        through(encode(made(), SYNTAX) + behind)


def test_a_directory_is_refused() -> None:
    with pytest.raises(Refused, match="unknown classes"):
        through(encode(made(SOPClassUID="1.2.840.10008.1.3.10"), SYNTAX), dangers={})
