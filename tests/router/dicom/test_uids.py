"""Unique identifiers, AE titles and the names of reasons."""

import pytest
from pynetdicom.sop_class import _STORAGE_CLASSES

from router.dicom.ae_title import decode_ae_title, encode_ae_title, is_valid_ae_title
from router.dicom.errors import Part10Error, ProtocolError
from router.dicom.reasons import AbortReason, RejectReason, abort_slug, reject_slug
from router.dicom.uids import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    is_standard_storage,
    is_valid_uid,
    may_be_storage,
    storage_sop_classes,
)


@pytest.mark.parametrize("uid", ["1.2.840.10008.1.1", "0", "0.0", "1." + "2" * 62])
def test_well_formed_uids(uid: str) -> None:
    assert is_valid_uid(uid)


@pytest.mark.parametrize(
    "uid", ["", ".", "1.", ".1", "1..2", "01.2", "1.02", "1.2a", "1.2 ", "1.2\n", "1." + "2" * 63]
)
def test_uids_that_are_not(uid: str) -> None:
    assert not is_valid_uid(uid)


def test_our_own_identity_fits_its_fields() -> None:
    assert is_valid_uid(IMPLEMENTATION_CLASS_UID)
    assert len(IMPLEMENTATION_VERSION_NAME) <= 16


def test_pynetdicoms_storage_classes_are_all_known() -> None:
    theirs = set(_STORAGE_CLASSES.values())
    assert theirs
    assert len(theirs & storage_sop_classes()) > 150  # it knows some that are newer
    assert all(map(is_standard_storage, theirs))


@pytest.mark.parametrize(
    "uid",
    [
        "1.2.840.10008.1.1",
        "1.2.840.10008.1.20.1",
        "1.2.840.10008.1.3.10",
        "1.2.840.10008.5.1.4.1.2.1.1",
        "1.2.840.10008.5.1.4.31",
        "1.2.840.10008.5.1.1.9",
        "1.2.840.10008.3.1.2.3.3",
    ],
)
def test_other_services_are_not_storage(uid: str) -> None:
    assert not is_standard_storage(uid)
    assert not may_be_storage(uid)


@pytest.mark.parametrize("suffix", ["200.4", "201.6", "9.9.", "9a"])
def test_not_all_under_the_root_of_storage_is_storage(suffix: str) -> None:
    assert not is_standard_storage("1.2.840.10008.5.1.4.1.1." + suffix)


def test_what_the_dictionary_does_not_know_may_be_storage() -> None:
    assert may_be_storage("1.3.6.1.4.1.99999.1")
    assert not is_standard_storage("1.3.6.1.4.1.99999.1")


@pytest.mark.parametrize("title", ["A", "CT 01", "sixteen-letters!", " A "])
def test_valid_titles(title: str) -> None:
    assert is_valid_ae_title(title)


@pytest.mark.parametrize("title", ["", " ", "A\\B", "A\tB", "seventeen letters", "Ä"])
def test_titles_that_are_not(title: str) -> None:
    assert not is_valid_ae_title(title)


def test_titles_are_padded_and_stripped() -> None:
    assert encode_ae_title("CT 01") == b"CT 01           "
    assert decode_ae_title(b"  CT 01         ") == "CT 01"
    assert decode_ae_title(b"CT01\0\0\0\0\0\0\0\0\0\0\0\0") == "CT01"
    assert decode_ae_title(b"\xc4rzte          ") == "Ärzte"


def test_reasons_have_bounded_names() -> None:
    assert reject_slug(1, 7) == "called_ae_title_not_recognized"
    assert reject_slug(3, 2) == "local_limit_exceeded"
    assert reject_slug(9, 9) == "unknown_reason"
    assert abort_slug(0, 77) == "user"
    assert abort_slug(2, AbortReason.UNEXPECTED_PDU) == "unexpected_pdu"
    assert abort_slug(2, 99) == "unknown_reason"


def test_a_reason_belongs_to_its_source() -> None:
    assert (RejectReason.TEMPORARY_CONGESTION.source, RejectReason.TEMPORARY_CONGESTION.reason) == (
        3,
        1,
    )
    assert len(RejectReason) == 8


@pytest.mark.parametrize("error", [ProtocolError, Part10Error])
def test_abstract_errors_are_not_raised(error: type[Exception]) -> None:
    with pytest.raises(TypeError):
        error("who?")
